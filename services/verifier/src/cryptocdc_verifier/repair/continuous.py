"""Continuous repair: what the continuous proof finds missing or different, within the feed's limit."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.feed.repair import Repair
from cryptocdc_core.program.metrics import VerifierMetrics
from cryptocdc_core.storage.windows import Window
from cryptocdc_core.time.times import iso
from cryptocdc_verifier.comparing.cassandra import CassandraSide
from cryptocdc_verifier.comparing.postgres import PostgresSide
from cryptocdc_verifier.comparing.tables import Resolve, count_all
from cryptocdc_verifier.repair.decision import Allowance, Grant, Reason
from cryptocdc_verifier.repair.repairs import Repairer, Repairs
from cryptocdc_verifier.target import Target

log = logging.getLogger("cryptocdc.verifier")

HOUR_S = 3600.0
AGAIN_S = 300.0
"""How long a slice with rows that were left is only compared: finding causes reads many of Kafka's records."""


def hourly_limit(repair: Repair) -> Allowance:
    """Return the feed's limit of repaired rows, which is counted in memory."""
    return Allowance(repair.max_rows_per_hour, HOUR_S, time.monotonic)


class Repairing:
    """Repairs the slices of one feed, if the feed says so, and publishes what was repaired and left.

    Call `begin` before a slice is compared and `end` after.
    """

    def __init__(
        self,
        target: Target,
        postgres: PostgresSide,
        cassandra: CassandraSide,
        wait: Callable[[int], None],
        metrics: VerifierMetrics,
        paced: Callable[[int], None],
        grant: Grant,
    ) -> None:
        self._enabled = target.feed.spec.repair.enabled
        self._fid = target.names.fid
        self._metrics = metrics
        self._repairer = Repairer(target, postgres, cassandra, wait, grant, paced)
        self._left: dict[tuple[str, Window], tuple[float, Counter[Reason]]] = {}
        """When rows of a slice were left, and how many by reason."""
        self._tried = False
        self._published: set[tuple[str, str]] = set()

    def begin(self, stream: Stream, window: Window, *, extra: bool) -> Resolve:
        """Return what resolves the differences of a slice; `extra`: whether other slices of the table have extra
        rows."""
        at = self._left.get((stream.table, window), (-AGAIN_S, None))[0]
        self._tried = self._enabled and time.monotonic() - at >= AGAIN_S
        if not self._tried:
            return count_all
        self._repairer.repairs = Repairs()
        self._repairer.with_extra = {stream.table} if extra else set()
        return self._repairer.resolve

    def end(self, stream: Stream, window: Window) -> None:
        """Log and count what was repaired in the slice."""
        if not self._tried:
            return
        repairs, between = self._repairer.repairs, f"between {iso(window.start)} and {iso(window.end)}"
        for (table, cause), rows in repairs.repaired.items():
            self._metrics.repaired_rows.labels(self._fid, table, cause).inc(rows)
            log.warning("%s: repaired %d rows %s, which are equal now; cause: %s", table, rows, between, cause)
        left: Counter[Reason] = Counter()
        for (_, _, reason), rows in repairs.left.items():
            left[reason] += rows
        _, before = self._left.pop((stream.table, window), (0.0, None))
        if left:
            self._left[stream.table, window] = time.monotonic(), left
        if left and left != before:
            reasons = "; ".join(f"{rows} rows: {reason.text}" for reason, rows in left.items())
            log.error("%s: not repaired %s: %s", stream.table, between, reasons)

    def publish(self, stream: Stream, unequal: Collection[Window]) -> None:
        """Set the table's metrics; `unequal` are its slices that still differ."""
        self._left = {at: left for at, left in self._left.items() if at[0] != stream.table or at[1] in unequal}
        found: Counter[str] = Counter()
        for (table, _), (_, left) in self._left.items():
            if table == stream.table:
                for reason, rows in left.items():
                    found[reason.name] += rows
        # A reason that no longer applies is 0, not absent, so that it does not look like an unknown number.
        self._published |= {(stream.table, name) for name in found}
        for table, name in self._published:
            if table == stream.table:
                self._metrics.unrepaired_rows.labels(self._fid, table, name).set(found[name])

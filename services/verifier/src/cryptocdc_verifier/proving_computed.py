"""Continuous proof of computed tables: in each pass, the windows that have closed since the last one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from cryptocdc_core.metrics import VerifierMetrics
from cryptocdc_core.times import iso, now_ms
from cryptocdc_verifier.cassandra import CassandraSide
from cryptocdc_verifier.compare import TableResult
from cryptocdc_verifier.computed import CLOSED_AFTER_MS, closed, comparisons
from cryptocdc_verifier.pace import Pace
from cryptocdc_verifier.target import Target
from cryptocdc_verifier.window import END_OF_TIME, Window

log = logging.getLogger("cryptocdc.verifier")

FIRST_MS = 600_000
"""How far back the first pass looks; `cryptocdc verify` compares everything."""
FIRSTS_MS = 600_000
"""How often all partitions are read from Cassandra, to find new symbols."""
MOST_MS = 3_600_000
"""What differed is compared again for this long."""


class ComputedProof:
    """The computed tables of one feed. How far it got is not stored: a restart begins FIRST_MS before."""

    def __init__(
        self,
        target: Target,
        cassandra: CassandraSide,
        wait: Callable[[], None],
        metrics: VerifierMetrics,
        stop: threading.Event,
        rows_per_s: int,
        now: Callable[[], int] = now_ms,
    ) -> None:
        """`wait` as in `comparisons`."""
        self._target = target
        self._cassandra = cassandra
        self._wait = wait
        self._metrics = metrics
        self._pace = Pace(rows_per_s, stop)
        self._now = now
        self._through = {stream.table: now() - FIRST_MS for stream in target.computed}
        self._firsts: dict[str, Any] = {}
        self._firsts_at = 0

    def prove(self) -> None:
        """Compare what has closed. Raises VerifyError or an error of Cassandra's driver."""
        now = self._now()
        end = closed(Window(0, END_OF_TIME), now).end
        self._wait()
        pending = comparisons(self._target, self._cassandra, self._wait, self._pace)
        if now - self._firsts_at > FIRSTS_MS:
            self._firsts, self._firsts_at = {one.stream.table: one.firsts() for one in pending}, now
        for comparison in pending:
            table = comparison.stream.table
            since = max(self._through[table], end - MOST_MS)
            comparison.compare_closed(since, end, self._firsts[table])
            comparison.settle()
            self._publish(table, comparison.result, Window(since, end))

    def _publish(self, table: str, found: TableResult, window: Window) -> None:
        fid, end = self._target.names.fid, window.end
        self._metrics.rows.labels(fid, table).inc(found.rows)
        self._metrics.buckets.labels(fid, table, "equal").inc(found.buckets - found.unequal_buckets)
        self._metrics.buckets.labels(fid, table, "unequal").inc(found.unequal_buckets)
        for kind in ("missing", "extra", "different"):
            self._metrics.differences.labels(fid, table, kind).set(getattr(found, kind))
        if found.equal:
            self._through[table] = end
        else:
            log.error(
                "%s differs from what the stored rows give between %s and %s: %d missing, %d extra, %d different;"
                " `cryptocdc verify --explain` shows them",
                table, iso(window.start), iso(end), found.missing, found.extra, found.different,
            )  # fmt: skip
        through = self._through[table] if found.first is None else min(self._through[table], found.first)
        self._metrics.proven_through.labels(fid, table).set(through / 1000)
        self._metrics.unproven_seconds.labels(fid, table).set_function(
            lambda: max(0.0, (now_ms() - CLOSED_AFTER_MS - through) / 1000)
        )

"""Continuous proof of computed tables: in each pass, the windows that have closed since the last one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from cryptocdc_core.metrics import VerifierMetrics
from cryptocdc_core.times import iso, now_ms
from cryptocdc_verifier.cassandra import CassandraSide
from cryptocdc_verifier.computed import CLOSED_AFTER_MS, BarsComparison, Firsts, closed
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
    """The bars of one feed. Where it is, is not kept: a restart begins FIRST_MS before."""

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
        """`wait` as in BarsComparison."""
        self._target = target
        self._cassandra = cassandra
        self._wait = wait
        self._metrics = metrics
        self._pace = Pace(rows_per_s, stop)
        self._now = now
        self._through = now() - FIRST_MS
        self._firsts: Firsts | None = None
        self._firsts_at = 0

    def prove(self) -> None:
        """Compare what has closed. Raises VerifyError or an error of Cassandra's driver."""
        now = self._now()
        end = closed(Window(0, END_OF_TIME), now).end
        since = max(self._through, end - MOST_MS)
        self._wait()
        comparison = BarsComparison(self._target, self._cassandra, self._wait, self._pace)
        if self._firsts is None or now - self._firsts_at > FIRSTS_MS:
            self._firsts, self._firsts_at = comparison.firsts(), now
        comparison.compare_closed(since, end, self._firsts)
        comparison.settle()
        found, fid, table = comparison.result, self._target.names.fid, comparison.stream.table
        self._metrics.rows.labels(fid, table).inc(found.rows)
        self._metrics.buckets.labels(fid, table, "equal").inc(found.buckets - found.unequal_buckets)
        self._metrics.buckets.labels(fid, table, "unequal").inc(found.unequal_buckets)
        for kind in ("missing", "extra", "different"):
            self._metrics.differences.labels(fid, table, kind).set(getattr(found, kind))
        if found.equal:
            self._through = end
        else:
            log.error(
                "%s differs from the stored trades between %s and %s: %d missing, %d extra, %d different;"
                " `cryptocdc verify --explain` shows them",
                table, iso(since), iso(end), found.missing, found.extra, found.different,
            )  # fmt: skip
        through = self._through if found.first is None else min(self._through, found.first)
        self._metrics.proven_through.labels(fid, table).set(through / 1000)
        self._metrics.unproven_seconds.labels(fid, table).set_function(
            lambda: max(0.0, (now_ms() - CLOSED_AFTER_MS - through) / 1000)
        )

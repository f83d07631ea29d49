"""Continuous proof of computed tables: every slice of time once, soon after what is computed in it has closed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from cryptocdc_adapters.postgres.proofs import Proof
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.program.metrics import VerifierMetrics
from cryptocdc_core.storage.windows import END_OF_TIME, Window, subtract
from cryptocdc_core.time.times import iso, now_ms
from cryptocdc_verifier.comparing.cassandra import CassandraSide
from cryptocdc_verifier.comparing.pace import Pace
from cryptocdc_verifier.comparing.tables import TableResult
from cryptocdc_verifier.computed.firsts import Firsts
from cryptocdc_verifier.computed.tables import ComputedComparison, closed, comparison_of
from cryptocdc_verifier.continuous.proofs import Proofs
from cryptocdc_verifier.continuous.slices import LENGTHS, MINUTE_MS, cut
from cryptocdc_verifier.target import Target, VerifyError, window_of

log = logging.getLogger("cryptocdc.verifier")

FIRST_MS = 600_000
"""How far before its start the proof of a table begins; `cryptocdc verify` compares everything."""
LEARNING = 20
"""Symbols are read again after this many times as long as reading them took, since all partitions are read for it."""


@dataclass
class _Table:
    end: int = 0
    """What had closed by then can be proven: the symbols were read after it."""
    next_ms: int = 0
    """When to read the symbols again."""
    firsts: Firsts = field(default_factory=dict)
    unequal: dict[Window, tuple[Firsts, TableResult]] = field(default_factory=dict)
    """The slices that differ, with the part of `firsts` that differs in them."""


class ComputedProof:
    """The computed tables of one feed. A slice consists of what closed in it, as a window can be longer than a slice;
    it is compared again until it is equal. Proven slices are stored in PostgreSQL, so that a restart skips nothing."""

    def __init__(
        self,
        target: Target,
        proofs: Proofs,
        cassandra: CassandraSide,
        wait: Callable[[], None],
        metrics: VerifierMetrics,
        stop: threading.Event,
        rows_per_s: int,
        now: Callable[[], int] = now_ms,
    ) -> None:
        """`wait` as in `comparison_of`. Raises psycopg2.Error."""
        self._target = target
        self._proofs = proofs
        self._cassandra = cassandra
        self._wait = wait
        self._metrics = metrics
        self._stop = stop
        self._pace = Pace(rows_per_s, stop)
        self._now = now
        self._tables = {stream.table: _Table() for stream in target.computed}
        for stream in target.computed:
            if not proofs.of(stream):
                start = _provable(now() - FIRST_MS)
                proofs.add(stream, Proof(Window(start, start), 0, 0, 0))

    def prove(self) -> None:
        """Compare the oldest unproven slice of each table, and one that differed.

        Raises VerifyError, psycopg2.Error or an error of Cassandra's driver.
        """
        end = _provable(self._now())
        self._wait()
        for stream in self._target.computed:
            table = self._tables[stream.table]
            if self._now() >= table.next_ms:
                self._learn(stream, table, end)
            least = window_of(self._target, self._now(), None, None).start
            again = next(iter(table.unequal), None)
            gaps = self._unproven(stream, table, least, table.unequal)
            if gaps:
                # The longer a slice, the more windows of different lengths share one reading of their trades.
                self._prove(stream, next(cut(gaps[0], LENGTHS[-1])), table.firsts, least)
            if again is not None and again.start < least:
                del table.unequal[again]  # its rows have expired, or will soon
            elif again is not None:
                self._prove(stream, again, table.unequal[again][0], least)
            self._publish(stream, table, least)

    def _learn(self, stream: Stream, table: _Table, end: int) -> None:
        """Find new symbols, also those that appeared since the last pass."""
        began = self._now()
        since = subtract([Window(self._start(stream), END_OF_TIME)], [p.window for p in self._proofs.of(stream)])
        table.firsts = self._comparison(stream).firsts(since[0].start, table.firsts)
        table.end = end
        table.next_ms = self._now() + LEARNING * (self._now() - began)

    def _start(self, stream: Stream) -> int:
        return self._proofs.of(stream)[0].window.start

    def _unproven(self, stream: Stream, table: _Table, least: int, excluded: Iterable[Window] = ()) -> list[Window]:
        start = max(self._start(stream), least)
        if start >= table.end:
            return []
        return subtract([Window(start, table.end)], [*(p.window for p in self._proofs.of(stream)), *excluded])

    def _prove(self, stream: Stream, window: Window, firsts: Firsts, least: int) -> None:
        comparison = self._comparison(stream)
        comparison.compare_closed(window, {of: max(at, least) for of, at in firsts.items()})
        comparison.settle()
        found, fid = comparison.result, self._target.names.fid
        found.kept.clear()
        self._metrics.rows.labels(fid, stream.table).inc(found.rows)
        self._metrics.buckets.labels(fid, stream.table, "equal").inc(found.buckets - found.unequal_buckets)
        self._metrics.buckets.labels(fid, stream.table, "unequal").inc(found.unequal_buckets)
        unequal = self._tables[stream.table].unequal
        before = unequal.pop(window, None)
        if found.equal:
            self._store(stream, Proof(window, 0, 0, 0))
            return
        unequal[window] = {of: firsts[of] for of in comparison.unequal}, found
        if before is not None and before[1] == found:
            return
        log.error(
            "%s differs from what the stored rows give between %s and %s: %d missing, %d extra, %d different;"
            " `cryptocdc verify --explain` shows them",
            stream.table, iso(window.start), iso(window.end), found.missing, found.extra, found.different,
        )  # fmt: skip

    def _store(self, stream: Stream, proof: Proof) -> None:
        """Add a proof, and merge it with its neighbours: nothing deletes the proofs of computed tables."""
        self._proofs.add(stream, proof)
        bounds = {proof.window.start, proof.window.end}
        parts = [one for one in self._proofs.of(stream) if bounds & {one.window.start, one.window.end}]
        if len(parts) > 1:
            self._proofs.merge(stream, parts)

    def _publish(self, stream: Stream, table: _Table, least: int) -> None:
        fid, results = self._target.names.fid, [result for _, result in table.unequal.values()]
        for kind in ("missing", "extra", "different"):
            count = sum(getattr(result, kind) for result in results)
            self._metrics.differences.labels(fid, stream.table, kind).set(count)
        gaps = self._unproven(stream, table, least)
        firsts = [result.first for result in results if result.first is not None]
        through = min([gaps[0].start if gaps else table.end, *firsts])
        self._metrics.proven_through.labels(fid, stream.table).set(through / 1000)
        self._metrics.unproven_seconds.labels(fid, stream.table).set_function(partial(_unproven_s, through))

    def _comparison(self, stream: Stream) -> ComputedComparison:
        return comparison_of(stream, self._target, self._cassandra, self._wait, self._paced)

    def _paced(self, rows: int) -> None:
        self._pace(rows)
        if self._stop.is_set():
            raise VerifyError("stopped")


def _provable(now: int) -> int:
    """Return the end of what can be proven at `now`, in full minutes."""
    end = closed(Window(0, END_OF_TIME), now).end
    return end - end % MINUTE_MS


def _unproven_s(through: int) -> float:
    """Return the metric's value when it is scraped, also if proving has stopped meanwhile."""
    return max(0, _provable(now_ms()) - through) / 1000

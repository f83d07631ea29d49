"""Continuous proof: every slice of time once, soon after it has passed, and again if its rows have changed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial

from cryptocdc_adapters.metrics.serving import Health
from cryptocdc_adapters.postgres.proofs import Proof, dropped_days
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.program.metrics import VerifierMetrics
from cryptocdc_core.storage.windows import Partition, Window, partitions_of, subtract
from cryptocdc_core.time.times import iso, now_ms
from cryptocdc_verifier.comparing.cassandra import CassandraSide
from cryptocdc_verifier.comparing.pace import Pace
from cryptocdc_verifier.comparing.postgres import PostgresSide, Snapshot
from cryptocdc_verifier.comparing.tables import Comparison, TableResult
from cryptocdc_verifier.continuous.proofs import Proofs
from cryptocdc_verifier.continuous.rechecks import Rechecks
from cryptocdc_verifier.continuous.slices import (
    LENGTHS,
    cut,
    full_hours,
    next_length,
    provable,
    proven_through,
    unproven_s,
)
from cryptocdc_verifier.delivery.waiting import Delivery
from cryptocdc_verifier.repair.continuous import Repairing, hourly_limit
from cryptocdc_verifier.repair.decision import Grant
from cryptocdc_verifier.target import Target, window_of

log = logging.getLogger("cryptocdc.verifier")

PASS_S = 60.0
"""About the maximum age of a snapshot, which prevents vacuuming in PostgreSQL."""
PREFIXES_S = 600.0
"""How often all partitions are read from Cassandra, to find symbols that PostgreSQL does not have."""


class Continuous:
    """One feed's proofs. `prove` runs one pass; all state that must survive a restart is in PostgreSQL."""

    def __init__(
        self,
        target: Target,
        postgres: PostgresSide,
        cassandra: CassandraSide,
        delivery: Delivery,
        metrics: VerifierMetrics,
        health: Health,
        stop: threading.Event,
        rows_per_s: int,
        repairs: Grant | None = None,
    ) -> None:
        """`repairs`: the limit of repaired rows, which outlives a lost connection; by default one of its own."""
        self._target = target
        self._postgres = postgres
        self._cassandra = cassandra
        self._delivery = delivery
        self._proofs = Proofs(postgres.connection, target.names)
        self._metrics = metrics
        self._fid = target.names.fid
        self._health = health
        self._stop = stop
        self._pace = Pace(rows_per_s, stop)
        self._lengths = {stream.table: LENGTHS[-1] for stream in target.streams}
        self._unequal: dict[tuple[str, Window], TableResult] = {}
        self._prefixes: dict[str, set[tuple[str, ...]]] = {}
        self._prefixes_at = float("-inf")
        self._rechecks = Rechecks()
        grant = repairs or hourly_limit(target.feed.spec.repair)
        self._repairing = Repairing(target, postgres, cassandra, delivery.wait, metrics, self._paced, grant)

    def prove(self) -> None:
        """Run one pass: recheck some older proofs, prove unproven slices, and compare an unequal slice again.

        Raises VerifyError, psycopg2.Error or an error of Cassandra's driver.
        """
        started = time.monotonic()
        self._learn_prefixes()
        with self._postgres.snapshot() as rows:
            self._delivery.wait(rows.lsn)
            self._metrics.wait_seconds.labels(self._fid).observe(time.monotonic() - started)
            self._forget_expired(rows)
            # First, so that a slice whose proof is withdrawn is proven again before metrics are published: a candle
            # that has closed must not make it look as if nothing had been proven since it opened.
            self._recheck(rows)
            for stream, window in self._slices(rows):
                self._prove(stream, window, rows)
                if self._stop.is_set() or time.monotonic() - started > PASS_S:
                    break
            self._merge()
            self._publish(rows)
        self._health.beat()

    def _slices(self, rows: Snapshot) -> Iterator[tuple[Stream, Window]]:
        """Yield the unproven slices, oldest first, alternating between tables; finally one slice that was unequal."""
        unproven = {stream.table: self._unproven(stream, rows) for stream in self._target.streams}
        waiting = list(self._target.streams)
        while waiting:
            for stream in list(waiting):
                window = next(unproven[stream.table], None)
                if window is None:
                    waiting.remove(stream)
                else:
                    yield stream, window
        if self._unequal:
            table, window = next(iter(self._unequal))
            yield next(stream for stream in self._target.streams if stream.table == table), window

    def _unproven(self, stream: Stream, rows: Snapshot) -> Iterator[Window]:
        proven = [proof.window for proof in self._proofs.of(stream)]
        unequal = [window for table, window in self._unequal if table == stream.table]
        for gap in subtract(self._wanted(stream, rows), [*proven, *unequal]):
            start = gap.start
            while start < gap.end:
                window = next(cut(Window(start, gap.end), self._lengths[stream.table]))
                yield window
                start = window.end

    def _wanted(self, stream: Stream, rows: Snapshot) -> list[Window]:
        least = window_of(self._target, rows.taken_ms, None, None).start
        return provable(rows.days(stream), least, rows.taken_ms)

    def _forget_expired(self, rows: Snapshot) -> None:
        """Forget unequal slices whose rows have expired in Cassandra, or will soon: all of them would be missing."""
        least = window_of(self._target, rows.taken_ms, None, None).start
        self._unequal = {at: result for at, result in self._unequal.items() if at[1].start >= least}

    def _prove(self, stream: Stream, window: Window, rows: Snapshot) -> None:
        dropped = dropped_days(rows.connection, rows.names, stream)
        others = [result for (table, at), result in self._unequal.items() if table == stream.table and at != window]
        resolve = self._repairing.begin(stream, window, extra=any(result.extra for result in others))
        comparison = Comparison(
            stream, self._cassandra, self._postgres.snapshot, self._delivery.wait, self._paced, dropped, resolve
        )
        comparison.compare(rows, window, self._partitions(stream, window))
        comparison.settle()
        self._repairing.end(stream, window)
        result = comparison.result
        sums = rows.sums(stream, window)
        assert sums.rows == result.rows, "one snapshot gives one count"
        self._rechecks.counted(stream.table, window, rows.taken_ms, sums.open_until)
        self._lengths[stream.table] = next_length(self._lengths[stream.table], result.rows)
        self._metrics.rows.labels(self._fid, stream.table).inc(result.rows)
        self._metrics.buckets.labels(self._fid, stream.table, "equal").inc(result.buckets - result.unequal_buckets)
        self._metrics.buckets.labels(self._fid, stream.table, "unequal").inc(result.unequal_buckets)
        result.kept.clear()
        before = self._unequal.pop((stream.table, window), None)
        if result.equal:
            self._proofs.add(stream, Proof(window, sums.rows, sums.versions, rows.lsn))
            return
        self._unequal[stream.table, window] = result
        if result == before:
            return
        log.error(
            "%s differs between %s and %s: %d missing, %d extra, %d different; `cryptocdc verify --explain` shows them",
            stream.table, iso(window.start), iso(window.end), result.missing, result.extra, result.different,
        )  # fmt: skip

    def _paced(self, rows: int) -> None:
        self._health.beat()
        self._pace(rows)

    def _partitions(self, stream: Stream, window: Window) -> list[Partition]:
        """Return the partitions in which Cassandra may have rows of `window`."""
        return [part for prefix in self._prefixes[stream.table] for part in partitions_of(stream, prefix, window)]

    def _learn_prefixes(self) -> None:
        if time.monotonic() - self._prefixes_at < PREFIXES_S:
            return
        for stream in self._target.streams:
            self._prefixes[stream.table] = {partition.prefix for partition in self._cassandra.partitions(stream)}
        self._prefixes_at = time.monotonic()

    def _recheck(self, rows: Snapshot) -> None:
        """Withdraw the proofs of slices whose rows have changed since."""
        proofs: list[tuple[Stream, Proof]] = []
        for stream in self._target.streams:
            wanted = self._wanted(stream, rows)
            proofs += [(stream, proof) for proof in self._proofs.of(stream) if any(map(proof.window.meet, wanted))]

        def count(at: int) -> int:
            stream, proof = proofs[at]
            sums = rows.sums(stream, proof.window)
            self._rechecks.counted(stream.table, proof.window, rows.taken_ms, sums.open_until)
            if (sums.rows, sums.versions) != (proof.rows, proof.versions):
                self._proofs.withdraw(stream, proof)
                self._metrics.reproofs.labels(self._fid, stream.table).inc()
            return sums.rows

        self._rechecks.run([(stream.table, proof) for stream, proof in proofs], rows.taken_ms, count)

    def _merge(self) -> None:
        for stream in self._target.streams:
            for parts in full_hours(self._proofs.of(stream)):
                whole = self._proofs.merge(stream, parts)
                self._rechecks.merged(stream.table, [part.window for part in parts], whole.window)

    def _publish(self, rows: Snapshot) -> None:
        for stream in self._target.streams:
            found = [result for (table, _), result in self._unequal.items() if table == stream.table]
            for kind in ("missing", "extra", "different"):
                count = sum(getattr(result, kind) for result in found)
                self._metrics.differences.labels(self._fid, stream.table, kind).set(count)
            self._repairing.publish(stream, [window for table, window in self._unequal if table == stream.table])
            proofs = self._proofs.of(stream)
            self._metrics.proven_rows.labels(self._fid, stream.table).set(sum(proof.rows for proof in proofs))
            through = proven_through(self._wanted(stream, rows), proofs)
            if through is not None:
                self._metrics.proven_through.labels(self._fid, stream.table).set(through / 1000)
                self._metrics.unproven_seconds.labels(self._fid, stream.table).set_function(
                    partial(self._unproven_s, rows.days(stream), through)
                )

    def _unproven_s(self, days: Sequence[int], through: int) -> float:
        """Return the metric's value when it is scraped, also if proving has stopped meanwhile."""
        now = now_ms()
        return unproven_s(days, window_of(self._target, now, None, None).start, now, through)

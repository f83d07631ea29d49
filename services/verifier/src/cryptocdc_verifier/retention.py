"""PostgreSQL's retention: partitions are dropped once they are old, confirmed by the slot and proven equal."""

from __future__ import annotations

import logging

import psycopg2

from cryptocdc_adapters import slots
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.ddl import DAY_MS, partition_name
from cryptocdc_core.metrics import VerifierMetrics
from cryptocdc_core.names import quoted
from cryptocdc_verifier.postgres import PostgresSide
from cryptocdc_verifier.proofs import Proof, Proofs
from cryptocdc_verifier.target import Target
from cryptocdc_verifier.window import Window, subtract

log = logging.getLogger("cryptocdc.verifier")

_LOCK_TIMEOUT_MS = 2000


class Retention:
    """Drops partitions of days that ended more than the feed's `retention.postgres` ago."""

    def __init__(self, target: Target, postgres: PostgresSide, metrics: VerifierMetrics) -> None:
        self._target = target
        self._postgres = postgres
        self._proofs = Proofs(postgres.connection, target.names)
        self._metrics = metrics

    def drop_old(self) -> list[str]:
        """Drop old partitions and return their names. Raises psycopg2.Error."""
        kept_s = self._target.postgres_retention_s
        if kept_s is None:
            return []
        dropped = []
        with self._postgres.snapshot() as rows:
            slot = slots.read_with(self._postgres.connection, self._target.names.slot)
            for stream in self._target.streams:
                proofs = self._proofs.of(stream)
                for day in rows.days(stream):
                    window = Window(day, day + DAY_MS)
                    if window.end > rows.taken_ms - kept_s * 1000:
                        continue
                    inside = [proof for proof in proofs if proof.window.meet(window)]
                    if not proven(window, inside, slot):
                        continue
                    if self._drop(stream, day, inside):
                        dropped.append(partition_name(stream, day))
        return dropped

    def _drop(self, stream: Stream, day: int, proofs: list[Proof]) -> bool:
        """Drop a day's partition, and return True, unless it is in use or has changed since its proofs."""
        name = partition_name(stream, day)
        partition = f"{quoted(self._target.names.schema)}.{quoted(name)}"
        connection = self._postgres.connection
        with connection.cursor() as cursor:
            cursor.execute(f"BEGIN; SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}")
            try:
                # Prevents writes between the count and the drop.
                cursor.execute(f"LOCK TABLE {partition} IN SHARE MODE")
                cursor.execute(f"SELECT count(*), coalesce(sum(version), 0) FROM {partition}")  # noqa: S608
                found = cursor.fetchone()
                expected = sum(proof.rows for proof in proofs), sum(proof.versions for proof in proofs)
                if found is None or (int(found[0]), int(found[1])) != expected:
                    cursor.execute("ROLLBACK")
                    log.info("%s is kept: its rows have changed since they were proven", name)
                    return False
                cursor.execute(f"DROP TABLE {partition}")
                self._proofs.dropped(cursor, stream, day, proofs)
                cursor.execute("COMMIT")
            except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected):
                cursor.execute("ROLLBACK")
                log.info("%s is in use and will be dropped later", name)
                return False
        self._metrics.partitions_dropped.labels(self._target.names.fid, stream.table).inc()
        log.info("%s dropped: its %d rows are proven in Cassandra", name, expected[0])
        return True


def proven(window: Window, proofs: list[Proof], slot: slots.Slot | None) -> bool:
    """Return whether all of `window` is proven and the slot has confirmed the LSNs of all proofs."""
    if slot is None or not slot.usable or subtract([window], [proof.window for proof in proofs]):
        return False
    return slot.confirmed >= max(proof.lsn for proof in proofs)

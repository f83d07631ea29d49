"""PostgreSQL's retention: partitions are dropped once they are old, confirmed by the slots and proven equal."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import psycopg2

from cryptocdc_adapters.postgres.proofs import Proof
from cryptocdc_adapters.replication import slots
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.names import quoted
from cryptocdc_core.program.metrics import VerifierMetrics
from cryptocdc_core.storage.ddl import DAY_MS, partition_name
from cryptocdc_core.storage.windows import Window, subtract
from cryptocdc_verifier.comparing.postgres import PostgresSide
from cryptocdc_verifier.continuous.proofs import Proofs
from cryptocdc_verifier.delivery.slots_passed import absent
from cryptocdc_verifier.target import Target

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
            found = slots.of_feed(self._postgres.connection, self._target.names)
            missing = absent(self._target.names, found, self._target.feed.spec.scaling.connectors)
            made = [*found.values(), *(None for _ in missing)]
            for stream in self._target.streams:
                proofs = self._proofs.of(stream)
                for day in rows.days(stream):
                    window = Window(day, day + DAY_MS)
                    if window.end > rows.taken_ms - kept_s * 1000:
                        continue
                    inside = [proof for proof in proofs if proof.window.meet(window)]
                    if not proven(window, inside, made):
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


def proven(window: Window, proofs: list[Proof], made: Sequence[slots.Slot | None]) -> bool:
    """Return whether all of `window` is proven and each slot of the feed, None if it is missing, has confirmed the LSNs
    of all proofs."""
    if subtract([window], [proof.window for proof in proofs]):
        return False
    newest = max(proof.lsn for proof in proofs)
    return all(slot is not None and slot.usable and slot.confirmed >= newest for slot in made)

"""Replication slots: the position of a feed's change data capture in PostgreSQL's WAL."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import psycopg2
from psycopg2.extensions import connection as Connection

from cryptocdc_adapters.postgres.connections import answering, connect
from cryptocdc_adapters.replication.connect import Position
from cryptocdc_core.names import Names
from cryptocdc_core.program.backoff import retry
from cryptocdc_core.program.settings import PostgresSettings, ReplicationSettings
from cryptocdc_core.storage.shards import Shard, of_slots, pattern

_FAILOVER_FROM = 170000
"""The first version of PostgreSQL whose slots survive a failover."""


@dataclass(frozen=True, slots=True)
class Slot:
    """`confirmed` is the LSN, as a number of bytes, up to which every change is safe in Kafka."""

    name: str
    confirmed: int
    active: bool
    wal_status: str
    """reserved, extended, unreserved, or lost: the last means that changes are gone."""
    retained_bytes: int
    """WAL that PostgreSQL retains for it."""

    @property
    def usable(self) -> bool:
        return self.wal_status != "lost"


def lost(slot: Slot | None, position: Position | None) -> str | None:
    """Why changes were lost between the slot and a connector that has committed `position` (see Connect.position); None
    when none were. Read the slot first: while the connector runs, both only ever grow.
    """
    if position is None:
        return None
    if slot is None:
        return "it is gone"
    if not slot.usable:
        return "PostgreSQL removed log that it had not read"
    if slot.confirmed > position.lsn > 0:
        return "it is not the one that the connector read: it begins after the connector's position"
    return None


_SELECT = """
    SELECT slot_name, coalesce(confirmed_flush_lsn, '0/0') - '0/0', active, coalesce(wal_status, 'lost'),
           coalesce(pg_current_wal_lsn() - restart_lsn, 0)
    FROM pg_replication_slots WHERE slot_name ~ %s ORDER BY slot_name
"""


def read(settings: PostgresSettings, name: str) -> Slot | None:
    """Return the slot, None if it does not exist. Raises psycopg2.Error."""
    with contextlib.closing(connect(settings, "slots", autocommit=True)) as connection:
        return next(iter(_matching(connection, f"^{name}$")), None)


def of_feed(connection: Connection, names: Names) -> dict[Shard, Slot]:
    """Return the feed's slots, of whatever number of connectors. Raises psycopg2.Error."""
    found = {slot.name: slot for slot in _matching(connection, pattern(names.slot))}
    return {shard: found[name] for name, shard in of_slots(names, found).items()}


def _matching(connection: Connection, expression: str) -> list[Slot]:
    with answering(connection), connection.cursor() as cursor:
        cursor.execute(_SELECT, (expression,))
        return [Slot(row[0], int(row[1]), row[2], row[3], int(row[4])) for row in cursor.fetchall()]


def create(settings: PostgresSettings, replication: ReplicationSettings, name: str) -> None:
    """Create the slot, as Debezium would, if it does not exist. Raises psycopg2.Error, also if none is free."""
    with _replicating(settings, replication) as connection, connection.cursor() as cursor:
        failover = ", failover => true" if connection.server_version >= _FAILOVER_FROM else ""
        with contextlib.suppress(psycopg2.errors.DuplicateObject):
            cursor.execute(f"SELECT pg_create_logical_replication_slot(%s, 'pgoutput'{failover})", (name,))


def drop(settings: PostgresSettings, replication: ReplicationSettings, name: str, timeout_s: float = 30) -> None:
    """Drop the slot if it exists, as the replication user. A connector that has just stopped holds it for a moment."""
    with _replicating(settings, replication) as connection:

        def dropped() -> None:
            with contextlib.suppress(psycopg2.errors.UndefinedObject), connection.cursor() as cursor:
                cursor.execute("SELECT pg_drop_replication_slot(%s)", (name,))

        retry(dropped, psycopg2.errors.ObjectInUse, timeout_s, 0.3)


def _replicating(settings: PostgresSettings, replication: ReplicationSettings) -> contextlib.closing[Connection]:
    """Return a connection as the replication user, who owns the slots."""
    login = settings.model_copy(update={"user": replication.user, "password": replication.password})
    return contextlib.closing(connect(login, "slots", autocommit=True))

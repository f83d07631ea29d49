"""Replication slots: the position of a feed's change data capture in PostgreSQL's WAL."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import psycopg2
from psycopg2.extensions import connection as Connection

from cryptocdc_adapters.postgres import connect
from cryptocdc_core.backoff import retry
from cryptocdc_core.settings import PostgresSettings, ReplicationSettings


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


def lost(slot: Slot | None, position: int | None) -> str | None:
    """Why changes were lost between the slot and a connector that has committed `position` (see Connect.position); None
    when none were. Read the slot first: while the connector runs, both only ever grow.
    """
    if position is None:
        return None
    if slot is None:
        return "it is gone"
    if not slot.usable:
        return "PostgreSQL removed log that it had not read"
    if slot.confirmed > position > 0:
        return "it is not the one that the connector read: it begins after the connector's position"
    return None


_SELECT = """
    SELECT slot_name, coalesce(confirmed_flush_lsn, '0/0') - '0/0', active, coalesce(wal_status, 'lost'),
           coalesce(pg_current_wal_lsn() - restart_lsn, 0)
    FROM pg_replication_slots WHERE slot_name = %s
"""


def read(settings: PostgresSettings, name: str) -> Slot | None:
    """Return the slot, None if it does not exist. Raises psycopg2.Error."""
    connection = connect(settings, "slots", autocommit=True)
    try:
        return read_with(connection, name)
    finally:
        connection.close()


def read_with(connection: Connection, name: str) -> Slot | None:
    """Like `read`, on an existing connection."""
    with connection.cursor() as cursor:
        cursor.execute(_SELECT, (name,))
        row = cursor.fetchone()
    return None if row is None else Slot(row[0], int(row[1]), row[2], row[3], int(row[4]))


def drop(settings: PostgresSettings, replication: ReplicationSettings, name: str, timeout_s: float = 30) -> None:
    """Drop the slot if it exists, as the replication user. A connector that has just stopped holds it for a moment."""
    connection = connect(
        settings.model_copy(update={"user": replication.user, "password": replication.password}),
        "slots",
        autocommit=True,
    )

    def dropped() -> None:
        with contextlib.suppress(psycopg2.errors.UndefinedObject), connection.cursor() as cursor:
            cursor.execute("SELECT pg_drop_replication_slot(%s)", (name,))

    try:
        retry(dropped, psycopg2.errors.ObjectInUse, timeout_s, 0.3)
    finally:
        connection.close()

"""Makes PostgreSQL send rows again: each is updated to itself, so that it takes the same way as any other change."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import psycopg2
from psycopg2.errors import DeadlockDetected
from psycopg2.extensions import connection as Connection

from cryptocdc_adapters.postgres.connections import answering
from cryptocdc_core.catalogue import NEWEST, Stream, Type
from cryptocdc_core.names import Names, literal, quoted
from cryptocdc_core.program.backoff import retry
from cryptocdc_verifier.comparing.canonical import Key, time_of
from cryptocdc_verifier.comparing.postgres import READ_S, timestamp

NEXT_VERSION = 1000
"""From a version to that of the next millisecond: the last three digits are a rank."""
DEADLOCKED_S = 10.0
"""How long a transaction is repeated that a deadlock ends."""


class Resent(NamedTuple):
    """A row that has version `before`, to be sent with version `after`."""

    key: Key
    before: int
    after: int


def resend(connection: Connection, names: Names, stream: Stream, rows: Sequence[Resent]) -> int:
    """Send `rows` again in one transaction, and return how many there were.

    A row that has changed meanwhile, or is gone, is left alone: its change is on its way. `connection` is in autocommit
    mode. Raises psycopg2.Error.
    """
    # A producer updates some of the same rows in another order; PostgreSQL ends one of the two.
    return retry(partial(_resend, connection, names, stream, rows), DeadlockDetected, DEADLOCKED_S, 0.1)


def _resend(connection: Connection, names: Names, stream: Stream, rows: Sequence[Resent]) -> int:
    table = f"{quoted(names.schema)}.{quoted(stream.table)}"
    with answering(connection, READ_S), connection.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            cursor.execute(_statement(table, stream, rows))
            sent = cursor.rowcount
            if stream.table in NEWEST:
                for symbol, raised in _raised(rows).items():
                    cursor.execute(_renew_newest(table, stream), (raised + NEXT_VERSION, symbol, symbol, raised))
        except BaseException:
            with suppress(psycopg2.Error):  # of a lost connection there is nothing to roll back
                cursor.execute("ROLLBACK")
            raise
        cursor.execute("COMMIT")
    return int(sent)


def _statement(table: str, stream: Stream, rows: Sequence[Resent]) -> str:
    # A value that is stored out of line and does not change is not in the WAL: building arrays again puts them there.
    arrays = "".join(
        f", {quoted(column.name)} = t.{quoted(column.name)} || '{{}}'"
        for column in stream.columns
        if column.type is Type.DECIMALS
    )
    values = ", ".join(
        f"({', '.join(_literal(stream.types[name], part) for name, part in zip(stream.key, row.key, strict=True))},"
        f" {row.before}::bigint, {row.after}::bigint)"
        for row in rows
    )
    names = ", ".join(map(quoted, stream.key))
    equal = " AND ".join(f"t.{quoted(name)} = r.{quoted(name)}" for name in stream.key)
    times = [time_of(stream, row.key) for row in rows]
    # The bounds exclude the other days' partitions.
    bounds = f"t.{quoted(stream.time)} BETWEEN {timestamp(min(times))} AND {timestamp(max(times))}"
    return (
        f"UPDATE {table} t SET version = r.version_after{arrays}"  # noqa: S608 - quoted
        f" FROM (VALUES {values}) r ({names}, version_before, version_after)"
        f" WHERE {equal} AND t.version = r.version_before AND {bounds}"
    )


def _raised(rows: Sequence[Resent]) -> dict[str, int]:
    """Return the greatest raised version of each symbol."""
    found: dict[str, int] = {}
    for row in rows:
        if row.after > row.before:
            symbol = row.key[0].decode()
            found[symbol] = max(row.after, found.get(symbol, 0))
    return found


def _renew_newest(table: str, stream: Stream) -> str:
    """Return the statement that raises the version of a symbol's newest row, if it is not greater already.

    The table with the newest row of every symbol goes by the version: an older row with a raised one would replace the
    newest row there.
    """
    time = quoted(stream.time)
    return (
        f"UPDATE {table} SET version = %s WHERE symbol = %s AND {time} ="  # noqa: S608 - quoted
        f" (SELECT max({time}) FROM {table} WHERE symbol = %s) AND version < %s"
    )


def _literal(kind: Type, part: bytes) -> str:
    if kind is Type.TIMESTAMP:
        return f"{timestamp(int(part))}::timestamp(3)"
    text = part.decode()
    if kind is not Type.TEXT:
        return f"{int(text)}::{kind.postgres}"
    return f"{literal(text)}::text"

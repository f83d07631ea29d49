"""Reads PostgreSQL: snapshots, their rows as lines, and partitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg2
from psycopg2.extensions import connection as Connection

from cryptocdc_adapters.postgres.connections import answering, connect
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.names import Names, quoted
from cryptocdc_core.program.settings import PostgresSettings
from cryptocdc_core.storage.ddl import DAY_MS, HEARTBEAT, partition_day
from cryptocdc_core.storage.windows import Partition, Window
from cryptocdc_verifier.comparing.canonical import postgres_columns
from cryptocdc_verifier.target import VerifyError

Take = Callable[[bytes], None]
READ_S = 600.0
"""How long one statement may read: a day of a busy feed, on a busy machine."""


def timestamp(at_ms: int) -> str:
    """Return a literal of type timestamp(3), infinity after the year 9999, where Python's datetime ends."""
    if at_ms >= 253_402_300_800_000:
        return "'infinity'"
    return f"'{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S.%f}'"


class Sums(NamedTuple):
    """The number of rows, the sum of their versions, and the end time in milliseconds of the first row that is still
    open, None if there is none."""

    rows: int
    versions: int
    open_until: int | None


class _Lines:
    """The target of COPY: psycopg2 writes one row at a time, as a line."""

    def __init__(self, take: Take) -> None:
        self._take = take

    def write(self, data: bytes) -> int:
        self._take(data[:-1])
        return len(data)


class Snapshot:
    """A REPEATABLE READ transaction, started at `taken_ms`: every change in it is before `lsn` in the WAL."""

    def __init__(self, connection: Connection, names: Names) -> None:
        self.connection = connection
        self.names = names
        self._schema = quoted(names.schema)
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        # The statement takes the snapshot before it reads the position. It is the insert position, since a visible
        # commit may not have been written to disk yet.
        lsn, at = self.ask("SELECT pg_current_wal_insert_lsn() - '0/0', extract(epoch from clock_timestamp()) * 1000")[
            0
        ]
        self.lsn, self.taken_ms = int(lsn), int(at)

    def ask(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with answering(self.connection, READ_S), self.connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall()

    def table(self, stream: Stream) -> str:
        return f"{self._schema}.{quoted(stream.table)}"

    def days(self, stream: Stream) -> list[int]:
        """Return the starts of the days with a partition, sorted."""
        found = self.ask(
            "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid"
            " WHERE inhparent = to_regclass(%s)",
            (self.table(stream),),
        )
        return sorted(partition_day(stream, name) for (name,) in found)

    def read(self, stream: Stream, window: Window, take: Take) -> None:
        """Call `take` with every row in `window`, as a line, in no particular order. Within a day it uses the index by
        symbol."""
        symbols = self._symbols(stream, window) if window.end - window.start < DAY_MS else None
        self._copy(stream, self._within(stream, window, symbols), take)

    def read_partition(self, stream: Stream, partition: Partition, window: Window, take: Take) -> None:
        """Call `take` with every row of one Cassandra partition in `window`, as a line."""
        bucket = partition.window(stream).meet(window)
        if bucket is None:
            return
        with self.connection.cursor() as cursor:
            prefix = " AND ".join(
                cursor.mogrify(f"{quoted(name)} = %s", (value,)).decode()
                for name, value in zip(stream.partition, partition.prefix, strict=True)
            )
        self._copy(stream, f"{prefix} AND {self._within(stream, bucket, None)}", take)

    def sums(self, stream: Stream, window: Window) -> Sums:
        """Return the sums of the rows in `window`: cheap, and changed by every insert, update and delete."""
        symbols = self._symbols(stream, window) if window.end - window.start < DAY_MS else None
        where = self._within(stream, window, symbols)
        until = "NULL"
        if stream.open_until is not None:
            final, end = map(quoted, stream.open_until)
            until = f"(extract(epoch from min({end}) FILTER (WHERE NOT {final})) * 1000)::bigint"
        found = self.ask(
            f"SELECT count(*), coalesce(sum(version), 0), {until} FROM {self.table(stream)} WHERE {where}"  # noqa: S608
        )
        rows, versions, open_until = found[0]
        return Sums(int(rows), int(versions), None if open_until is None else int(open_until))

    def _within(self, stream: Stream, window: Window, symbols: list[str] | None) -> str:
        time = quoted(stream.time)
        where = f"{time} >= {timestamp(window.start)} AND {time} < {timestamp(window.end)}"
        if symbols is None:
            return where
        with self.connection.cursor() as cursor:
            return cursor.mogrify("symbol = ANY(%s) AND ", (symbols,)).decode() + where

    def _symbols(self, stream: Stream, window: Window) -> list[str]:
        """Return the symbols of the days that `window` overlaps, with one index lookup each.

        The primary key begins with the symbol: with the list of symbols, a short window of a day is found by the index.
        """
        time, table = quoted(stream.time), self.table(stream)
        start = window.start - window.start % DAY_MS
        end = window.end - 1 + DAY_MS - (window.end - 1) % DAY_MS
        day = f"{time} >= {timestamp(start)} AND {time} < {timestamp(end)}"
        found = self.ask(
            f"WITH RECURSIVE s AS ((SELECT symbol FROM {table} WHERE {day} ORDER BY symbol LIMIT 1) UNION ALL"  # noqa: S608
            f" SELECT (SELECT symbol FROM {table} t WHERE t.symbol > s.symbol AND {day} ORDER BY symbol LIMIT 1)"
            " FROM s WHERE s.symbol IS NOT NULL) SELECT symbol FROM s WHERE symbol IS NOT NULL"
        )
        return [row[0] for row in found]

    def _copy(self, stream: Stream, where: str, take: Take) -> None:
        query = f"SELECT {postgres_columns(stream)} FROM {self.table(stream)} WHERE {where}"  # noqa: S608
        with answering(self.connection, READ_S), self.connection.cursor() as cursor:
            cursor.copy_expert(f"COPY ({query}) TO STDOUT", _Lines(take))


class PostgresSide:
    """Takes snapshots, and advances the slot."""

    def __init__(self, settings: PostgresSettings, names: Names, streams: Sequence[Stream]) -> None:
        """Connect. Raises VerifyError if PostgreSQL can't be reached or the feed has no tables there."""
        self._settings = settings
        self._names = names
        try:
            self.connection = connect(settings, "verifier", autocommit=True)
        except psycopg2.OperationalError as error:
            raise VerifyError(
                f"PostgreSQL at {settings.host}:{settings.port}: {' '.join(str(error).split())}"
            ) from None
        with self.connection.cursor() as cursor:
            tables = [*(s.table for s in streams), HEARTBEAT]
            cursor.execute(
                "SELECT name FROM unnest(%s) name WHERE to_regclass(%s || '.' || quote_ident(name)) IS NULL",
                (tables, quoted(names.schema)),
            )
            absent = [row[0] for row in cursor.fetchall()]
        if absent:
            self.connection.close()
            raise VerifyError(
                f"PostgreSQL has no table {', '.join(absent)} in schema {names.schema}; was the feed applied?"
            )

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        connection = connect(self._settings, "verifier-snapshot", holding=True)
        try:
            yield Snapshot(connection, self._names)
        finally:
            connection.close()

    def beat(self) -> int:
        """Commit a heartbeat, so that the slot has something to confirm, and return the position after it."""
        with answering(self.connection), self.connection.cursor() as cursor:
            cursor.execute(f"UPDATE {quoted(self._names.schema)}.{HEARTBEAT} SET beat_at = now() WHERE id = 1")  # noqa: S608
            cursor.execute("SELECT pg_current_wal_insert_lsn() - '0/0'")
            found = cursor.fetchone()
        assert found is not None
        return int(found[0])

    def close(self) -> None:
        self.connection.close()

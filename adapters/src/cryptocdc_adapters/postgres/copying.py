"""Writes rows to a stream's PostgreSQL table: the newest version wins, whatever the order."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

import msgspec
from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import execute_values

from cryptocdc_core.catalogue import Stream, Type
from cryptocdc_core.names import Names, quoted
from cryptocdc_core.rows.typed import Row

COPY_FROM_ROWS = 100
"""Below, one INSERT with values is faster than COPY into a temporary table (reference: native-stack)."""

NULL = "\\N"
"""Null in COPY's format. No value can equal it: `_text` accepts no backslash."""


class Upsert:
    """Writes rows of one stream."""

    def __init__(self, names: Names, stream: Stream) -> None:
        self._key: Callable[[Row], tuple[Any, ...]] = attrgetter(*stream.key)
        self._time: Callable[[Row], int] = attrgetter(stream.time)
        self._encoders = [_ENCODERS[column.type] for column in stream.columns]
        self._temporary = quoted(f"incoming_{stream.table}")
        self._root = f"{quoted(names.schema)}.{quoted(stream.table)}"
        columns = ", ".join(map(quoted, stream.column_names))
        key = ", ".join(map(quoted, stream.key))
        values = ", ".join(f"{quoted(c.name)} = EXCLUDED.{quoted(c.name)}" for c in stream.values)
        conflict = (
            f" ON CONFLICT ({key}) DO UPDATE SET {values} WHERE {quoted(stream.table)}.version < EXCLUDED.version"
        )
        self._insert = f"INSERT INTO {self._root} AS {quoted(stream.table)} ({columns}) VALUES %s{conflict}"  # noqa: S608
        self._merge = (
            f"INSERT INTO {self._root} AS {quoted(stream.table)} ({columns})"  # noqa: S608
            f" SELECT {columns} FROM {self._temporary}{conflict}"
        )
        self._copy = f"COPY {self._temporary} ({columns}) FROM STDIN"

    def newest(self, rows: Sequence[Row]) -> list[Row]:
        """Keep the greatest version of each key: a statement may touch a key only once."""
        found: dict[tuple[Any, ...], Row] = {}
        key = self._key
        for row in rows:
            at = key(row)
            there = found.get(at)
            if there is None or there.version < row.version:
                found[at] = row
        return list(found.values())

    def days(self, rows: Sequence[Row]) -> set[int]:
        """Return the starts, in ms, of the UTC days whose partitions contain the rows."""
        return {at - at % 86_400_000 for at in map(self._time, rows)}

    def write(self, cursor: Cursor, rows: Sequence[Row]) -> None:
        """Write rows within the caller's transaction. Raises psycopg2.Error, or ValueError for unencodable text."""
        encoders, astuple = self._encoders, msgspec.structs.astuple
        texts = [
            [NULL if value is None else encode(value) for encode, value in zip(encoders, astuple(row), strict=True)]
            for row in self.newest(rows)
        ]
        if len(texts) < COPY_FROM_ROWS:
            values = [[None if text == NULL else text for text in row] for row in texts]
            execute_values(cursor, self._insert, values, page_size=COPY_FROM_ROWS)
            return
        cursor.execute(
            f"CREATE TEMPORARY TABLE IF NOT EXISTS {self._temporary} (LIKE {self._root} INCLUDING DEFAULTS)"
            " ON COMMIT DELETE ROWS"
        )
        # Encoded here, so that unencodable text is an error of its row, not of the connection.
        lines = "".join(["\t".join(text) + "\n" for text in texts]).encode()
        cursor.copy_expert(self._copy, io.BytesIO(lines))
        cursor.execute(self._merge)


_seconds: dict[int, str] = {}


def _timestamp(at_ms: int) -> str:
    """ "2026-11-21 08:15:00.123" in UTC. Rows of a batch share few seconds, so their text is kept."""
    second, millisecond = divmod(at_ms, 1000)
    text = _seconds.get(second)
    if text is None:
        if len(_seconds) > 10_000:
            _seconds.clear()
        text = _seconds[second] = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}"
    return f"{text}.{millisecond:03d}"


def _array(values: list[str]) -> str:
    return "{" + ",".join(values) + "}"


def _text(value: str) -> str:
    """Escaped as COPY reads it. Symbols and intervals need no escape, but a table's writer must not rely on that."""
    if "\\" in value or "\t" in value or "\n" in value or "\r" in value:
        raise ValueError(f"{value!r}: texts must not contain a backslash, a tab or a line break")
    return value


_ENCODERS: dict[Type, Callable[[Any], str]] = {
    Type.TEXT: _text,
    Type.BIGINT: str,
    Type.INTEGER: str,
    Type.BOOLEAN: lambda value: "t" if value else "f",
    Type.DECIMAL: str,
    Type.DECIMALS: _array,
    Type.TIMESTAMP: _timestamp,
}

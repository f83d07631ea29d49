"""From a change to the bytes of its CQL statement."""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable, Sequence
from operator import attrgetter
from typing import Any

from cryptocdc_adapters.cassandra import statement_head
from cryptocdc_consumer.cql import ENCODERS, FORMATS, bigint, routing_key, text
from cryptocdc_core.catalogue import Bucket, Column, Derived, Stream, Type
from cryptocdc_core.changes import Change
from cryptocdc_core.names import quoted
from cryptocdc_core.versions import deletion_version

Prepare = Callable[[str], bytes]
"""Prepares a statement and gives its id."""

Key = tuple[Hashable, ...]
"""What makes a partition of one table: the values of `Stream.partition`, then the bucket's start in milliseconds."""

DAY_MS = 86_400_000
FOREVER = 0
"""As a TTL."""


class StreamEncoder:
    """Encodes one stream's changes, about 2 µs each: what does not change from row to row is worked out once, here.

    Columns of variable size come first; all of fixed size follow in one struct, with the timestamp and the TTL.
    """

    def __init__(self, stream: Stream, keyspace: str, retention_s: int | None, prepare: Prepare) -> None:
        self.stream = stream
        self._retention_s = retention_s
        variable = [c for c in stream.columns if c.type not in FORMATS]
        fixed = [c for c in stream.columns if c.type in FORMATS]
        names = [
            *(c.name for c in variable), "op", "lsn",
            *(c.name for c in fixed), stream.bucket.value, "committed_at", "produced_at", "written_at",
        ]  # fmt: skip
        self._head = statement_head(prepare(insert_statement(keyspace, stream.table, names)), len(names) + 2)
        self._variable = attrgetter(*(c.name for c in variable), "op", "lsn")
        self._encoders: list[Callable[[Any], bytes]] = [*(ENCODERS[c.type] for c in variable), text, bigint]
        self._fixed = attrgetter(*(c.name for c in fixed))
        formats = [FORMATS[c.type] for c in fixed] + [FORMATS[Type.TIMESTAMP]] * 4 + [(8, "q"), (4, "i")]
        self._pack = struct.Struct(">" + "".join(f"i{letter}" for _, letter in formats)).pack
        self._sizes = [size for size, _ in formats for _ in range(2)]
        self._own = slice(1, 2 * len(fixed), 2)
        self._added = slice(2 * len(fixed) + 1, None, 2)

        where = [*stream.partition, stream.bucket.value, *stream.clustering]
        self._delete_head = statement_head(prepare(delete_statement(keyspace, stream.table, where)), len(where) + 1)
        self._partition = attrgetter(*stream.partition)
        self._several = len(stream.partition) > 1
        self._clustering = [(attrgetter(name), ENCODERS[stream.types[name]]) for name in stream.clustering]
        self._time = attrgetter(stream.time)
        self.event = attrgetter(stream.event)
        self._months: dict[int, int] = {}

    def key(self, change: Change) -> Key:
        """The partition that holds the change's row."""
        at = self._time(change)
        bucket = self.stream.bucket
        if bucket is Bucket.HOUR:
            start = at - at % 3_600_000
        elif bucket is Bucket.DAY:
            start = at - at % DAY_MS
        else:
            start = self._month(at)
        return (*self._partition(change), start) if self._several else (self._partition(change), start)

    def ttl(self, change: Change, now_ms: int) -> int | None:
        """Seconds that the row has left of the retention, FOREVER without one, None when none are left."""
        if self._retention_s is None:
            return FOREVER
        left = self._retention_s - (now_ms - self._time(change)) // 1000
        return left if left > 0 else None

    def insert(self, change: Change, bucket_ms: int, produced_ms: int, written_ms: int, ttl: int) -> bytes:
        """The row, written at its version. Raises Unencodable or struct.error for a value its type can't hold."""
        values: list[Any] = self._sizes.copy()
        values[self._own] = self._fixed(change)
        values[self._added] = (
            bucket_ms, change.committed_us // 1000, produced_ms, written_ms, change.version, ttl,  # type: ignore[attr-defined]
        )  # fmt: skip
        parts = [encode(value) for encode, value in zip(self._encoders, self._variable(change), strict=True)]
        return b"".join((self._head, *parts, self._pack(*values)))

    def delete(self, change: Change, bucket_ms: int) -> bytes:
        """Of a delete only the key's columns mean anything, so nothing else is looked at."""
        return b"".join(
            (
                self._delete_head,
                bigint(deletion_version(change.committed_us)),
                *self._partition_parts(self.key(change)[:-1]),
                bigint(bucket_ms),
                *(encode(get(change)) for get, encode in self._clustering),
            )
        )

    def routing_key(self, key: Key) -> bytes:
        return routing_key([*self._partition_parts(key[:-1]), bigint(key[-1])])  # type: ignore[arg-type]

    def _partition_parts(self, values: Key) -> list[bytes]:
        return [
            ENCODERS[self.stream.types[name]](value) for name, value in zip(self.stream.partition, values, strict=True)
        ]

    def _month(self, at_ms: int) -> int:
        day = at_ms // DAY_MS
        start = self._months.get(day)
        if start is None:
            if len(self._months) > 10_000:
                self._months.clear()
            start = self._months[day] = self.stream.bucket.floor(at_ms)
        return start


class DerivedEncoder:
    """Encodes rows of a derived table: few, so without haste."""

    def __init__(self, derived: Derived, keyspace: str, prepare: Prepare, delete_by: Sequence[str]) -> None:
        self._encoders = [ENCODERS[column.type] for column in derived.columns]
        names = [column.name for column in derived.columns]
        self._head = statement_head(prepare(insert_statement(keyspace, derived.table, names)), len(names) + 2)
        types = {column.name: column for column in derived.columns}
        self._delete_by: list[Column] = [types[name] for name in delete_by]
        self._delete_head = statement_head(
            prepare(delete_statement(keyspace, derived.table, delete_by)), len(delete_by) + 1
        )
        self._partition = [ENCODERS[types[name].type] for name in derived.partition]

    def insert(self, row: Sequence[Any], version: int, ttl: int) -> bytes:
        """`row` in the order of the table's columns."""
        parts = [encode(value) for encode, value in zip(self._encoders, row, strict=True)]
        return b"".join((self._head, *parts, bigint(version), ENCODERS[Type.INTEGER](ttl)))

    def delete(self, values: Sequence[Any], version: int) -> bytes:
        """The rows that agree with `values`, in the order of `delete_by`, and are no newer than `version`."""
        parts = [ENCODERS[column.type](value) for column, value in zip(self._delete_by, values, strict=True)]
        return b"".join((self._delete_head, bigint(version), *parts))

    def routing_key(self, key: Sequence[Any]) -> bytes:
        return routing_key([encode(value) for encode, value in zip(self._partition, key, strict=True)])


def insert_statement(keyspace: str, table: str, columns: Sequence[str]) -> str:
    marks = ", ".join("?" * len(columns))
    names = ", ".join(map(quoted, columns))
    return (
        f"INSERT INTO {quoted(keyspace)}.{quoted(table)} ({names}) VALUES ({marks})"  # noqa: S608 - quoted
        " USING TIMESTAMP ? AND TTL ?"
    )


def delete_statement(keyspace: str, table: str, where: Sequence[str]) -> str:
    terms = " AND ".join(f"{quoted(name)} = ?" for name in where)
    return f"DELETE FROM {quoted(keyspace)}.{quoted(table)} USING TIMESTAMP ? WHERE {terms}"  # noqa: S608 - quoted

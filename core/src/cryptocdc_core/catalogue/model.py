"""The classes in which streams and derived tables are declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from functools import cached_property
from typing import Any


class Type(Enum):
    """A column's type: (PostgreSQL, CQL).

    Times are `timestamp(3)`, always in UTC, because Debezium sends those as a number of milliseconds, and `timestamptz`
    as text that must be formatted and parsed again for every row (docs/adr/0003).
    `numeric` has no precision, so that a value keeps the digits the exchange sent, trailing zeros included.
    """

    TEXT = ("text", "text")
    BIGINT = ("bigint", "bigint")
    INTEGER = ("integer", "int")
    BOOLEAN = ("boolean", "boolean")
    DECIMAL = ("numeric", "decimal")
    DECIMALS = ("numeric[]", "frozen<list<decimal>>")
    TIMESTAMP = ("timestamp(3)", "timestamp")

    @property
    def postgres(self) -> str:
        return self.value[0]

    @property
    def cql(self) -> str:
        return self.value[1]


class Bucket(Enum):
    """How much time one Cassandra partition covers; the value is the name of the column with its start, in UTC."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"

    def floor(self, at_ms: int) -> int:
        """Return the start of the bucket that contains `at_ms`, both in milliseconds since the epoch."""
        if self is Bucket.HOUR:
            return at_ms - at_ms % 3_600_000
        if self is Bucket.DAY:
            return at_ms - at_ms % 86_400_000
        at = datetime.fromtimestamp(at_ms / 1000, UTC)
        return int(at.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp()) * 1000

    def next(self, start_ms: int) -> int:
        """Return the start of the bucket after the one that starts at `start_ms`, in milliseconds since the epoch."""
        if self is Bucket.HOUR:
            return start_ms + 3_600_000
        if self is Bucket.DAY:
            return start_ms + 86_400_000
        return self.floor(start_ms + 32 * 86_400_000)


@dataclass(frozen=True, slots=True)
class Column:
    """`nullable`: null where the exchange does not report the value."""

    name: str
    type: Type
    doc: str
    nullable: bool = False


@dataclass(frozen=True)
class Stream:
    """One kind of market data and its table, which has the same name in both databases.

    `key` is PostgreSQL's primary key. Cassandra's consists of `partition`, the bucket of `time` and `clustering`;
    `bucket_of` returns the length of a bucket. `event` names the column with the exchange's time of the event, from
    which latency is measured.
    """

    name: str
    table: str
    doc: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition: tuple[str, ...]
    bucket: Bucket
    clustering: tuple[str, ...]
    time: str
    event: str
    finer_buckets: Mapping[str, Bucket] = field(default_factory=dict, hash=False)
    """Shorter buckets than `bucket`, by the value of the last column of `partition`, for rows that are so frequent that
    a partition would grow larger than Cassandra reads and compacts efficiently."""
    open_until: tuple[str, str] | None = None
    """For a stream whose rows change until they are closed: the column that says so, and the one with the end time."""
    computed_from: str | None = None
    """The table whose rows a computed stream is made of; None for a captured one. PostgreSQL has no table of it."""

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @cached_property
    def types(self) -> dict[str, Type]:
        return {column.name: column.type for column in self.columns}

    @cached_property
    def values(self) -> tuple[Column, ...]:
        """The columns outside the key."""
        return tuple(column for column in self.columns if column.name not in self.key)

    @cached_property
    def nullable(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.nullable)

    @property
    def bucket_column(self) -> str:
        """The column of Cassandra's table with the start of a row's bucket, named after `bucket`."""
        return self.bucket.value

    def bucket_of(self, partition: Sequence[str]) -> Bucket:
        """Return the length of a row's bucket, given the values of its columns `partition`."""
        return self.finer_buckets.get(partition[-1], self.bucket)

    def bucket_start(self, row: Mapping[str, Any]) -> int:
        """Return the start of the bucket that contains a row, in milliseconds since the epoch. `row` has at least the
        key's columns, times in milliseconds."""
        return self.bucket_of([row[name] for name in self.partition]).floor(row[self.time])

    def position(self, column: str) -> int:
        """Return the index of `column` in a row of this stream, a tuple in the order of `columns`."""
        return self.column_names.index(column)


@dataclass(frozen=True)
class Derived:
    """A table that only Cassandra has, which the consumer maintains from a stream's rows for readers."""

    table: str
    doc: str
    source: str
    """The table it is derived from."""
    columns: tuple[Column, ...]
    partition: tuple[str, ...]
    clustering: tuple[str, ...]
    descending: tuple[str, ...] = ()

"""The tables that are served, and how each is cut into Cassandra partitions: all from the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from cryptocdc_core.catalogue import HEATMAP, STREAMS, Bucket, Column, Stream
from cryptocdc_core.heatmap import BINS


@dataclass(frozen=True)
class Table:
    """A table with a time in it, read in the order of `clustering`.

    `partition` and the bucket of the time, in `bucket_column`, make a Cassandra partition. `clustering` is the position
    of a row within it, the time first; `group` rows may share one (a heatmap's bins do).
    """

    name: str
    columns: tuple[Column, ...]
    partition: tuple[str, ...]
    bucket: Bucket
    clustering: tuple[str, ...]
    group: int = 1
    stream: Stream | None = None
    """What it is the table of; None of a derived one."""

    def within(self, prefix: Sequence[str]) -> Table:
        """Return the table with the bucket of the partitions that begin with these values of `partition`."""
        return self if self.stream is None else replace(self, bucket=self.stream.bucket_of(prefix))

    @property
    def bucket_column(self) -> str:
        """The column with the start of a row's bucket."""
        return self.bucket.value if self.stream is None else self.stream.bucket_column

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @cached_property
    def places(self) -> tuple[int, ...]:
        """Where the columns of `clustering` stand in a row."""
        return tuple(self.column_names.index(name) for name in self.clustering)


def table_of(stream: Stream) -> Table:
    return Table(
        stream.table, stream.columns, stream.partition, stream.bucket, stream.clustering, stream=stream,
    )  # fmt: skip


TABLES: dict[str, Table] = {stream.table: table_of(stream) for stream in STREAMS.values()}

HEATMAP_TABLE = Table(
    HEATMAP.table, tuple(c for c in HEATMAP.columns if c.name != "hour"), ("symbol",), Bucket.HOUR, ("bucket_time",),
    group=BINS,
)  # fmt: skip

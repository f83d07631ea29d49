"""The tables that are served and how each is partitioned in Cassandra, derived from the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from cryptocdc_core.catalogue import COMPUTED, HEATMAP, STREAMS, Bucket, Column, Stream, Type
from cryptocdc_core.catalogue.streams import ORDER_BOOK
from cryptocdc_core.rows.heatmap import BINS


@dataclass(frozen=True)
class Table:
    """A table with a time column, read in the order of `clustering`.

    A Cassandra partition is identified by `partition` and by the time's bucket in `bucket_column`. `clustering` is a
    row's position within it, the time first; `group` rows may share one (a heatmap's bins do). `computed` has the CQL
    of columns that Cassandra computes, and `stored` is the table that is read, if it is not `name`.
    """

    name: str
    columns: tuple[Column, ...]
    partition: tuple[str, ...]
    bucket: Bucket
    clustering: tuple[str, ...]
    group: int = 1
    computed: Mapping[str, str] = field(default_factory=dict)
    stored: str = ""
    stream: Stream | None = None
    """The stream of the table; None for a derived table."""

    def within(self, prefix: Sequence[str]) -> Table:
        """Return the table with the bucket that applies to partitions with these values of `partition`."""
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
        """The indexes in a row of the columns of `clustering`."""
        return tuple(self.column_names.index(name) for name in self.clustering)


def table_of(stream: Stream) -> Table:
    return Table(
        stream.table, stream.columns, stream.partition, stream.bucket, stream.clustering, stream=stream,
    )  # fmt: skip


TABLES: dict[str, Table] = {stream.table: table_of(stream) for stream in (*STREAMS.values(), *COMPUTED.values())}

HEATMAP_TABLE = Table(
    HEATMAP.table, tuple(c for c in HEATMAP.columns if c.name != "hour"), ("symbol",), Bucket.HOUR, ("bucket_time",),
    group=BINS,
)  # fmt: skip

BOOK_SUMS = Table(
    "order_book_sums",
    (
        *(column for column in ORDER_BOOK.columns if column.name in ("symbol", "bucket_time")),
        Column("best_bid", Type.DECIMAL, "Highest price bid."),
        Column("best_ask", Type.DECIMAL, "Lowest price asked."),
        Column("bid_total", Type.DECIMAL, "Quantity bid over all levels, in the base asset."),
        Column("ask_total", Type.DECIMAL, "Quantity asked over all levels, in the base asset."),
    ),
    ORDER_BOOK.partition, ORDER_BOOK.bucket, ORDER_BOOK.clustering,
    computed={
        "best_bid": "collection_max(bid_prices)", "best_ask": "collection_min(ask_prices)",
        "bid_total": "collection_sum(bid_quantities)", "ask_total": "collection_sum(ask_quantities)",
    },
    stored=ORDER_BOOK.table,
)  # fmt: skip
"""Order books without their levels: Cassandra computes the sums, so that long ranges can be read."""

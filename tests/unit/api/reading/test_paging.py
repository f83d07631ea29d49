"""A range read a page at a time: every row once, in order, with bounded work for each page."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptocdc_api.reading.paging import Position, Read, Row, Span, buckets, from_cursor, page, pages, to_cursor
from cryptocdc_api.reading.reader import range_statement
from cryptocdc_api.reading.tables import HEATMAP_TABLE, TABLES, Table
from cryptocdc_api.refusals import Refused
from cryptocdc_core.catalogue import Bucket, Column, Type
from cryptocdc_core.time.times import LATEST_MS

HOUR = 3_600_000
TRADES = Table(
    "trades", (Column("at", Type.TIMESTAMP, ""), Column("id", Type.BIGINT, "")), ("symbol",), Bucket.HOUR, ("at", "id")
)
PRICES = Table("prices", TRADES.columns, ("symbol",), Bucket.DAY, ("at",))
BINNED = Table("binned", TRADES.columns, ("symbol",), Bucket.HOUR, ("at",), group=3)


class Partitions:
    """A table in memory that is read like one in Cassandra, and remembers which partitions were read."""

    def __init__(self, table: Table, rows: Sequence[Row]) -> None:
        self.table, self.rows = table, rows
        self.asked: list[int] = []

    def read(self, newest_first: bool) -> Read:
        length = len(self.table.clustering)

        async def read(bucket: int, low: Position, high: Position, limit: int) -> list[Row]:
            self.asked.append(bucket)
            found = [r for r in self.rows if self.table.bucket.floor(r[0]) == bucket and low < tuple(r[:length]) < high]
            return sorted(found, key=tuple, reverse=newest_first)[:limit]

        return read


def all_pages(table: Table, rows: Sequence[Row], span: Span, limit: int) -> list[list[Row]]:
    """All pages, each requested with the cursor of the previous one, as a client does."""
    source = Partitions(table, rows)
    found = []
    while True:
        source.asked.clear()
        made, following = asyncio.run(page(table, span, limit, source.read(span.newest_first), most_partitions=5))
        assert len(source.asked) <= 5
        found.append(made)
        if following is None:
            return found
        span = from_cursor(table, to_cursor(table, following))


times = st.integers(0, 40 * HOUR)


@given(
    st.sets(st.tuples(times, st.integers(0, 3))), st.booleans(), st.integers(1, 7), times, times,
)  # fmt: skip
def test_pages_give_every_row_of_the_range_once_and_in_order(
    rows: set[tuple[int, int]], newest_first: bool, limit: int, start: int, end: int
) -> None:
    found = all_pages(TRADES, list(rows), Span(start, end, newest_first), limit)
    wanted = sorted((row for row in rows if start <= row[0] < end), reverse=newest_first)
    assert [row for made in found for row in made] == wanted
    assert all(len(made) <= limit for made in found)


@given(st.sets(times), st.booleans(), st.integers(1, 7))
def test_pages_are_complete_where_the_time_alone_is_the_position(at: set[int], newest_first: bool, limit: int) -> None:
    rows = [(time, 0) for time in at]
    found = all_pages(PRICES, rows, Span(0, 40 * HOUR + 1, newest_first), limit)
    assert [row for made in found for row in made] == sorted(rows, reverse=newest_first)


@given(st.sets(times), st.booleans(), st.integers(1, 4))
def test_rows_that_share_a_position_stay_on_one_page(at: set[int], newest_first: bool, limit: int) -> None:
    rows = [(time, bin) for time in at for bin in range(3)]
    found = all_pages(BINNED, rows, Span(0, 40 * HOUR + 1, newest_first), limit)
    assert [row for made in found for row in made] == sorted(rows, reverse=newest_first)
    assert all(len(made) % 3 == 0 for made in found)


@given(st.sets(st.tuples(times, st.integers(0, 3))), st.booleans())
def test_a_streamed_range_has_the_same_rows(rows: set[tuple[int, int]], newest_first: bool) -> None:
    async def collect() -> list[Row]:
        read = Partitions(TRADES, list(rows)).read(newest_first)
        span = Span(0, 40 * HOUR + 1, newest_first)
        return [row async for made in pages(TRADES, span, read) for row in made]

    assert asyncio.run(collect()) == sorted(rows, reverse=newest_first)


def test_a_page_reads_no_partition_after_it_is_full() -> None:
    source = Partitions(TRADES, [(hour * HOUR, 1) for hour in range(30)])
    rows, following = asyncio.run(page(TRADES, Span(0, 30 * HOUR), 2, source.read(True)))
    assert [row[0] // HOUR for row in rows] == [29, 28]
    assert following is not None
    assert [bucket // HOUR for bucket in source.asked] == [29, 28, 27]


def test_buckets_are_limited_to_the_range() -> None:
    assert list(buckets(Bucket.HOUR, (HOUR - 1,), (3 * HOUR,), False)) == [HOUR, 2 * HOUR]
    assert list(buckets(Bucket.HOUR, (HOUR - 1,), (HOUR,), True)) == []
    months = list(buckets(Bucket.MONTH, (-1,), (100 * 86_400_000,), False))
    assert [month // 86_400_000 for month in months] == [0, 31, 59, 90]


def test_candles_of_a_second_are_read_by_the_day_and_longer_ones_by_the_month() -> None:
    klines = TABLES["klines"]
    second, minute = klines.within(["BTCUSDT", "1s"]), klines.within(["BTCUSDT", "1m"])
    assert (second.bucket, minute.bucket) == (Bucket.DAY, Bucket.MONTH)
    assert second.bucket_column == minute.bucket_column == "month"
    assert '"symbol" = ? AND "interval" = ? AND "month" = ?' in range_statement("majors", second, newest_first=True)


@pytest.mark.parametrize("table", [*TABLES.values(), HEATMAP_TABLE])
def test_a_cursor_is_valid_only_for_its_own_table(table: Table) -> None:
    span = Span(0, LATEST_MS, True, tuple(range(len(table.clustering))))
    cursor = to_cursor(table, span)
    assert from_cursor(table, cursor) == span
    for other in (*TABLES.values(), HEATMAP_TABLE):
        if other is not table:
            with pytest.raises(Refused, match="X-Next-Cursor"):
                from_cursor(other, cursor)


@given(st.text())
def test_any_other_text_is_not_a_valid_cursor(text: str) -> None:
    with pytest.raises(Refused, match="cursor"):
        from_cursor(TRADES, text)

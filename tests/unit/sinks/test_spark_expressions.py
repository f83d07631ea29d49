"""What Spark is asked for: derived from the catalogue for every stream."""

from __future__ import annotations

import pytest

from cryptocdc_core.catalogue import COMPUTED, DERIVED, HEATMAP, STREAMS, Stream
from cryptocdc_core.catalogue.streams import KLINES, LATEST_PRICES, ORDER_BOOK, RECENT_TRADES
from cryptocdc_spark.expressions import (
    TTL,
    WRITE_TIME,
    json_schema,
    newest_columns,
    newest_of,
    parsed,
    routed,
    table_columns,
    way,
)

ALL = [*STREAMS.values(), *COMPUTED.values()]


def aliases(columns: list[str]) -> list[str]:
    return [column.rpartition(" AS ")[2].strip("`") for column in columns]


def test_decimals_are_parsed_as_text_so_that_no_digit_is_lost() -> None:
    assert json_schema(RECENT_TRADES).startswith(
        "`symbol` STRING, `trade_time` BIGINT, `trade_id` BIGINT, `price` STRING"
    )
    assert "`bid_prices` ARRAY<STRING>" in json_schema(ORDER_BOOK)
    assert json_schema(RECENT_TRADES).endswith("`__op` STRING, `__lsn` BIGINT, `__source_ts_us` BIGINT")


@pytest.mark.parametrize("stream", ALL, ids=lambda stream: stream.table)
def test_a_table_gets_its_columns_bucket_audit_write_time_and_ttl(stream: Stream) -> None:
    written = aliases(table_columns(stream, 3600))
    assert written == [*stream.column_names, "audit", stream.bucket_column, WRITE_TIME, TTL]
    assert aliases(table_columns(stream, None)) == written[:-1]


@pytest.mark.parametrize("derived", [it for it in DERIVED if it is not HEATMAP], ids=lambda derived: derived.table)
def test_a_newest_table_gets_its_columns(derived: object) -> None:
    source = next(stream for stream in ALL if newest_of(stream) is derived)
    columns = [column.name for column in derived.columns]  # type: ignore[attr-defined]
    assert aliases(newest_columns(source, None)) == [*columns, WRITE_TIME]


def test_streams_without_a_newest_table_have_none() -> None:
    assert [newest_of(stream) for stream in (RECENT_TRADES, KLINES, ORDER_BOOK)] == [None] * 3
    assert newest_of(LATEST_PRICES) is not None


def test_candles_of_a_second_have_shorter_buckets() -> None:
    bucket = next(column for column in table_columns(KLINES, None) if column.endswith("`month`"))
    assert "WHEN `klines`.`interval` = '1s' THEN `klines`.`open_time` - `klines`.`open_time` % 86400000" in bucket
    assert "date_trunc('MONTH'" in bucket


@pytest.mark.parametrize("stream", ALL, ids=lambda stream: stream.table)
def test_only_nullable_columns_may_be_null_and_then_the_record_says_so(stream: Stream) -> None:
    ways = way(stream, None)
    for column in stream.columns:
        assert (f"""contains(text, '"{column.name}":null')""" in ways) == column.nullable
    assert ("'replacing'" in ways) == bool(stream.nullable)


def test_books_of_the_heatmap_and_rows_older_than_the_retention_go_other_ways() -> None:
    assert "WHEN `order_book`.`bucket_time` % 10000 = 0 THEN 'aside'" in way(ORDER_BOOK, 3600)
    assert "CAST(3600 - floor((now_ms - `recent_trades`.`trade_time`) / 1000) AS INT) <= 0 THEN" in (
        way(RECENT_TRADES, 3600)
    )
    assert "'expired'" not in way(RECENT_TRADES, None)


def test_each_topic_is_parsed_with_its_own_schema() -> None:
    topics = {f"f.f.{stream.table}": stream for stream in ALL}
    for stream in ALL:
        case = (
            f"CASE WHEN topic = 'f.f.{stream.table}' THEN from_json(CAST(value AS STRING), '{json_schema(stream)}') END"
        )
        assert f"{case} AS `{stream.table}`" in parsed(topics)
    assert aliases(routed(topics, 3600))[-3:] == ["way", "committed_us", "event_ms"]

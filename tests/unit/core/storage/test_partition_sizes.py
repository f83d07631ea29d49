"""No Cassandra partition exceeds 100 MB at the highest rate: rows per second × bytes per row × bucket."""

from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from cryptocdc_core.catalogue import COMPUTED, DERIVED, NEWEST, STREAMS, Bucket, by_table
from cryptocdc_core.feed.analytics import BarLength, ComparedLength, ForecastLength, VolatilityLength
from cryptocdc_core.feed.model import Symbols
from cryptocdc_core.feed.streams import BestQuotes, KlineInterval, MarkPrices, OrderBook
from cryptocdc_core.rows.heatmap import BINS, SLOT_MS
from cryptocdc_core.time import durations

LIMIT = 100_000_000
LENGTH_S = {Bucket.HOUR: 3600, Bucket.DAY: 86_400, Bucket.MONTH: 31 * 86_400}

BYTES_A_ROW = {
    "recent_trades": 150, "klines": 312, "crypto_24h_stats": 300, "latest_prices": 110, "order_book": 8800,
    "best_quotes": 145, "mark_prices": 130, "open_interest": 102, "liquidations": 140,
    "order_book_heatmap": 70, "newest_prices": 110, "newest_24h_stats": 300, "newest_quotes": 145,
    "newest_mark_prices": 130, "newest_open_interest": 102,
    "bars": 250, "realized_volatility": 160, "book_metrics": 220, "anomalies": 245, "forecasts": 275,
}  # fmt: skip
"""Measured, uncompressed (`dataLength` in CompressionInfo.db), in an SSTable of Cassandra 5.0, with TTL and audit,
eight decimals, books of 100 levels. Open interest and liquidations have the decimals of their contract; a table of
newest rows is given the size of its source. Computed rows have a value in every column, with the digits that they are
rounded to, and each anomaly a reason."""

TRADES_A_SECOND = 150
"""Of one symbol through a whole hour: 13 million a day."""

LIQUIDATIONS_A_SECOND = 5
"""Of one symbol through a whole day; Binance reports one a second at most."""


def interval_s(interval: str) -> int:
    """Return the length of an interval; a month has its shortest."""
    return 28 * 86_400 if interval == "1M" else durations.seconds(interval)


def shortest_s(*lengths: Any) -> int:
    """Return the shortest window, in seconds, that a feed accepts as each of these lengths."""

    def accepted(seconds: int) -> bool:
        try:
            return bool([TypeAdapter(length).validate_python(f"{seconds}s") for length in lengths])
        except ValidationError:
            return False

    return next(seconds for seconds in range(1, 86_400) if accepted(seconds))


def rows_a_second(table: str) -> float:
    shortest_book_s, shortest_quote_s, shortest_mark_s = (
        min(durations.milliseconds(text) for text in get_args(model.model_fields["interval"].annotation)) / 1000
        for model in (OrderBook, BestQuotes, MarkPrices)
    )
    return {
        "recent_trades": TRADES_A_SECOND,
        "crypto_24h_stats": 1,  # the exchange sends one a second
        "latest_prices": 1,
        "order_book": 1 / shortest_book_s,
        "best_quotes": 1 / shortest_quote_s,
        "mark_prices": 1 / shortest_mark_s,
        "open_interest": 1,  # a period is whole seconds
        "liquidations": LIQUIDATIONS_A_SECOND,
        "order_book_heatmap": BINS * 1000 / SLOT_MS,
        "bars": 1 / shortest_s(BarLength),
        "realized_volatility": 1 / shortest_s(VolatilityLength),
        "book_metrics": 1 / shortest_book_s,
        "anomalies": 1 / shortest_s(ComparedLength),  # of one kind, which is a part of the partition's key
        "forecasts": 1 / shortest_s(ForecastLength, VolatilityLength),  # each is a length of both
    }[table]


@pytest.mark.parametrize("interval", get_args(KlineInterval))
def test_a_partition_of_candles_of_any_interval_stays_below_the_limit(interval):
    bucket = by_table("klines").bucket_of(["BTCUSDT", interval])
    rows = LENGTH_S[bucket] / interval_s(interval)
    assert rows * BYTES_A_ROW["klines"] < LIMIT


@pytest.mark.parametrize(
    "table", [table for table in BYTES_A_ROW if not table.startswith("newest") and table != "klines"]
)
def test_a_partition_of_any_other_table_stays_below_the_limit_at_full_rate(table):
    bucket = Bucket.HOUR if table == "order_book_heatmap" else by_table(table).bucket
    assert rows_a_second(table) * LENGTH_S[bucket] * BYTES_A_ROW[table] < LIMIT


@pytest.mark.parametrize("table", [derived.table for derived in NEWEST.values()])
def test_a_partition_with_a_row_for_every_symbol_stays_below_the_limit(table):
    symbols = next(m.max_length for m in Symbols.model_fields["names"].metadata if hasattr(m, "max_length"))
    assert symbols * BYTES_A_ROW[table] < LIMIT


def test_every_table_is_covered():
    assert set(BYTES_A_ROW) == {stream.table for stream in (*STREAMS.values(), *COMPUTED.values())} | {
        derived.table for derived in DERIVED
    }


def test_a_window_as_short_as_a_feed_accepts_is_counted():
    lengths = {"bars": 1, "realized_volatility": 3, "anomalies": 1, "forecasts": 3}
    assert {table: round(1 / rows_a_second(table)) for table in lengths} == lengths


def test_one_second_candles_have_daily_buckets_and_all_others_monthly_ones():
    klines = by_table("klines")
    lengths = {interval: klines.bucket_of(["BTCUSDT", interval]) for interval in get_args(KlineInterval)}
    assert lengths.pop("1s") is Bucket.DAY
    assert set(lengths.values()) == {Bucket.MONTH}
    assert (
        klines.bucket_start({"symbol": "BTCUSDT", "interval": "1s", "open_time": 1_795_834_560_000})
        == 1_795_824_000_000
    )
    assert (
        klines.bucket_start({"symbol": "BTCUSDT", "interval": "1m", "open_time": 1_795_834_560_000})
        == 1_793_491_200_000
    )

"""How a change is written to Cassandra's tables."""

from decimal import Decimal
from typing import Any

import pytest

from cryptocdc_consumer.cql import UNSET
from cryptocdc_core.catalogue.streams import CRYPTO_24H_STATS, KLINES, LATEST_PRICES, ORDER_BOOK, RECENT_TRADES, STREAMS
from cryptocdc_core.rows.changes import UNAVAILABLE
from cryptocdc_core.rows.versions import deletion_version, version
from cryptocdc_core.storage.ddl import cassandra_columns

from .records import NOW_MS, Record, change, intake

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def statements(stream, *changes, retention_s=None, now_ms=NOW_MS):
    it, prepared, _ = intake(retention_s)
    taken = it.take([Record(stream, raw, at) for at, raw in enumerate(changes)], now_ms)
    assert not taken.dead_letters, [letter.reason for letter in taken.dead_letters]
    return [prepared.read(raw) for batch in taken.batches for raw, _, _ in batch.entries]


@pytest.mark.parametrize("stream", STREAMS.values(), ids=lambda s: s.table)
def test_every_column_of_every_stream_is_written(stream):
    written = statements(stream, change(stream))[0]
    assert written.table == stream.table
    assert set(written.values) == {"audit", *(column.name for column in cassandra_columns(stream))}
    assert written.timestamp == version(NOW_MS)
    audit = written.values["audit"]
    assert (audit.op, audit.lsn) == ("c", 1)
    assert (audit.committed_at, audit.produced_at, audit.written_at) == (NOW_MS, NOW_MS + 5, NOW_MS)


def test_a_trade_is_exact_and_in_the_partition_of_its_hour():
    written = statements(RECENT_TRADES, change(RECENT_TRADES, price="0.35130000", trade_time=NOW_MS))[0]
    assert str(written.values["price"]) == "0.35130000"
    assert written.values["hour"] == NOW_MS - NOW_MS % HOUR_MS


def test_klines_are_partitioned_by_month_and_prices_by_day():
    november, december = 1_793_491_200_000, 1_796_083_200_000  # 2026-11-01 and 2026-12-01 in UTC
    at = {s.values["open_time"]: s.values["month"] for s in statements(
        KLINES, *(change(KLINES, open_time=t) for t in (november, december - 1, december))
    )}  # fmt: skip
    assert at == {november: november, december - 1: november, december: december}
    assert statements(LATEST_PRICES, change(LATEST_PRICES))[0].values["day"] == NOW_MS - NOW_MS % DAY_MS


def test_one_second_candles_are_written_and_deleted_in_the_partition_of_their_day():
    """A month of them would be 2.7 million rows in one partition."""
    at = 1_795_824_000_000 + HOUR_MS  # 2026-11-28T01:00
    written = statements(KLINES, change(KLINES, interval="1s", open_time=at))[0]
    deleted = statements(KLINES, change(KLINES, "d", interval="1s", open_time=at))[0]
    assert written.values["month"] == deleted.values["month"] == at - HOUR_MS
    assert statements(KLINES, change(KLINES, "d", interval="1m", open_time=at))[0].values["month"] == 1_793_491_200_000


def test_the_ttl_is_the_remaining_retention_of_the_row():
    hour_old = change(RECENT_TRADES, trade_time=NOW_MS - HOUR_MS)
    assert statements(RECENT_TRADES, hour_old, retention_s=7200)[0].ttl == 3600
    assert statements(RECENT_TRADES, hour_old)[0].ttl == 0


def test_a_row_older_than_the_retention_is_not_written_but_counted():
    it, _, metrics = intake(retention_s=3600)
    old = change(RECENT_TRADES, trade_time=NOW_MS - HOUR_MS)
    taken = it.take([Record(RECENT_TRADES, old)], NOW_MS)
    assert not taken.batches
    assert taken.chunk.pending == 0
    assert metrics.expired.labels("recent_trades")._value.get() == 1


def test_a_delete_has_only_the_key_and_its_deletion_version_as_timestamp():
    gone = statements(RECENT_TRADES, change(RECENT_TRADES, "d", committed_us=NOW_MS * 1000, trade_id=9))[0]
    assert gone.delete
    assert gone.values == {
        "symbol": "BTCUSDT", "hour": NOW_MS - NOW_MS % HOUR_MS, "trade_time": NOW_MS, "trade_id": 9,
    }  # fmt: skip
    assert gone.timestamp == deletion_version(NOW_MS * 1000)


def test_an_unavailable_toast_value_stays_unset_and_makes_no_heatmap():
    written = statements(ORDER_BOOK, change(ORDER_BOOK, bid_prices=[UNAVAILABLE], bucket_time=NOW_MS))
    assert written[0].values["bid_prices"] == UNSET
    assert [s.table for s in written] == ["order_book"]


def test_only_the_newest_price_of_each_symbol_in_a_chunk_is_written_as_newest():
    prices = [
        change(LATEST_PRICES, symbol=symbol, price=f"{at}.50", event_time=at, version=version(at))
        for symbol in ("BTCUSDT", "ETHUSDT")
        for at in (2000, 3000, 1000)
    ]
    newest = [s for s in statements(LATEST_PRICES, *prices) if s.table == "newest_prices"]
    assert {(s.values["symbol"], s.values["price"], s.timestamp) for s in newest} == {
        ("BTCUSDT", Decimal("3000.50"), version(3000)), ("ETHUSDT", Decimal("3000.50"), version(3000)),
    }  # fmt: skip
    assert {s.values["shard"] for s in newest} == {0}


def test_deleting_the_newest_row_spares_a_newer_one():
    gone = [s for s in statements(CRYPTO_24H_STATS, change(CRYPTO_24H_STATS, "d", event_time=5000)) if s.delete]
    newest = next(s for s in gone if s.table == "newest_24h_stats")
    assert version(5000) <= newest.timestamp < version(5001)
    assert newest.values == {"shard": 0, "symbol": "BTCUSDT"}


def test_a_book_becomes_a_heatmap_every_ten_seconds():
    book: dict[str, Any] = {
        "bid_prices": ["100.5", "100.4"], "bid_quantities": ["2.0", "1.25"],
        "ask_prices": ["100.6"], "ask_quantities": ["4"],
    }  # fmt: skip
    at = NOW_MS - NOW_MS % 10_000
    bins = [s for s in statements(ORDER_BOOK, change(ORDER_BOOK, bucket_time=at, **book)) if s.table != "order_book"]
    assert {s.table for s in bins} == {"order_book_heatmap"}
    assert [s.values["bin"] for s in bins] == list(range(24))
    assert sum(s.values["bid_quantity"] for s in bins) == Decimal("3.25")
    assert sum(s.values["ask_quantity"] for s in bins) == Decimal("4")
    assert {s.table for s in statements(ORDER_BOOK, change(ORDER_BOOK, bucket_time=at + 1000))} == {"order_book"}


def test_an_empty_book_deletes_its_heatmap():
    empty: dict[str, Any] = {name: [] for name in ("bid_prices", "bid_quantities", "ask_prices", "ask_quantities")}
    at = NOW_MS - NOW_MS % 10_000
    gone = next(
        s for s in statements(ORDER_BOOK, change(ORDER_BOOK, bucket_time=at, version=77, **empty)) if s.delete
    )  # fmt: skip
    assert (gone.table, gone.timestamp, gone.values["bucket_time"]) == ("order_book_heatmap", 77, at)

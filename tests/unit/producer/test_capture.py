"""Events become the right rows in the right order, and a faulty one affects no others."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.unit.producer.conftest import (
    NOW,
    Recorded,
    agg_trade,
    book_ticker,
    depth,
    kline,
    make_capture,
    make_feed,
    ticker,
)

from cryptocdc_exchanges.port import BookSnapshot
from cryptocdc_producer.storage.intake import Data
from cryptocdc_producer.storage.store import Stored
from cryptocdc_producer.streams.continuity import Gap

MINUTE = 60_000


def test_every_stream_makes_its_rows(recorded: Recorded) -> None:
    recorded.receive(agg_trade())
    recorded.receive(kline(NOW - MINUTE, closed=True))
    recorded.receive(ticker())
    recorded.receive({"e": "24hrMiniTicker", "E": NOW, "s": "BTCUSDT", "c": "1.50", "o": "1", "h": "2", "l": "1"})
    recorded.receive(depth(1, 2, [("1.0", "1.0")], []))
    recorded.books.take_snapshot("BTCUSDT", BookSnapshot(1, [], []), 100)
    recorded.capture.finish()

    tables = [entry.row.stream.table for entry in recorded.entries() if isinstance(entry, Data)]

    assert tables == ["recent_trades", "klines", "crypto_24h_stats", "latest_prices", "order_book"]
    assert recorded.lost_books == [("BTCUSDT", "start")]
    assert not recorded.refused


def test_a_gap_is_queued_before_the_row_that_reveals_it(recorded: Recorded) -> None:
    recorded.receive(agg_trade(7))
    recorded.receive(agg_trade(10))

    entries = recorded.entries()

    assert [type(entry) for entry in entries] == [Data, Gap, Data]
    assert entries[1] == Gap("recent_trades", "BTCUSDT", "", 8, 9)
    assert recorded.gaps == [entries[1]]


def test_capture_continues_where_the_stored_rows_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptocdc_producer.capture.time.time_ns", lambda: NOW * 1_000_000)
    recorded = make_capture(BTCUSDT=Stored(last_trade=3, last_closes={"1m": NOW - 3 * MINUTE}))

    recorded.receive(agg_trade(7))
    recorded.receive(kline(NOW, closed=False))
    recorded.receive(agg_trade(7, symbol="ETHUSDT"))

    assert recorded.gaps == [
        Gap("recent_trades", "BTCUSDT", "", 4, 6),
        Gap("klines", "BTCUSDT", "1m", NOW - 2 * MINUTE, NOW - MINUTE),
    ]


def test_a_duplicate_trade_is_written_once(recorded: Recorded) -> None:
    for number in (7, 8, 7, 8, 9):
        recorded.receive(agg_trade(number))

    assert [row.trade_id for row in recorded.rows("recent_trades")] == [7, 8, 9]


def test_a_trade_with_an_implausible_id_is_refused_from_either_api(recorded: Recorded) -> None:
    recorded.receive(agg_trade(7))
    row = recorded.rows("recent_trades")[0]

    recorded.receive(agg_trade(2**62, f=1, l=1))
    recorded.trades.take_polled("BTCUSDT", [replace(row, trade_id=2**61), replace(row, trade_id=8)])
    recorded.receive(agg_trade(11))

    assert recorded.refused == [("wild-id", "BTCUSDT")] * 2
    assert [row.trade_id for row in recorded.rows("recent_trades")] == [8, 11]
    assert recorded.gaps == [Gap("recent_trades", "BTCUSDT", "", 9, 10)]
    assert recorded.trades.last("BTCUSDT") == 11


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (agg_trade(8, p="1.2.3"), "wrong-decimal"),
        (agg_trade(8, symbol="DOGEUSDT"), "unknown-symbol"),
        (agg_trade(8, T=NOW + 3_600_000), "future"),
        ({"e": "trade", "E": NOW, "s": "BTCUSDT", "t": 9, "p": "1", "q": "2", "T": NOW, "m": False}, "unknown-event"),
        (kline(NOW, closed=False) | {"k": {}}, "wrong-field"),
        (b'{"stream":"btcusdt@aggTrade","data":{"e"', "invalid-json"),
        ({"code": -1003, "msg": "Too many requests."}, "error-body"),
    ],
)
def test_an_invalid_event_is_refused_alone(recorded: Recorded, bad: object, reason: str) -> None:
    recorded.receive(agg_trade(7))
    assert recorded.receive(bad) is None  # type: ignore[arg-type]
    recorded.receive(agg_trade(8))

    assert [row.trade_id for row in recorded.rows("recent_trades")] == [7, 8]
    assert [found for found, _ in recorded.refused] == [reason]


def test_klines_of_an_interval_outside_the_feed_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptocdc_producer.capture.time.time_ns", lambda: NOW * 1_000_000)
    recorded = make_capture(make_feed({"klines": {"intervals": ["1m"]}}))

    recorded.receive(kline(NOW, closed=False, interval="1h"))

    assert recorded.refused == [("unknown-event", "BTCUSDT")]


def test_an_internal_error_loses_only_its_frame(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    recorded.receive(agg_trade(7))
    with monkeypatch.context() as patched:
        patched.setattr("cryptocdc_exchanges.binance.frames._trade", broken)
        recorded.receive(agg_trade(8))
    recorded.receive(agg_trade(9))

    assert recorded.refused == [("internal", "BTCUSDT")]
    assert recorded.gaps == [Gap("recent_trades", "BTCUSDT", "", 8, 8)]


def test_a_gap_in_one_book_does_not_affect_others(recorded: Recorded) -> None:
    for symbol in ("BTCUSDT", "ETHUSDT"):
        recorded.receive(depth(1, 2, [("1.0", "1.0")], [], symbol=symbol))
        assert recorded.books.take_snapshot(symbol, BookSnapshot(1, [], []), 100)
    recorded.receive(depth(5, 6, [("1.0", "1.0")], []))
    recorded.receive(depth(3, 4, [("2.0", "1.0")], [], symbol="ETHUSDT"))
    recorded.capture.finish()

    assert recorded.lost_books[2:] == [("BTCUSDT", "gap")]
    assert {(row.symbol, row.last_update_id) for row in recorded.rows("order_book")} == {("BTCUSDT", 2), ("ETHUSDT", 4)}


def test_a_second_snapshot_does_not_set_a_followed_book_back(recorded: Recorded) -> None:
    recorded.receive(depth(1, 2, [("1.0", "1.0")], []))
    assert recorded.books.take_snapshot("BTCUSDT", BookSnapshot(1, [], []), 100)
    recorded.receive(depth(3, 4, [("1.5", "1.0")], []))
    assert recorded.books.take_snapshot("BTCUSDT", BookSnapshot(2, [("1.0", "1.0")], []), 100)
    recorded.receive(depth(5, 6, [("2.0", "1.0")], []))
    recorded.capture.finish()

    assert recorded.lost_books == [("BTCUSDT", "start")]
    (row,) = recorded.rows("order_book")
    assert (row.last_update_id, row.bid_prices) == (6, ["2.0", "1.5", "1.0"])


def followed(recorded: Recorded, symbol: str = "BTCUSDT") -> None:
    """Bring a symbol's book to update id 9000004."""
    recorded.receive(depth(9_000_001, 9_000_002, [], [], at=NOW - 200, symbol=symbol))
    assert recorded.books.take_snapshot(symbol, BookSnapshot(9_000_002, [("1.0", "1.0")], [("2.0", "1.0")]), 100)
    recorded.receive(depth(9_000_003, 9_000_004, [], [], at=NOW - 100, symbol=symbol))


def test_a_book_whose_update_ids_restart_is_fetched_without_affecting_others(recorded: Recorded) -> None:
    for symbol in ("BTCUSDT", "ETHUSDT"):
        followed(recorded, symbol)
    for number in range(1, 582):
        recorded.receive(depth(number, number, [("1.5", "1.0")], [], at=NOW + number * 100))
        if ("BTCUSDT", "restart") in recorded.lost_books:
            recorded.books.take_snapshot("BTCUSDT", BookSnapshot(number, [("1.0", "1.0")], [("2.0", "1.0")]), 100)
            break
    recorded.receive(depth(9_000_005, 9_000_006, [], [], at=NOW, symbol="ETHUSDT"))
    recorded.receive(depth(number + 1, number + 1, [("1.6", "1.0")], [], at=NOW + 1500))
    recorded.capture.finish()

    assert recorded.lost_books[2:] == [("BTCUSDT", "restart")]
    assert number < 20
    assert {(row.symbol, row.last_update_id) for row in recorded.rows("order_book")} >= {
        ("BTCUSDT", number + 1),
        ("ETHUSDT", 9_000_006),
    }


def test_update_ids_absurdly_far_ahead_are_refused_alone(recorded: Recorded) -> None:
    followed(recorded)

    recorded.receive(depth(2**62, 2**62, [], [], at=NOW))
    recorded.receive(depth(9_000_005, 9_000_005, [], [], at=NOW))

    assert recorded.refused == [("wild-id", "BTCUSDT")]
    assert recorded.lost_books == [("BTCUSDT", "start")]


def test_a_crossed_book_is_fetched_again_even_if_no_diff_follows(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    followed(recorded)
    recorded.receive(depth(9_000_005, 9_000_005, [("2.0", "1.0")], [], at=NOW))
    clock[0] += 2.1
    recorded.capture.tick()

    assert recorded.lost_books[1:] == [("BTCUSDT", "crossed")]
    assert [row.last_update_id for row in recorded.rows("order_book")] == [9_000_004]


def test_a_book_that_accepts_no_diffs_is_fetched_again(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """For any reason: here the exchange's clock went back together with the ids."""
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    followed(recorded)
    for number in range(1, 320):
        clock[0] += 0.1
        recorded.receive(depth(number, number, [], [], at=NOW - 3_600_000 + number * 100))
        recorded.capture.tick()

    assert recorded.lost_books[1:] == [("BTCUSDT", "stalled")]


def test_a_repeated_diff_after_a_quiet_hour_requires_no_snapshot(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    followed(recorded)
    for _ in range(2):
        recorded.receive(depth(9_000_003, 9_000_004, [], [], at=NOW - 100))
    clock[0] += 3600
    recorded.receive(depth(9_000_005, 9_000_005, [], [], at=NOW))
    recorded.receive(depth(9_000_005, 9_000_005, [], [], at=NOW))
    recorded.capture.tick()

    assert recorded.lost_books == [("BTCUSDT", "start")]


def test_trades_whose_ids_restart_are_written(recorded: Recorded) -> None:
    for number in range(3):
        recorded.receive(agg_trade(number, T=NOW - 1000 + number))
    for number in range(3):
        recorded.receive(agg_trade(number, T=NOW - 500 + number))

    assert [(row.trade_time, row.trade_id) for row in recorded.rows("recent_trades")] == [
        *[(NOW - 1000 + number, number) for number in range(3)],
        *[(NOW - 500 + number, number) for number in range(3)],
    ]


def test_a_bucket_without_a_later_diff_is_ended_by_the_clock(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    recorded.receive(depth(1, 2, [("1.0", "1.0")], []))
    recorded.books.take_snapshot("BTCUSDT", BookSnapshot(1, [], []), 100)
    clock[0] += 1.9
    recorded.capture.tick()
    assert not recorded.rows("order_book")

    clock[0] += 0.2
    recorded.capture.tick()

    assert len(recorded.rows("order_book")) == 1


def test_silence_of_a_stream_and_of_a_symbol_are_distinguished(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1e9]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    for symbol in ("BTCUSDT", "ETHUSDT"):
        recorded.capture.add(symbol, Stored())
    clock[0] += 60
    for table in (agg_trade(), ticker(), kline(NOW, closed=False), depth(1, 2, [], []), book_ticker()):
        recorded.receive(table)

    assert recorded.capture.silent_symbols(30) == ["ETHUSDT"]
    assert recorded.capture.silent_streams(30) == [("BTCUSDT", "latest_prices")]


def test_removing_a_symbol_writes_its_held_rows(recorded: Recorded) -> None:
    recorded.receive(kline(NOW, closed=False, c="1.1"))
    recorded.receive(kline(NOW, closed=False, c="1.2"))
    assert [row.close for row in recorded.rows("klines")] == ["1.1"]

    recorded.capture.remove("BTCUSDT")

    assert [row.close for row in recorded.rows("klines")] == ["1.2"]
    recorded.receive(agg_trade(8))
    assert not recorded.entries()
    assert not recorded.refused

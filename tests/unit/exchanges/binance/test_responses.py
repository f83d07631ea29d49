"""REST bodies and their rows: equal to the streams' rows, and an invalid row does not affect others."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.rows import make_row
from tests.unit.producer.conftest import NOW, agg_trade, frame, make_feed

from cryptocdc_core.rows.typed import RecentTradesRow
from cryptocdc_core.rows.versions import Rank, kline_version
from cryptocdc_exchanges.binance import responses
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.registry import VENUES

MINUTE = 60_000


def body(document: Any) -> bytes:
    return json.dumps(document).encode()


def candle(open_time: int, **changed: Any) -> list[Any]:
    row = {
        "t": open_time, "o": "1.0", "h": "2.0", "l": "0.5", "c": "1.5", "v": "10.0", "T": open_time + MINUTE - 1,
        "q": "12.0", "n": 3, "V": "4.0", "Q": "5.0", "B": "0", **changed,
    }  # fmt: skip
    return list(row.values())


def test_a_trade_is_the_same_over_rest_and_websocket() -> None:
    event = agg_trade(7)
    (by_stream,) = VENUES["binance"].frames.decoder(make_feed().spec.streams)(frame(event))  # type: ignore[misc]

    found = responses.aggregate_trades("BTCUSDT", body([{k: event[k] for k in "apqflTmM"}]), NOW)

    assert found.rows == [by_stream.row(NOW)]


def test_a_raw_trade_over_rest_becomes_its_row() -> None:
    trade = {"id": 5, "price": "1.0", "qty": "2.0", "quoteQty": "2.0", "time": NOW, "isBuyerMaker": True}

    assert responses.raw_trades("BTCUSDT", body([trade]), NOW).rows == [
        make_row(
            RecentTradesRow, trade_time=NOW, trade_id=5, price="1.0", quantity="2.0", first_trade_id=5,
            last_trade_id=5, buyer_is_maker=True, received_at=NOW, version=NOW * 1000,
        )
    ]  # fmt: skip


def test_an_invalid_row_is_refused_alone() -> None:
    good = {k: agg_trade(7)[k] for k in "apqflTmM"}
    wrong = [good | {"p": "1.2.3"}, good | {"a": "x"}, good | {"T": NOW + 3_600_000}]

    found = responses.aggregate_trades("BTCUSDT", body([good, *wrong, good | {"a": 8}]), NOW)

    assert [row.trade_id for row in found.rows] == [7, 8]
    assert [it.rejected.reason for it in found.refused] == ["wrong-decimal", "wrong-field", "future"]
    assert json.loads(found.refused[0].part)["p"] == "1.2.3"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (b"", "invalid-json"),
        (b"[{", "invalid-json"),
        (b"\xff", "invalid-json"),
        (b"{}", "wrong-field"),
        (b'{"code":-1,"msg":"x"}', "error-body"),
    ],
)
def test_a_response_that_is_not_a_list_is_refused_completely(wrong: bytes, reason: str) -> None:
    with pytest.raises(Rejected) as rejected:
        responses.klines("BTCUSDT", "1m", wrong, NOW)
    assert rejected.value.reason == reason


def test_all_klines_but_the_newest_are_final_some_seconds_after_their_end() -> None:
    start = NOW - 3 * MINUTE

    asked = body([candle(start + n * MINUTE) for n in range(4)])
    early, late = (responses.klines("BTCUSDT", "1m", asked, at).rows for at in (NOW + 9_999, NOW + 10_000))

    assert [row.closed for row in early] == [True, True, False, False]
    assert [row.closed for row in late] == [True, True, True, False]
    assert late[0].version == kline_version(NOW + 10_000, start + MINUTE, Rank.FINAL)
    assert late[3].version < kline_version(NOW, NOW + MINUTE, Rank.CLOSED)


def test_the_last_kline_of_a_market_that_is_no_longer_traded_is_final_a_day_after_its_end() -> None:
    asked = body([candle(NOW - MINUTE)])

    closed = [responses.klines("BTCUSDT", "1m", asked, NOW + late).rows[0].closed for late in (86_399_999, 86_400_000)]

    assert closed == [False, True]


def test_a_kline_requested_40_ms_after_its_end_is_not_final_and_a_later_one_wins() -> None:
    began, ended = NOW - MINUTE, NOW
    soon = body([candle(began, c="100.5", v="10"), candle(ended, c="100.5", v="0")])
    later = body([candle(began, c="101.2", v="12.5"), candle(ended, c="101.3", v="1")])

    first = responses.klines("BTCUSDT", "1m", soon, ended + 40).rows[0]
    second = responses.klines("BTCUSDT", "1m", later, ended + 10_040).rows[0]
    third = responses.klines("BTCUSDT", "1m", soon, ended + 10_041).rows[0]

    assert (first.close, first.volume, first.closed) == ("100.5", "10", False)
    assert (second.close, second.volume, second.closed) == ("101.2", "12.5", True)
    assert first.version < second.version < third.version


def test_a_kline_that_an_outage_cut_short_is_stored_as_it_is_reported() -> None:
    """The 1h candle of 2018-01-04 03:00, as the exchange reports it."""
    reported = [
        1515034800000, "15060.00000000", "15099.00000000", "15010.01000000", "15045.00000000", "12.45000000",
        1515034814838, "187423.20000000", 62, "6.10000000", "91874.00000000", "0",
    ]  # fmt: skip
    following = [1515038400000, *reported[1:6], 1515041999999, *reported[7:]]

    found = responses.klines("BTCUSDT", "1h", body([reported, following]), NOW)

    assert not found.refused
    row = found.rows[0]
    assert (row.open_time, row.close_time, row.closed) == (1515034800000, 1515034814838, True)
    assert row.version == kline_version(NOW, 1515038400000, Rank.FINAL)


def test_an_aggregate_without_raw_trades_is_stored_as_reported() -> None:
    """Ids of -1 are the exchange's way to say that there are none."""
    trade = {k: agg_trade(7)[k] for k in "apqTmM"} | {"f": -1, "l": -1, "p": "0.00000000", "q": "0.00000000"}

    found = responses.aggregate_trades("BTCUSDT", body([trade]), NOW)

    assert not found.refused
    row = found.rows[0]
    assert (row.trade_id, row.price, row.first_trade_id, row.last_trade_id) == (7, "0.00000000", -1, -1)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ([1515034800000, "1.2.3"], 1515034800000),
        ({"a": 5, "p": "1.2.3"}, 5),
        ({"id": 6, "price": "x"}, 6),
        ({"a": "5"}, None), ({"a": True}, None), ([], None), ("x", None), (None, None),
    ],
)  # fmt: skip
def test_the_position_of_a_refused_element_is_read_if_it_has_a_valid_id(part: Any, expected: int | None) -> None:
    assert responses.position(body(part)) == expected


def test_statistics_are_dated_by_their_close_and_prices_by_capture() -> None:
    numbers = dict.fromkeys(
        ["weightedAvgPrice", "prevClosePrice", "lastPrice", "lastQty", "bidPrice", "bidQty", "askPrice", "askQty",
         "openPrice", "highPrice", "lowPrice", "volume", "quoteVolume"], "1.0",
    )  # fmt: skip
    ticker = {
        "symbol": "BTCUSDT", "priceChange": "-1.0", "priceChangePercent": "-0.5", **numbers,
        "openTime": NOW - 86_400_000, "closeTime": NOW - 10, "firstId": 1, "lastId": 2, "count": 2,
    }  # fmt: skip

    stats = responses.tickers(body([ticker]), NOW).rows[0]
    price = responses.prices(body([{"symbol": "BTCUSDT", "price": "1.50"}]), NOW).rows[0]

    assert (stats.symbol, stats.event_time, stats.price_change) == ("BTCUSDT", NOW - 10, "-1.0")
    assert (price.symbol, price.event_time, price.price) == ("BTCUSDT", NOW, "1.50")


def test_a_book_s_levels_are_checked() -> None:
    found = responses.snapshot(body({"lastUpdateId": 9, "bids": [["2", "1"]], "asks": [["3", "1"], ["4", "1"]]}), NOW)

    assert found == (9, [("2", "1")], [("3", "1"), ("4", "1")])
    with pytest.raises(Rejected):
        responses.snapshot(body({"lastUpdateId": 9, "bids": [["x", "1"]], "asks": []}), NOW)


@pytest.mark.parametrize(("kind", "ids"), [("aggregate", [7]), ("trade", [14])])
def test_the_first_trade_id_at_a_time_is_that_of_the_requested_kind(kind: str, ids: list[int]) -> None:
    trades = [{k: agg_trade(7)[k] for k in "apqflTmM"}, {"a": 8, "p": "?"}]

    found = responses.first_trade("BTCUSDT", kind, body(trades), NOW)

    assert found.ids == ids
    assert [it.position for it in found.refused] == [8 if kind == "aggregate" else None]

"""REST bodies and their rows: the same as the streams' rows, and one wrong row hurts no other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.producer.conftest import NOW, agg_trade, frame

from cryptocdc_core.catalogue import STREAMS
from cryptocdc_core.versions import Rank, kline_version
from cryptocdc_producer import answers, frames
from cryptocdc_producer.checks import Rejected

MINUTE = 60_000


def body(document: Any) -> bytes:
    return json.dumps(document).encode()


def candle(open_time: int, **changed: Any) -> list[Any]:
    row = {
        "t": open_time, "o": "1.0", "h": "2.0", "l": "0.5", "c": "1.5", "v": "10.0", "T": open_time + MINUTE - 1,
        "q": "12.0", "n": 3, "V": "4.0", "Q": "5.0", "B": "0", **changed,
    }  # fmt: skip
    return list(row.values())


def test_a_trade_by_rest_is_the_trade_by_websocket() -> None:
    event = agg_trade(7)
    by_stream = frames.trade_row(frames.decode(frame(event)), NOW)  # type: ignore[arg-type]

    found = answers.aggregate_trades("BTCUSDT", body([{k: event[k] for k in "apqflTmM"}]), NOW)

    assert found.rows == [by_stream]


def test_a_raw_trade() -> None:
    trade = {"id": 5, "price": "1.0", "qty": "2.0", "quoteQty": "2.0", "time": NOW, "isBuyerMaker": True}

    row = answers.raw_trades("BTCUSDT", body([trade]), NOW).rows[0]

    assert row[1:8] == (NOW, 5, "1.0", "2.0", 5, 5, True)


def test_one_wrong_row_is_refused_alone() -> None:
    good = {k: agg_trade(7)[k] for k in "apqflTmM"}
    wrong = [good | {"p": "1.2.3"}, good | {"a": "x"}, good | {"T": NOW + 3_600_000}]

    found = answers.aggregate_trades("BTCUSDT", body([good, *wrong, good | {"a": 8}]), NOW)

    assert [row[2] for row in found.rows] == [7, 8]
    assert [rejected.reason for rejected, _ in found.rejected] == ["wrong-decimal", "wrong-field", "future"]
    assert json.loads(found.rejected[0][1])["p"] == "1.2.3"


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
def test_an_answer_that_is_no_list_is_refused_whole(wrong: bytes, reason: str) -> None:
    with pytest.raises(Rejected) as rejected:
        answers.klines("BTCUSDT", "1m", wrong, NOW)
    assert rejected.value.reason == reason


def test_all_klines_but_the_newest_are_final() -> None:
    start = NOW - 3 * MINUTE

    rows = answers.klines("BTCUSDT", "1m", body([candle(start + n * MINUTE) for n in range(3)]), NOW).rows

    as_dicts = [dict(zip(STREAMS["klines"].column_names, row, strict=True)) for row in rows]
    assert [row["closed"] for row in as_dicts] == [True, True, False]
    assert as_dicts[0]["version"] == kline_version(NOW, start + MINUTE - 1, Rank.FINAL)
    assert as_dicts[0]["event_time"] == start + MINUTE
    assert as_dicts[2]["version"] < kline_version(NOW, as_dicts[2]["close_time"], Rank.CLOSED)


def test_a_kline_of_another_interval_is_refused() -> None:
    assert answers.klines("BTCUSDT", "1h", body([candle(NOW - MINUTE)]), NOW).rejected


def test_statistics_are_dated_by_their_close_and_prices_by_capture() -> None:
    numbers = dict.fromkeys(
        ["weightedAvgPrice", "prevClosePrice", "lastPrice", "lastQty", "bidPrice", "bidQty", "askPrice", "askQty",
         "openPrice", "highPrice", "lowPrice", "volume", "quoteVolume"], "1.0",
    )  # fmt: skip
    ticker = {
        "symbol": "BTCUSDT", "priceChange": "-1.0", "priceChangePercent": "-0.5", **numbers,
        "openTime": NOW - 86_400_000, "closeTime": NOW - 10, "firstId": 1, "lastId": 2, "count": 2,
    }  # fmt: skip

    assert answers.tickers(body([ticker]), NOW).rows[0][:3] == ("BTCUSDT", NOW - 10, "-1.0")
    assert answers.prices(body([{"symbol": "BTCUSDT", "price": "1.50"}]), NOW).rows[0][:3] == ("BTCUSDT", NOW, "1.50")


def test_a_book_by_rest() -> None:
    depth = body({"lastUpdateId": 9, "bids": [["2", "1"], ["1", "1"]], "asks": [["3", "1"], ["4", "1"]]})

    row = answers.book("BTCUSDT", 1, 1000, depth, NOW + 1)

    assert row[:7] == ("BTCUSDT", NOW, 9, ["2"], ["1"], ["3"], ["1"])
    with pytest.raises(Rejected):
        answers.snapshot(body({"lastUpdateId": 9, "bids": [["x", "1"]], "asks": []}))

"""Requests to OKX: pages are returned backwards, but must still start at an id or a time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.exchanges.conformance.simulated import Simulated

from cryptocdc_core.rows.typed import Row
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.okx import markets, requests
from cryptocdc_exchanges.port import Request, Rows
from cryptocdc_exchanges.registry import VENUES

MINUTE = 60_000
SYMBOL = "BTC-USDT-SWAP"


@pytest.fixture
def simulated() -> Simulated:
    return Simulated(VENUES["okx"])


def rows_of(simulated: Simulated, request: Request[Rows[Any]]) -> list[Any]:
    found = simulated.read(request)
    assert not found.refused
    rows: list[Row] = found.rows
    return rows


def body(*data: Any) -> bytes:
    return json.dumps({"code": "0", "msg": "", "data": list(data)}).encode()


def trade(**fields: str) -> dict[str, str]:
    return {"instId": SYMBOL, "tradeId": "7", "px": "1.50", "sz": "3", "side": "buy", "ts": "1000", **fields}


def test_a_page_of_trades_starts_at_the_requested_id(simulated: Simulated) -> None:
    newest = rows_of(simulated, requests.trades(SYMBOL, "trade", None, 1))[0].trade_id

    page = rows_of(simulated, requests.trades(SYMBOL, "trade", newest - 500, 100))

    assert sorted(row.trade_id for row in page) == list(range(newest - 500, newest - 400))


def test_a_page_of_trades_up_to_the_newest_contains_all_from_the_requested_id(simulated: Simulated) -> None:
    newest = rows_of(simulated, requests.trades(SYMBOL, "trade", None, 1))[0].trade_id

    page = rows_of(simulated, requests.trades(SYMBOL, "trade", newest - 4, 100))

    assert {row.trade_id for row in page} >= set(range(newest - 4, newest + 1))


def test_the_first_trade_at_a_time_follows_the_last_one_before_it(simulated: Simulated) -> None:
    page = rows_of(simulated, requests.trades(SYMBOL, "trade", None, 100))
    at = sorted(page, key=lambda row: row.trade_id)[50]

    found = simulated.read(requests.first_trade(SYMBOL, "trade", at.trade_time, 1))

    assert found.ids == [min(row.trade_id for row in page if row.trade_time >= at.trade_time)]


def test_without_an_earlier_trade_the_first_one_is_the_first_of_its_market() -> None:
    read = requests.first_trade(SYMBOL, "trade", 5, 1).read

    assert read(body(), 2000) == ([requests.FIRST_TRADE_ID], [])


def test_the_first_trade_is_found_although_the_one_before_it_is_invalid() -> None:
    read = requests.first_trade(SYMBOL, "trade", 5, 1).read

    assert read(body(trade(px="?")), 2000).ids == [8]
    unread = read(body(trade(tradeId="?")), 2000)
    assert unread.ids == []
    assert [it.position for it in unread.refused] == [None]


def test_only_complete_candles_from_the_start_time_on_are_returned(simulated: Simulated) -> None:
    opened = simulated.clock.now // MINUTE * MINUTE

    page = rows_of(simulated, requests.klines(SYMBOL, "1m", opened - 10 * MINUTE, 5))
    last = rows_of(simulated, requests.klines(SYMBOL, "1m", opened - 3 * MINUTE, 100))

    assert sorted(row.open_time for row in page) == [opened - n * MINUTE for n in range(10, 5, -1)]
    assert sorted(row.open_time for row in last) == [opened - n * MINUTE for n in (3, 2, 1)]


def test_an_invalid_element_is_refused_alone_with_its_position() -> None:
    found = requests.trades(SYMBOL, "trade", 7, 2).read(body(trade(), trade(tradeId="8", px="-1")), 2000)

    assert [row.trade_id for row in found.rows] == [7]
    assert [(it.rejected.reason, it.position) for it in found.refused] == [("wrong-decimal", 8)]
    candle = requests.klines(SYMBOL, "1m", 0, 2).read(body(["60000", "x"]), 2000)
    assert [(it.rejected.reason, it.position) for it in candle.refused] == [("wrong-field", 60_000)]


@pytest.mark.parametrize("odd", [b'{"tradeId":1e999}', b'{"tradeId":"8","side":"\xff"}'])
def test_an_element_that_is_not_json_is_refused_alone(odd: bytes) -> None:
    read = requests.trades(SYMBOL, "trade", 7, 2).read

    found = read(body(trade(), "odd").replace(b'"odd"', odd), 2000)

    assert [row.trade_id for row in found.rows] == [7]
    assert [(it.rejected.reason, it.position) for it in found.refused] == [("invalid-json", None)]


def test_a_response_with_an_error_code_is_refused() -> None:
    with pytest.raises(Rejected) as refusal:
        requests.trades(SYMBOL, "trade", 7, 2).read(b'{"code":"50001","msg":"busy","data":[]}', 0)

    assert refusal.value.reason == "error-body"


def test_a_market_is_listed_by_type_with_the_quote_asset_of_its_name(simulated: Simulated) -> None:
    for symbol, kind in (("BTC-USDT", "SPOT"), (SYMBOL, "SWAP")):
        (request,) = markets.listing(symbol)
        assert request.params["instType"] == kind
        assert simulated.read(request).markets[symbol].quote == "USDT"


def test_spot_and_swap_volumes_are_in_the_quote_currency() -> None:
    spot, swap = markets.quote_volumes()
    common = {"last": "100", "volCcy24h": "5"}

    assert spot.read(body({"instType": "SPOT", "instId": "X-USDT", **common}), 0) == {"X-USDT": 5.0}
    assert swap.read(body({"instType": "SWAP", "instId": "X-USDT-SWAP", **common}), 0) == {"X-USDT-SWAP": 500.0}

"""The REST API of Coinbase Exchange, by its documentation."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from cryptocdc_simulator.dialects.coinbase import of_market
from cryptocdc_simulator.dialects.coinbase.products import PRODUCTS, new_product
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.market import Market

from ..clients import Ask, rest_client, shape
from ..conftest import NOON, ManualClock


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        ("time", {"iso", "epoch"}),
        ("products/BTC-USD/ticker", {"ask", "bid", "volume", "trade_id", "price", "size", "time"}),
        ("products/BTC-USD/stats", {"open", "high", "low", "last", "volume", "volume_30day"}),
        ("products/BTC-USD/book?level=2", {"bids", "asks", "sequence", "auction_mode", "auction", "time"}),
    ],
)
def test_answers_have_the_documented_fields(ask: Ask, target: str, fields: set[str]) -> None:
    status, body, _ = ask(target)
    assert (status, set(body)) == (200, fields)


@pytest.mark.parametrize(
    ("target", "status", "message"),
    [
        ("products/NO-SUCH/trades", 404, "NotFound"),
        ("products/NO-SUCH", 404, "NotFound"),
        ("nosuch", 404, "Route not found"),
        ("products/BTC-USD/candles?granularity=120", 400, "Unsupported granularity"),
        ("products/BTC-USD/trades?after=many", 400, "after must be a valid integer"),
        ("products/BTC-USD/book?level=4", 400, "Invalid level"),
        (
            "products/BTC-USD/candles?start=2026-06-01T00:00:00Z&end=2026-06-01T10:00:00Z",
            400,
            "granularity too small for the requested time range. Count of aggregations requested exceeds 300",
        ),
    ],
)
def test_bad_requests_get_the_venues_messages(ask: Ask, target: str, status: int, message: str) -> None:
    assert ask(target)[:2] == (status, {"message": message})


def test_the_statistics_of_all_products_are_those_of_each(ask: Ask) -> None:
    _, every, _ = ask("products/stats")
    _, one, _ = ask("products/BTC-USD/stats")

    assert set(every) == {product["id"] for product in ask("products")[1]}
    assert {**every["BTC-USD"]["stats_24hour"], "volume_30day": every["BTC-USD"]["stats_30day"]["volume"]} == one


def test_the_limit_is_ten_requests_per_second_with_bursts_of_fifteen(ask: Ask, clock: ManualClock) -> None:
    assert [ask("time")[0] for _ in range(15)] == [200] * 15
    assert ask("time")[:2] == (429, {"message": "Public rate limit exceeded"})
    clock.now += 1_000
    assert [ask("time")[0] for _ in range(11)] == [200] * 10 + [429]


def test_trades_are_paged_by_cursors(ask: Ask, market: Market) -> None:
    end = market.listings["BTC-USD"].next_raw_id()
    _, newest, headers = ask("products/BTC-USD/trades")
    assert [row["trade_id"] for row in newest] == list(range(end - 1, end - 1001, -1))
    assert (headers["cb-before"], headers["cb-after"]) == (str(end - 1), str(end - 1000))
    older = ask(f"products/BTC-USD/trades?after={headers['cb-after']}&limit=10")[1]
    assert [row["trade_id"] for row in older] == list(range(end - 1001, end - 1011, -1))
    assert ask(f"products/BTC-USD/trades?before={end - 4}")[1] == newest[:3]
    assert ask(f"products/BTC-USD/trades?before={end - 11}&after={end - 5}")[1] == newest[5:10]
    _, none, without = ask(f"products/BTC-USD/trades?before={end - 1}")
    assert none == []
    assert "cb-after" not in without
    assert set(newest[0]) == {"trade_id", "side", "size", "price", "time"}


def test_candles_are_numbers_newest_first(ask: Ask, market: Market, clock: ManualClock) -> None:
    rows = ask("products/BTC-USD/candles?start=2026-06-01T11:00:00Z&end=2026-06-01T11:10:00Z")[1]
    assert [(NOON // 1000 - row[0]) // 60 for row in rows] == list(range(50, 61))
    time, low, high, open_price, close, volume = rows[0]
    assert low <= min(open_price, close) <= max(open_price, close) <= high
    bar = market.listings["BTC-USD"].bars.kline(time * 1000, time * 1000 + 60_000)
    assert (round(close * 100), round(volume * 10**5)) == (bar.close, bar.volume)
    clock.now += 1_800_000
    assert len(ask("products/BTC-USD/candles?granularity=3600")[1]) == 300
    hour = ask(f"products/BTC-USD/candles?granularity=3600&start={NOON // 1000 - 3600}&end={NOON // 1000 - 1}")[1]
    assert [row[0] for row in hour] == [NOON // 1000 - 3600]


def test_intervals_without_trades_have_no_candle(clock: ManualClock, faults: Faults) -> None:
    product = "TRX-USD"
    market = Market(7, 1, 1.0, clock, catalogue=[it for it in PRODUCTS if it.symbol == product])
    rows = rest_client(of_market(market, faults), faults, "/")(
        f"products/{product}/candles?start={NOON // 1000 - 18_000}&end={NOON // 1000 - 60}"
    )[1]
    bars = market.listings[product].bars
    expected = [at for at in range(NOON - 18_000_000, NOON, 60_000) if bars.between(at, at + 60_000)]
    assert [row[0] * 1000 for row in rows] == expected[::-1]
    assert 0 < len(expected) < 300


def test_a_product_is_halted_listed_and_removed(ask: Ask, market: Market, faults: Faults, clock: ManualClock) -> None:
    market.delist("ETH-USD")
    market.list_new(new_product({"base": "new", "quote": "usd"}))
    states = {it["id"]: (it["status"], it["trading_disabled"]) for it in ask("products")[1]}
    assert states["ETH-USD"] == ("offline", True)
    assert states["BTC-USD"] == states["NEW-USD"] == ("online", False)
    market.remove("ETH-USD")
    assert ask("products/ETH-USD")[0] == 404
    clock.now += 20_000
    assert ask("products/NEW-USD/trades")[1][-1]["trade_id"] == 0
    faults.maintain("break", 60)
    assert {it["status"] for it in ask("products")[1]} == {"offline"}


def test_the_book_has_the_levels_that_were_requested(ask: Ask) -> None:
    one, two = (ask(f"products/BTC-USD/book?level={level}")[1] for level in (1, 2))
    assert len(one["bids"]) == len(one["asks"]) == 1
    assert one["bids"] == two["bids"][:1]
    assert [type(value) for value in one["bids"][0]] == [str, str, int]
    assert Decimal(two["bids"][0][0]) < Decimal(two["asks"][0][0])


def test_products_have_the_shape_of_recorded_ones(ask: Ask, recordings: Path) -> None:
    recorded = json.loads((recordings / "coinbase-rest.capture").read_text().split(": ", 1)[1])
    theirs = shape(recorded[0])
    for removed in ("base_min_size", "base_max_size", "max_market_funds"):  # by the venue, on 2022-06-30
        del theirs[removed]
    ours = shape(ask("products")[1][0])
    assert {name: ours[name] for name in theirs} == theirs

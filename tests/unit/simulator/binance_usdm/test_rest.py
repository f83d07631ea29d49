"""The REST API of USD-M futures, by the exchange's documentation."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.market import Market

from ..clients import Ask
from ..conftest import NOON, ManualClock


@pytest.mark.parametrize(
    ("target", "weight"),
    [
        ("ping", 1),
        ("exchangeInfo", 1),
        ("depth?symbol=BTCUSDT&limit=50", 2),
        ("depth?symbol=BTCUSDT&limit=100", 5),
        ("depth?symbol=BTCUSDT", 10),
        ("depth?symbol=BTCUSDT&limit=1000", 20),
        ("trades?symbol=BTCUSDT", 5),
        ("aggTrades?symbol=BTCUSDT", 20),
        ("klines?symbol=BTCUSDT&interval=1m&limit=99", 1),
        ("klines?symbol=BTCUSDT&interval=1m", 5),
        ("klines?symbol=BTCUSDT&interval=1m&limit=499", 2),
        ("klines?symbol=BTCUSDT&interval=1m&limit=1001", 10),
        ("ticker/price", 2),
        ("ticker/price?symbol=BTCUSDT", 1),
        ("ticker/bookTicker", 5),
        ("ticker/bookTicker?symbol=BTCUSDT", 2),
        ("ticker/24hr?symbol=BTCUSDT", 1),
        ("premiumIndex?symbol=BTCUSDT", 1),
        ("premiumIndex", 10),
        ("openInterest?symbol=BTCUSDT", 1),
    ],
)
def test_weights_are_the_documented_ones(ask: Ask, target: str, weight: int) -> None:
    status, _, headers = ask(target)
    assert (status, headers["x-mbx-used-weight-1m"]) == (200, str(weight))


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("depth?symbol=NOSUCH", -1121),
        ("depth", -1102),
        ("depth?symbol=BTCUSDT&limit=99", -1130),
        ("klines?symbol=BTCUSDT&interval=1s", -1120),
        ("aggTrades?symbol=BTCUSDT&fromId=1&startTime=2", -1128),
        ("openInterest", -1102),
    ],
)
def test_bad_requests_get_the_exchanges_codes(ask: Ask, target: str, code: int) -> None:
    status, body, _ = ask(target)
    assert (status, body["code"]) == (400, code)


def test_the_budget_is_2400_a_minute(ask: Ask) -> None:
    assert ask("exchangeInfo")[1]["rateLimits"][0]["limit"] == 2400
    for _ in range(119):
        assert ask("depth?symbol=BTCUSDT&limit=1000")[0] == 200
    status, body, headers = ask("depth?symbol=BTCUSDT&limit=1000")
    assert (status, body["code"]) == (429, -1003)
    assert 1 <= int(headers["retry-after"]) <= 60


def test_answers_have_the_documented_fields(ask: Ask) -> None:
    expected = {
        "depth?symbol=BTCUSDT&limit=5": {"lastUpdateId", "E", "T", "bids", "asks"},
        "ticker/price?symbol=BTCUSDT": {"symbol", "price", "time"},
        "ticker/bookTicker?symbol=BTCUSDT": {
            *("symbol", "bidPrice", "bidQty", "askPrice", "askQty", "time", "lastUpdateId"),
        },
        "premiumIndex?symbol=BTCUSDT": {
            *("symbol", "markPrice", "indexPrice", "estimatedSettlePrice", "lastFundingRate", "interestRate"),
            *("nextFundingTime", "time"),
        },
        "openInterest?symbol=BTCUSDT": {"openInterest", "symbol", "time"},
        "ticker/24hr?symbol=BTCUSDT": {
            *("symbol", "priceChange", "priceChangePercent", "weightedAvgPrice", "lastPrice", "lastQty", "openPrice"),
            *("highPrice", "lowPrice", "volume", "quoteVolume", "openTime", "closeTime", "firstId", "lastId", "count"),
        },
    }
    assert {target: set(ask(target)[1]) for target in expected} == expected
    assert set(ask("aggTrades?symbol=BTCUSDT&limit=1")[1][0]) == set("apqflTm")
    assert set(ask("trades?symbol=BTCUSDT&limit=1")[1][0]) == {
        *("id", "price", "qty", "quoteQty", "time", "isBuyerMaker"),
    }
    assert len(ask("klines?symbol=BTCUSDT&interval=1m&limit=1")[1][0]) == 12


def test_numbers_have_the_decimals_of_tick_and_step(ask: Ask) -> None:
    info = {entry["symbol"]: entry for entry in ask("exchangeInfo")[1]["symbols"]}["BTCUSDT"]
    trade = ask("aggTrades?symbol=BTCUSDT&limit=1")[1][0]
    assert len(trade["p"].partition(".")[2]) == info["pricePrecision"] == 2
    assert len(trade["q"].partition(".")[2]) == info["quantityPrecision"] == 3
    assert len(ask("premiumIndex?symbol=BTCUSDT")[1]["markPrice"].partition(".")[2]) == 8


def test_delivery_contracts_are_listed_beside_the_perpetual_ones(ask: Ask) -> None:
    info = {entry["symbol"]: entry for entry in ask("exchangeInfo")[1]["symbols"]}
    assert (info["BTCUSDT"]["contractType"], info["BTCUSDT"]["deliveryDate"]) == ("PERPETUAL", 4133404800000)
    assert info["BTCUSDT_261225"]["contractType"] == "CURRENT_QUARTER"
    assert (ask("premiumIndex?symbol=BTCUSDT_261225")[1]["lastFundingRate"]) == ""


def test_a_perpetual_follows_its_pair_and_costs_a_little_more(market: Market, futures: Market) -> None:
    for symbol in ("BTCUSDT", "ETHUSDT", "DOGEUSDT"):
        spot, contract = market.listings[symbol].tape, futures.listings[symbol].tape
        basis = [
            contract.price_before(at) / spot.price_before(at) - 1 for at in range(NOON - 86_400_000, NOON, 600_000)
        ]
        assert max(map(abs, basis)) < 0.005
        assert 0.0003 < sum(basis) / len(basis) < 0.0009


def test_mark_and_index_price_are_close_to_the_last_price(ask: Ask) -> None:
    mark = ask("premiumIndex?symbol=BTCUSDT")[1]
    last = Decimal(ask("ticker/price?symbol=BTCUSDT")[1]["price"])
    assert abs(Decimal(mark["markPrice"]) / last - 1) < Decimal("0.002")
    assert Decimal(mark["indexPrice"]) < Decimal(mark["markPrice"])
    assert abs(Decimal(mark["lastFundingRate"])) < Decimal("0.001")
    assert mark["nextFundingTime"] == NOON + 4 * 3_600_000


def test_trade_ids_of_the_two_markets_differ(ask: Ask, market: Market) -> None:
    assert ask("aggTrades?symbol=BTCUSDT&limit=1")[1][0]["a"] != market.listings["BTCUSDT"].next_id() - 1


def test_a_halted_market_is_settling_and_a_removed_one_is_unknown(ask: Ask, futures: Market, faults: Faults) -> None:
    futures.delist("ETHUSDT")
    statuses = {entry["symbol"]: entry["status"] for entry in ask("exchangeInfo")[1]["symbols"]}
    assert (statuses["ETHUSDT"], statuses["BTCUSDT"]) == ("SETTLING", "TRADING")
    futures.remove("ETHUSDT")
    assert ask("depth?symbol=ETHUSDT")[1]["code"] == -1121
    faults.maintain("break", 60)
    assert {entry["status"] for entry in ask("exchangeInfo")[1]["symbols"]} == {"PENDING_TRADING"}


def test_open_interest_moves_slowly(ask: Ask, clock: ManualClock) -> None:
    before = Decimal(ask("openInterest?symbol=BTCUSDT")[1]["openInterest"])
    clock.now += 60_000
    after = Decimal(ask("openInterest?symbol=BTCUSDT")[1]["openInterest"])
    assert before > 0
    assert abs(after / before - 1) < Decimal("0.05")

"""The REST API of OKX, by its documentation."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from cryptocdc_simulator.dialects.okx.instruments import new_instrument
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.market import Market

from ..clients import Ask, shape
from ..conftest import NOON, ManualClock


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        ("public/time", {"ts"}),
        ("market/books?instId=BTC-USDT&sz=5", {"asks", "bids", "ts", "seqId"}),
        ("market/trades?instId=BTC-USDT", {"instId", "side", "sz", "px", "tradeId", "ts", "source"}),
        ("market/history-trades?instId=BTC-USDT", {"instId", "side", "sz", "px", "tradeId", "ts", "source"}),
        ("public/mark-price?instType=SWAP", {"instId", "instType", "markPx", "ts"}),
        ("public/open-interest?instType=SWAP", {"instId", "instType", "oi", "oiCcy", "oiUsd", "ts"}),
        (
            "public/funding-rate?instId=BTC-USDT-SWAP",
            {
                *("formulaType", "fundingRate", "fundingTime", "impactValue", "instId", "instType", "interestRate"),
                *("maxFundingRate", "method", "minFundingRate", "nextFundingRate", "nextFundingTime", "premium"),
                *("settFundingRate", "settState", "ts"),
            },
        ),
        (
            "market/ticker?instId=BTC-USDT",
            {
                *("instType", "instId", "last", "lastSz", "askPx", "askSz", "bidPx", "bidSz", "open24h", "high24h"),
                *("low24h", "sodUtc0", "sodUtc8", "volCcy24h", "vol24h", "ts"),
            },
        ),
    ],
)
def test_answers_are_an_envelope_with_the_documented_fields(ask: Ask, target: str, fields: set[str]) -> None:
    status, body, _ = ask(target)
    assert (status, body["code"], body["msg"]) == (200, "0", "")
    assert set(body["data"][0]) == fields


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("market/books?instId=NO-SUCH", 200, "51001"),
        ("market/books", 400, "50014"),
        ("public/instruments", 400, "50014"),
        ("public/instruments?instType=NOSUCH", 400, "51000"),
        ("market/candles?instId=BTC-USDT&bar=7m", 400, "51000"),
        ("market/history-trades?instId=BTC-USDT&limit=many", 400, "51000"),
        ("market/nosuch", 404, "404"),
    ],
)
def test_bad_requests_get_the_venues_codes(ask: Ask, target: str, status: int, code: str) -> None:
    found, body, _ = ask(target)
    assert (found, body["code"], body["data"]) == (status, code, [])


@pytest.mark.parametrize(
    ("target", "limit"),
    [("market/history-trades?instId=BTC-USDT", 20), ("market/books?instId=BTC-USDT", 40), ("public/time", 10)],
)
def test_limits_are_per_endpoint_and_two_seconds(ask: Ask, clock: ManualClock, target: str, limit: int) -> None:
    assert [ask(target)[0] for _ in range(limit)] == [200] * limit
    assert ask(target)[:2] == (429, {"msg": "Too Many Requests", "code": "50011"})
    assert ask("market/ticker?instId=BTC-USDT")[0] == 200
    clock.now += 2_000
    assert ask(target)[0] == 200


def test_spot_and_swap_instruments_are_listed(ask: Ask) -> None:
    (spot,) = ask("public/instruments?instType=SPOT&instId=BTC-USDT")[1]["data"]
    assert (spot["baseCcy"], spot["quoteCcy"], spot["state"], spot["ctVal"]) == ("BTC", "USDT", "live", "")
    assert (spot["tickSz"], spot["lotSz"]) == ("0.01", "0.00001")
    swaps = {it["instId"]: it for it in ask("public/instruments?instType=SWAP")[1]["data"]}
    swap = swaps["BTC-USDT-SWAP"]
    assert (swap["ctVal"], swap["ctValCcy"], swap["ctType"], swap["settleCcy"]) == ("0.01", "BTC", "linear", "USDT")
    assert (swap["baseCcy"], swap["instFamily"], swap["lotSz"]) == ("", "BTC-USDT", "0.01")


def test_a_market_is_suspended_listed_and_removed(ask: Ask, market: Market, clock: ManualClock, faults: Faults) -> None:
    def states() -> dict[str, str]:
        return {it["instId"]: it["state"] for it in ask("public/instruments?instType=SPOT")[1]["data"]}

    market.delist("ETH-USDT")
    clock.now += 1
    market.list_new(new_instrument({"base": "NEW", "quote": "USDT"}))
    assert states() == {"BTC-USDT": "live", "ETH-USDT": "suspend", "BNB-USDT": "live", "SOL-USDT": "live"} | {
        "NEW-USDT": "preopen"
    }
    clock.now += 10_000
    market.remove("ETH-USDT")
    assert states()["NEW-USDT"] == "live"
    assert "ETH-USDT" not in states()
    faults.maintain("break", 60)
    assert set(states().values()) == {"suspend"}
    faults.maintain("empty", 60)
    assert states() == {}


def test_trades_are_paged_by_id_in_both_directions(ask: Ask, market: Market) -> None:
    newest = ask("market/trades?instId=BTC-USDT&limit=500")[1]["data"]
    assert [int(row["tradeId"]) for row in newest] == list(
        range(market.listings["BTC-USDT"].next_raw_id() - 1, market.listings["BTC-USDT"].next_raw_id() - 501, -1)
    )
    older = ask(f"market/history-trades?instId=BTC-USDT&after={newest[9]['tradeId']}&limit=100")[1]["data"]
    assert older == newest[10:110]
    between = ask(f"market/history-trades?instId=BTC-USDT&after={newest[9]['tradeId']}&before={newest[15]['tradeId']}")[
        1
    ]["data"]
    assert between == newest[10:15]
    assert len(ask("market/history-trades?instId=BTC-USDT&limit=500")[1]["data"]) == 100
    assert ask(f"market/history-trades?instId=BTC-USDT&before={newest[2]['tradeId']}")[1]["data"] == newest[:2]


def test_trades_are_paged_by_time(ask: Ask) -> None:
    rows = ask(f"market/history-trades?instId=BTC-USDT&type=2&after={NOON - 60_000}")[1]["data"]
    assert len(rows) == 100
    assert NOON - 90_000 < int(rows[-1]["ts"]) <= int(rows[0]["ts"]) < NOON - 60_000


def test_candles_come_newest_first_and_the_open_one_is_not_confirmed(ask: Ask, clock: ManualClock) -> None:
    clock.now = NOON + 30_000
    rows = ask("market/candles?instId=BTC-USDT&limit=3")[1]["data"]
    assert [(int(row[0]) - NOON, row[8]) for row in rows] == [(0, "0"), (-60_000, "1"), (-120_000, "1")]
    assert all(len(row) == 9 for row in rows)
    history = ask("market/history-candles?instId=BTC-USDT&limit=2")[1]["data"]
    assert history == rows[1:]
    page = ask(f"market/candles?instId=BTC-USDT&after={NOON}&before={NOON - 180_000}")[1]["data"]
    assert page[:2] == rows[1:]
    assert [int(row[0]) - NOON for row in page] == [-60_000, -120_000]
    assert len(ask("market/candles?instId=BTC-USDT&limit=500")[1]["data"]) == 300


def test_volumes_of_a_swap_are_in_contracts_base_and_quote(ask: Ask) -> None:
    row = ask("market/history-candles?instId=BTC-USDT-SWAP&limit=1")[1]["data"][0]
    contracts, base, quote = map(Decimal, row[5:8])
    assert base == contracts * Decimal("0.01")
    assert Decimal(row[3]) * base <= quote <= Decimal(row[2]) * base


def test_a_swap_has_another_price_than_its_pair(ask: Ask) -> None:
    spot, swap = (
        Decimal(ask(f"market/ticker?instId={name}")[1]["data"][0]["last"]) for name in ("BTC-USDT", "BTC-USDT-SWAP")
    )
    assert 0 < abs(swap / spot - 1) < Decimal("0.005")
    assert ask("public/mark-price?instId=BTC-USDT")[1]["data"] == []


def test_refusals_and_short_pages_occur_on_request(ask: Ask, faults: Faults) -> None:
    faults.short_pages["market/candles"] = 2
    assert len(ask("market/candles?instId=BTC-USDT")[1]["data"]) == 2
    faults.refuse(503, 60)
    assert ask("public/time")[:2][0] == 503
    faults.refuse(429, 60)
    assert ask("public/time")[1]["code"] == "50011"


def test_instruments_have_the_shape_of_recorded_ones(ask: Ask, recordings: Path) -> None:
    recorded = json.loads((recordings / "okx-rest.capture").read_text().split(": ", 1)[1])
    ours = ask("public/instruments?instType=SPOT")[1]
    assert ours.keys() == recorded.keys()
    theirs = shape(recorded["data"][0])
    assert {name: shape(ours["data"][0][name]) for name in theirs} == theirs

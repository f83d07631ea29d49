"""The REST API as a client sees it: status, headers and body, by the exchange's documentation."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from cryptocdc_simulator.dialects.binance import new_instrument, of_market
from cryptocdc_simulator.dialects.binance.rest import kline_openings
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.malformed import ANSWERS
from cryptocdc_simulator.market.book import step_at
from cryptocdc_simulator.market.market import EPOCH_MS, Market

from ..clients import Ask, rest_client
from ..conftest import NOON, ManualClock


@pytest.fixture
def faults(clock: ManualClock) -> Faults:
    return Faults(clock)


@pytest.fixture
def ask(market: Market, faults: Faults) -> Ask:
    """GET /api/v3/<path and query> -> (status, body, headers)."""
    return rest_client(of_market(market, faults), faults, "/api/v3/")


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("klines?symbol=NOSUCH&interval=1m", 400, -1121),
        ("depth?symbol=NOSUCH", 400, -1121),
        ("exchangeInfo?symbol=NOSUCH", 400, -1121),
        ("klines?symbol=BTCUSDT", 400, -1102),
        ("klines?symbol=BTCUSDT&interval=7m", 400, -1120),
        ("depth", 400, -1102),
        ("depth?symbol=", 400, -1102),
        ("depth?symbol=btcusdt", 400, -1100),
        ("depth?symbol=BTCUSDT&limit=0", 400, -1130),
        ("depth?symbol=" + quote("币安人生usdt"), 400, -1100),
        ("depth?symbol=" + quote("这是测试币456"), 400, -1121),
        ("depth?symbol=" + "A" * 51, 400, -1100),
        ("depth?symbol=" + quote("A'; DROP TABLE klines; --"), 400, -1100),
        ("depth?symbol=BTCUSDT&limit=-5", 400, -1100),
        ("depth?symbol=BTCUSDT&limit=many", 400, -1100),
        ("depth?symbol=BTCUSDT&colour=red", 400, -1104),
        ("ticker/price?symbols=" + quote('["BTCUSDT", "ETHUSDT"]'), 400, -1100),
        ("ticker/price?symbol=BTCUSDT&symbols=" + quote('["BTCUSDT"]'), 400, -1128),
        ("ticker/24hr?symbol=BTCUSDT&type=TINY", 400, -1130),
        ("aggTrades?symbol=BTCUSDT&fromId=1&startTime=2", 400, -1128),
        ("klines?symbol=BTCUSDT&interval=1m&startTime=2&endTime=1", 400, -1127),
        ("no/such", 404, -1000),
    ],
)
def test_bad_requests_get_the_exchanges_codes(ask: Ask, target: str, status: int, code: int) -> None:
    got, body, _ = ask(target)
    assert (got, body["code"]) == (status, code)
    assert set(body) == {"code", "msg"}


@pytest.mark.parametrize(
    ("target", "weight"),
    [
        ("ping", 1),
        ("exchangeInfo", 20),
        ("depth?symbol=BTCUSDT", 5),
        ("depth?symbol=BTCUSDT&limit=101", 25),
        ("depth?symbol=BTCUSDT&limit=1000", 50),
        ("depth?symbol=BTCUSDT&limit=5000", 250),
        ("trades?symbol=BTCUSDT&limit=1", 25),
        ("aggTrades?symbol=BTCUSDT&limit=1", 4),
        ("klines?symbol=BTCUSDT&interval=1m&limit=1", 2),
        ("ticker/24hr?symbol=BTCUSDT", 2),
        ("ticker/price?symbol=BTCUSDT", 2),
        ("ticker/price", 4),
        ("ticker/bookTicker", 4),
    ],
)
def test_weights_are_the_documented_ones(ask: Ask, target: str, weight: int) -> None:
    status, _, headers = ask(target)
    assert (status, headers["x-mbx-used-weight-1m"]) == (200, str(weight))


def test_exceeding_the_budget_gives_429_then_418_until_it_expires(ask: Ask, clock: ManualClock) -> None:
    clock.now = NOON + 10_000
    for _ in range(24):
        assert ask("depth?symbol=BTCUSDT&limit=5000")[0] == 200
    status, body, headers = ask("depth?symbol=BTCUSDT&limit=100")
    assert (status, body["code"], headers["retry-after"]) == (429, -1003, "50")
    clock.now += 50_000
    assert ask("ping")[0] == 200

    for _ in range(24):
        ask("depth?symbol=BTCUSDT&limit=5000")
    statuses = [ask("ping")[0] for _ in range(30)]
    assert statuses[0] == 429
    assert statuses[-1] == 418
    clock.now += 60_000
    assert ask("ping")[0] == 418
    assert int(ask("ping")[2]["retry-after"]) == 60
    clock.now += 60_000
    assert ask("ping")[0] == 200


@pytest.mark.parametrize(("status", "code"), [(429, -1003), (418, -1003), (503, -1001)])
def test_requested_refusals_end_automatically(
    ask: Ask, faults: Faults, clock: ManualClock, status: int, code: int
) -> None:
    faults.refuse(status, 2.5)
    got, body, headers = ask("ping")
    assert (got, body["code"], headers.get("retry-after")) == (status, code, "3" if status < 500 else None)
    clock.now += 2_500
    assert ask("ping")[0] == 200
    assert faults.counts[f"refused_{status}"] == 1


def test_exchange_info_marks_the_data_as_simulated(ask: Ask, market: Market) -> None:
    market.delist("ETHUSDT")
    _, info, headers = ask("exchangeInfo")
    assert info["simulated"] is True
    assert headers["x-simulated"] == "market"
    assert len(info["symbols"]) == 64
    assert {entry["symbol"]: entry["status"] for entry in info["symbols"]}["ETHUSDT"] == "BREAK"
    assert [entry["symbol"] for entry in ask("exchangeInfo?symbolStatus=BREAK")[1]["symbols"]] == ["ETHUSDT"]


def test_no_trade_is_shown_before_its_time(ask: Ask, clock: ManualClock) -> None:
    rows = ask("aggTrades?symbol=BTCUSDT&limit=1000")[1]
    assert len(rows) == 1000
    assert rows[-1]["T"] <= NOON
    following = f"aggTrades?symbol=BTCUSDT&fromId={rows[-1]['a'] + 1}"
    assert ask(following)[1] == []
    clock.now += 10_000
    later = ask(following)[1]
    assert later[0]["a"] == rows[-1]["a"] + 1
    assert later[0]["T"] > NOON
    assert later[-1]["T"] <= clock.now


def test_trades_by_id_and_by_time_are_the_same(ask: Ask) -> None:
    by_time = ask(f"aggTrades?symbol=XRPUSDT&startTime={NOON - 60_000}&endTime={NOON - 30_000}&limit=1000")[1]
    by_id = ask(f"aggTrades?symbol=XRPUSDT&fromId={by_time[0]['a']}&limit={len(by_time)}")[1]
    assert by_time == by_id
    assert NOON - 60_000 <= by_time[0]["T"] <= by_time[-1]["T"] <= NOON - 30_000
    first = by_time[0]
    raws = ask(f"historicalTrades?symbol=XRPUSDT&fromId={first['f']}&limit={first['l'] - first['f'] + 1}")[1]
    assert {(raw["price"], raw["time"], raw["isBuyerMaker"]) for raw in raws} == {(first["p"], first["T"], first["m"])}


def test_klines_are_limited_by_time_range_and_count(ask: Ask) -> None:
    minute = NOON - 600_000
    rows = ask(f"klines?symbol=BTCUSDT&interval=1m&startTime={minute}&endTime={minute + 179_999}")[1]
    assert [row[0] for row in rows] == [minute, minute + 60_000, minute + 120_000]
    assert all(row[6] == row[0] + 59_999 and len(row) == 12 for row in rows)
    assert len(ask("klines?symbol=BTCUSDT&interval=1m&limit=1500")[1]) == 1000
    assert ask("klines?symbol=BTCUSDT&interval=1m&limit=1")[1][0][0] == NOON


@pytest.mark.parametrize(
    ("start", "end", "limit", "expected"),
    [
        (None, None, 3, [-2, -1, 0]),
        (None, NOON - 60_001, 2, [-3, -2]),
        (NOON - 90_000, None, 500, [-1, 0]),
        (NOON - 300_000, None, 2, [-5, -4]),
        (NOON - 300_000, NOON - 240_000, 9, [-5, -4]),
        (NOON + 60_000, None, 5, []),
        (0, None, 1, [(EPOCH_MS - NOON) // 60_000]),
    ],
)
def test_the_open_times_that_a_kline_request_selects(
    start: int | None, end: int | None, limit: int, expected: list[int]
) -> None:
    openings = kline_openings("1m", start, end, limit, EPOCH_MS, NOON + 5_000)
    assert [(opening - NOON) // 60_000 for opening in openings] == expected


def test_months_are_counted_backwards_regardless_of_their_length() -> None:
    assert len(list(kline_openings("1M", None, None, 5, EPOCH_MS, NOON))) == 5


def test_tickers_are_returned_for_one_several_or_all_symbols(ask: Ask) -> None:
    one = ask("ticker/24hr?symbol=BNBUSDT")[1]
    many = ask("ticker/24hr?symbols=" + quote('["BNBUSDT","LTCUSDT"]'))[1]
    mini = ask("ticker/24hr?symbol=BNBUSDT&type=MINI")[1]
    assert many[0] == one
    assert [row["symbol"] for row in many] == ["BNBUSDT", "LTCUSDT"]
    assert mini == {name: one[name] for name in mini}
    assert "bidPrice" not in mini
    assert one["count"] == one["lastId"] - one["firstId"] + 1
    assert ask("ticker/price?symbol=BNBUSDT")[1] == {"symbol": "BNBUSDT", "price": one["lastPrice"]}
    book = ask("ticker/bookTicker?symbol=BNBUSDT")[1]
    assert (book["bidPrice"], book["askQty"]) == (one["bidPrice"], one["askQty"])


def test_a_delisted_symbol_keeps_its_history(ask: Ask, market: Market, clock: ManualClock) -> None:
    market.delist("LTCUSDT")
    last = ask("aggTrades?symbol=LTCUSDT&limit=1")[1]
    clock.now += 60_000
    assert ask("aggTrades?symbol=LTCUSDT&limit=1")[1] == last
    assert "LTCUSDT" not in {row["symbol"] for row in ask("ticker/price")[1]}
    market.remove("LTCUSDT")
    assert ask("aggTrades?symbol=LTCUSDT&limit=1")[1]["code"] == -1121


def test_a_new_symbol_begins_at_id_0(ask: Ask, market: Market, clock: ManualClock) -> None:
    market.list_new(new_instrument({"base": "NEW", "quote": "USDT"}))
    clock.now += 30_000
    rows = ask("aggTrades?symbol=NEWUSDT&startTime=0")[1]
    assert (rows[0]["a"], rows[0]["f"]) == (0, 0)
    assert rows[0]["T"] >= NOON
    assert len(ask("klines?symbol=NEWUSDT&interval=1h")[1]) == 1
    assert ask("ticker/24hr?symbol=NEWUSDT")[1]["firstId"] == 0


@pytest.mark.parametrize(
    ("kind", "status", "bad"),
    [
        ("invalid-json", 200, lambda body: isinstance(body, bytes)),
        ("wrong-decimal", 200, lambda body: body["bids"][0][0] == "1.2.3"),
        ("oversize", 200, lambda body: len(json.dumps(body)) > 5_000_000),
        ("error-body", 400, lambda body: set(body) == {"code", "msg"}),
    ],
)
def test_one_response_of_an_endpoint_is_malformed_on_request(
    ask: Ask, faults: Faults, kind: str, status: int, bad: Callable[[Any], bool]
) -> None:
    assert kind in ANSWERS
    sound = "depth?symbol=BTCUSDT&limit=5"
    faults.malformed["depth"] = kind

    assert ask("depth")[1]["code"] == -1102  # there is no response to malform
    assert ask("klines?symbol=BTCUSDT&interval=1m")[0] == 200
    got, body, _ = ask(sound)

    assert got == status
    assert bad(body)
    got, body, _ = ask(sound)
    assert got == 200
    assert not bad(body)
    assert faults.counts[f"malformed_{kind}"] == 1


def test_a_skewed_clock_shows_in_server_time(ask: Ask, faults: Faults) -> None:
    faults.skew_ms = -90_000
    assert ask("time")[1] == {"serverTime": NOON - 90_000}


def test_a_kline_is_revised_after_its_end_on_request(ask: Ask, faults: Faults, clock: ManualClock) -> None:
    faults.unsettled_ms["BTCUSDT"] = 5_000
    clock.now = NOON + 40
    asked = f"klines?symbol=BTCUSDT&interval=1m&startTime={NOON - 120_000}"
    before, soon, running = ask(asked)[1]
    clock.now = NOON + 5_000
    settled = ask(asked)[1]

    assert settled[0] == before
    assert soon[:2] == settled[1][:2]
    assert (float(soon[5]), soon[8]) < (float(settled[1][5]), settled[1][8])
    assert running[0] == NOON
    assert "unsettled_klines" in faults.counts


def test_a_kline_is_cut_short_on_request(ask: Ask, faults: Faults) -> None:
    faults.cut_klines["BTCUSDT", "1h", NOON - 7_200_000] = NOON - 7_200_000 + 14_838

    first, second = ask(f"klines?symbol=BTCUSDT&interval=1h&startTime={NOON - 7_200_000}&limit=2")[1]

    assert (first[0], first[6]) == (NOON - 7_200_000, NOON - 7_185_162)
    assert (second[0], second[6]) == (NOON - 3_600_000, NOON - 1)


def test_a_page_is_short_once_on_request(ask: Ask, faults: Faults) -> None:
    faults.short_pages["klines"] = 3

    sizes = [len(ask("klines?symbol=BTCUSDT&interval=1m&limit=10")[1]) for _ in range(2)]

    assert sizes == [3, 10]


def test_update_ids_of_a_book_restart_in_snapshots_too(ask: Ask, market: Market, clock: ManualClock) -> None:
    before = ask("depth?symbol=BTCUSDT")[1]["lastUpdateId"]
    market.listings["BTCUSDT"].book.restart_ids(step_at(NOON))
    clock.now += 200

    assert ask("depth?symbol=BTCUSDT")[1]["lastUpdateId"] == 16
    assert before > 1_000_000


def test_update_ids_of_a_book_jump_in_snapshots_too(ask: Ask, market: Market, clock: ManualClock) -> None:
    before = ask("depth?symbol=BTCUSDT")[1]["lastUpdateId"]
    market.listings["BTCUSDT"].book.jump_ids(step_at(NOON), 10**12)
    clock.now += 200

    assert ask("depth?symbol=BTCUSDT")[1]["lastUpdateId"] == before + 10**12 + 16


def test_the_best_bid_is_above_the_best_ask_on_request(ask: Ask, market: Market, clock: ManualClock) -> None:
    def best() -> tuple[float, float]:
        book = ask("depth?symbol=BTCUSDT&limit=5")[1]
        assert len(book["bids"]) == 5
        ticker = ask("ticker/bookTicker?symbol=BTCUSDT")[1]
        assert ([ticker["bidPrice"]], [ticker["askPrice"]]) == (book["bids"][0][:1], book["asks"][0][:1])
        return float(ticker["bidPrice"]), float(ticker["askPrice"])

    market.listings["BTCUSDT"].book.cross(step_at(NOON), 20)
    clock.now += 200
    bid, ask_price = best()
    assert ask_price < bid < 1.01 * ask_price
    clock.now += 2_000
    bid, ask_price = best()
    assert bid < ask_price


def test_ids_of_trades_restart_and_earlier_trades_are_gone(ask: Ask, market: Market, clock: ManualClock) -> None:
    before = ask("aggTrades?symbol=BTCUSDT")[1][-1]["a"]
    market.listings["BTCUSDT"].restart_trade_ids()
    clock.now += 2_000

    found = ask("aggTrades?symbol=BTCUSDT&fromId=0")[1]

    assert [trade["a"] for trade in found] == list(range(len(found)))
    assert found[0]["T"] > NOON
    assert ask(f"aggTrades?symbol=BTCUSDT&fromId={before}")[1] == []
    assert ask(f"aggTrades?symbol=BTCUSDT&startTime={NOON - 60_000}")[1] == found
    assert before > 1_000_000


def test_a_market_in_another_script_is_requested_percent_encoded(ask: Ask) -> None:
    name = "币安人生USDT"
    _, info, _ = ask("exchangeInfo")
    assert name in [entry["symbol"] for entry in info["symbols"]]
    status, prices, _ = ask("ticker/price?symbols=" + quote(f'["{name}","BTCUSDT"]'))
    assert (status, [price["symbol"] for price in prices]) == (200, [name, "BTCUSDT"])
    assert float(prices[0]["price"]) < 0.0001


def test_during_maintenance_only_exchange_info_changes(ask: Ask, faults: Faults, clock: ManualClock) -> None:
    faults.maintain("odd-market", 60)
    odd = ask("exchangeInfo")[1]["symbols"]
    assert [(market["symbol"], market["status"], market["quoteAsset"]) for market in odd] == [
        ("123456", "TRADING", "456")
    ]
    faults.maintain("break", 60)
    assert {market["status"] for market in ask("exchangeInfo")[1]["symbols"]} == {"BREAK"}
    faults.maintain("empty", 60)
    assert ask("exchangeInfo")[1]["symbols"] == []
    assert ask("ticker/price?symbol=BTCUSDT")[0] == 200
    clock.now += 60_000
    assert {market["status"] for market in ask("exchangeInfo")[1]["symbols"]} == {"TRADING"}


@pytest.mark.parametrize("status", [403, 451])
def test_a_blocked_client_gets_the_exchanges_403_or_451(ask: Ask, faults: Faults, status: int) -> None:
    faults.refuse(status, 60)
    found, body, headers = ask("ping")
    assert found == status
    if status == 451:
        assert body["code"] == 0
        assert "restricted location" in body["msg"]
    else:
        assert b"<html>" in body
        assert headers["content-type"].startswith("text/html")


def test_a_captive_portal_answers_everything_with_its_page(ask: Ask, faults: Faults, clock: ManualClock) -> None:
    faults.show_page(60)
    status, body, headers = ask("exchangeInfo")
    assert (status, headers["content-type"].partition(";")[0]) == (200, "text/html")
    assert b"Sign in" in body
    clock.now += 60_000
    assert ask("ping")[:2] == (200, {})

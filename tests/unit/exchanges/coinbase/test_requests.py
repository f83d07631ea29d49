"""Requests to Coinbase Exchange: pages of trades are returned backwards, candles by time range."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.exchanges.conformance.examples import NOW
from tests.unit.exchanges.conformance.simulated import Simulated

from cryptocdc_core.rows.versions import FUTURE_TOLERANCE_MS, SETTLE_MS
from cryptocdc_exchanges.coinbase import markets, requests, responses
from cryptocdc_exchanges.coinbase.payloads import trimmed
from cryptocdc_exchanges.port import Request, Rows
from cryptocdc_exchanges.registry import VENUES

MINUTE = 60_000
SYMBOL = "BTC-USD"


@pytest.fixture
def simulated() -> Simulated:
    return Simulated(VENUES["coinbase"])


def rows_of(simulated: Simulated, request: Request[Rows[Any]]) -> list[Any]:
    found = simulated.read(request)
    assert not found.refused
    rows: list[Any] = found.rows
    return rows


@pytest.mark.parametrize(("back", "limit"), [(500, 100), (700, 300), (99, 100)])
def test_a_page_of_trades_starts_at_the_requested_id(simulated: Simulated, back: int, limit: int) -> None:
    newest = rows_of(simulated, requests.trades(SYMBOL, "trade", None, 1))[0].trade_id

    page = rows_of(simulated, requests.trades(SYMBOL, "trade", newest - back, limit))

    assert sorted(row.trade_id for row in page) == list(range(newest - back, newest - back + limit))


def test_a_page_of_trades_up_to_the_newest_contains_all_from_the_requested_id(simulated: Simulated) -> None:
    newest = rows_of(simulated, requests.trades(SYMBOL, "trade", None, 1))[0].trade_id

    page = rows_of(simulated, requests.trades(SYMBOL, "trade", newest - 4, 100))

    assert {row.trade_id for row in page} >= set(range(newest - 4, newest + 1))


@pytest.mark.parametrize("interval", requests.GRANULARITIES)
def test_a_page_of_candles_spans_the_requested_number_of_intervals(simulated: Simulated, interval: str) -> None:
    length = requests.GRANULARITIES[interval] * 1000
    start = (simulated.clock.now // length - 5) * length

    request = requests.klines(SYMBOL, interval, start, 3)

    assert sorted(row.open_time for row in rows_of(simulated, request)) == [start + n * length for n in range(3)]
    assert request.until == start + 3 * length


def test_the_longest_page_of_candles_is_not_refused(simulated: Simulated) -> None:
    start = simulated.clock.now // MINUTE * MINUTE - 400 * MINUTE

    assert len(rows_of(simulated, requests.klines(SYMBOL, "1m", start, requests.page))) == requests.page


def test_the_newest_candles_are_returned_without_a_start_time(simulated: Simulated) -> None:
    newest = simulated.clock.now // MINUTE * MINUTE
    simulated.clock.now = newest + MINUTE // 2

    page = rows_of(simulated, requests.klines(SYMBOL, "1m", None, 2))

    assert sorted(row.open_time for row in page) == [newest - MINUTE, newest]


def closed(now_ms: int, *opened: int) -> list[bool]:
    """Whether each candle of a minute is closed when it is received at `now_ms`."""
    made = [[at // 1000, 1, 2, 1, 1, 0.5] for at in opened]
    found = responses.klines(SYMBOL, "1m", 300, json.dumps(made).encode(), now_ms)
    return [row.closed for row in found.rows]


def test_a_candle_is_final_once_settled_and_followed_or_a_minute_later() -> None:
    settled, alone = NOW + SETTLE_MS, NOW + SETTLE_MS + FUTURE_TOLERANCE_MS

    assert closed(settled - 1, NOW, NOW - MINUTE, NOW - 2 * MINUTE) == [False, False, True]
    assert closed(settled, NOW, NOW - MINUTE) == [False, True]
    assert closed(alone - 1, NOW - MINUTE) == [False]
    assert closed(alone, NOW - MINUTE) == [True]


def test_an_interval_without_trades_has_no_candle_and_is_not_an_error(simulated: Simulated) -> None:
    start = simulated.market.listings[SYMBOL].tape.listed_ms // MINUTE * MINUTE - 600 * MINUTE

    request = requests.klines(SYMBOL, "1m", start, 300)

    assert rows_of(simulated, request) == []
    assert request.until == start + 300 * MINUTE


@pytest.mark.parametrize("number", ['"NaN"', "1e250", "-1", "null", '"x"'])
def test_a_candle_with_an_invalid_number_is_refused_alone(number: str) -> None:
    at = NOW // 1000 - 600
    raw = f"[[{at}, 1, 2, 1, 1, {number}], [{at - 60}, 1, 2, 1, 1, 3]]"

    found = responses.klines(SYMBOL, "1m", 300, raw.encode(), NOW)

    assert [row.volume for row in found.rows] == ["3"]
    assert [refused.position for refused in found.refused] == [at * 1000]


def test_an_element_that_is_not_json_is_refused_alone() -> None:
    trade = b'{"trade_id":7,"side":"buy","size":"1","price":"2","time":"2026-06-01T12:00:00Z"}'

    found = requests.trades(SYMBOL, "trade", 7, 2).read(b'[%s,{"trade_id":8,"side":"\xff"}]' % trade, NOW)

    assert [row.trade_id for row in found.rows] == [7]
    assert [(it.rejected.reason, it.position) for it in found.refused] == [("invalid-json", None)]


@pytest.mark.parametrize(
    ("written", "kept"),
    [("1338.30000000", "1338.3"), ("70.00000000", "70"), ("70", "70"), ("0.00000000", "0"), ("100", "100")],
)
def test_trailing_zeros_are_trimmed_so_that_both_apis_give_the_same_digits(written: str, kept: str) -> None:
    assert trimmed(written) == kept


def test_an_error_response_is_refused_as_an_error() -> None:
    with pytest.raises(ValueError, match="Internal server error"):
        requests.trades(SYMBOL, "trade", 1, 5).read(b'{"message":"Internal server error"}', NOW)


def test_a_single_product_can_be_looked_up(simulated: Simulated) -> None:
    (request,) = markets.listing(SYMBOL)

    market = simulated.read(request).markets[SYMBOL]

    assert (market.quote, market.trading) == ("USD", True)


def test_markets_are_ranked_by_volume_in_their_quote_currency(simulated: Simulated) -> None:
    (request,) = markets.quote_volumes()

    volumes = request.read(
        b'{"A-USD":{"stats_24hour":{"volume":"10","last":"3"}},"B-USD":{"stats_24hour":{}}}', simulated.clock.now
    )

    assert volumes == {"A-USD": 30.0, "B-USD": 0.0}

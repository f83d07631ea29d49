"""The control API: what a request for a fault does, and which are refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import Request

from cryptocdc_simulator.app import Exchange, Settings
from cryptocdc_simulator.dialects.binance import of_market
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.market import Market

from .conftest import ManualClock

Post = Callable[[str], tuple[int, dict[str, Any]]]


@pytest.fixture
def post(market: Market, clock: ManualClock) -> Post:
    """POST /simulator/faults/<fault>?<parameters> -> (status, body)."""
    faults = Faults(clock)
    control = Exchange(of_market(market, faults), faults, Settings()).control

    def request(target: str) -> tuple[int, dict[str, Any]]:
        name, _, query = target.partition("?")
        scope = {"type": "http", "method": "POST", "query_string": query.encode(), "path_params": {"fault": name}}
        answer = asyncio.run(control.fault(Request(scope)))
        body: dict[str, Any] = json.loads(bytes(answer.body))
        return answer.status_code, body

    return request


def test_a_book_jumps_ahead_by_the_requested_ids(post: Post, market: Market, clock: ManualClock) -> None:
    status, body = post("jump-book?symbol=BTCUSDT&ids=1000000000")
    assert (status, body["next_update_id"]) == (200, body["last_update_id"] + 1_000_000_001)
    clock.now += 100
    assert market.listings["BTCUSDT"].book.update_id(clock.now // 100) == body["next_update_id"] + 7


def test_a_book_is_crossed_for_the_requested_seconds(post: Post, market: Market, clock: ManualClock) -> None:
    book = market.listings["BTCUSDT"].book
    status, body = post("cross-book?symbol=BTCUSDT&seconds=2")
    assert status == 200

    def crossed(at: int) -> bool:
        bids, asks = book.snapshot(at // 100, 1)
        return bids[0][0] > asks[0][0]

    assert [crossed(clock.now + ms) for ms in (0, 100, 2_000, 2_100)] == [False, True, True, False]
    bid = book.snapshot(clock.now // 100 + 1, 1)[0][0][0]
    assert body["price"] == f"{bid / 100:.2f}"


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("jump-book?symbol=BTCUSDT", "jump-book needs the parameter 'ids'"),
        ("jump-book?symbol=BTCUSDT&ids=0", "ids '0' is not a positive number"),
        ("jump-book?symbol=NOSUCH&ids=1", "symbol 'NOSUCH' is not listed"),
        ("cross-book?symbol=BTCUSDT&seconds=-1", "seconds '-1' is not a positive number"),
    ],
)
def test_an_invalid_request_is_refused_with_the_field(post: Post, target: str, error: str) -> None:
    status, body = post(target)
    assert status == 400
    assert error in body["error"]


def test_a_crossed_book_can_not_be_crossed_again(post: Post) -> None:
    assert post("cross-book?symbol=BTCUSDT&seconds=2")[0] == 200
    assert post("cross-book?symbol=BTCUSDT&seconds=2") == (400, {"error": "cross-book: the book is crossed already"})
    assert post("cross-book?symbol=ETHUSDT&seconds=2")[0] == 200

"""A feed of spot markets and swaps: a stream that only swaps have is neither expected nor requested of the others."""

from __future__ import annotations

import asyncio
import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.producer.conftest import Recorded, make_capture, make_feed

from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_exchanges.registry import VENUES
from cryptocdc_producer.rest.polling import Polling

SPOT, SWAP = "BTC-USDT", "BTC-USDT-SWAP"


def captured(**streams: dict[str, Any]) -> Recorded:
    feed = make_feed(streams, exchange="okx", symbols={"names": [SPOT, SWAP]})
    return make_capture(feed, VENUES["okx"])


def forced(symbol: str) -> bytes:
    detail = {"bkPx": "100.5", "sz": "3", "side": "sell", "posSide": "long", "ts": str(time.time_ns() // 1_000_000)}
    arg = {"channel": "liquidation-orders", "instType": "SWAP"}
    return json.dumps({"arg": arg, "data": [{"instId": symbol, "details": [detail]}]}).encode()


def test_liquidations_of_other_swaps_are_ignored() -> None:
    recorded = captured(liquidations={})

    for symbol in ("DOGE-USDT-SWAP", SWAP):
        recorded.receive(forced(symbol))

    assert [row.symbol for row in recorded.rows("liquidations")] == [SWAP]
    assert not recorded.refused


def test_a_spot_market_without_mark_prices_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1e9]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    recorded = captured(markPrices={}, latestPrices={})
    clock[0] += 60
    for symbol in (SPOT, SWAP):
        recorded.capture._symbols[symbol].heard["latest_prices"] = clock[0]

    assert recorded.capture.silent_streams(30) == [(SWAP, "mark_prices")]
    assert recorded.capture.silent_symbols(30) == []


def test_a_market_without_any_stream_of_the_feed_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1e9]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    recorded = captured(markPrices={})
    clock[0] += 60

    assert recorded.capture.silent_symbols(30) == [SWAP]


def test_open_interest_is_requested_only_for_swaps() -> None:
    recorded = captured(openInterest={}, latestPrices={})
    asked: list[str] = []

    class Requests:
        async def open_interest(self, symbol: str) -> list[Any]:
            asked.append(symbol)
            return []

    markets = SimpleNamespace(unlisted=set())
    polling = Polling(recorded.handlers, Requests(), recorded.capture, ProducerMetrics("test"), markets)  # type: ignore[arg-type]

    assert asyncio.run(recorded.handlers.by_table["open_interest"].poll(polling))
    assert asked == [SWAP]

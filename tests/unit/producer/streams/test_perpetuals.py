"""Streams of perpetual contracts: liquidations arrive when there are any, open interest is polled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.rows import make_row
from tests.unit.producer.conftest import BINANCE, NOW, handlers_of, make_feed

from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_core.rows.typed import LiquidationsRow, OpenInterestRow
from cryptocdc_exchanges.checks import fingerprint
from cryptocdc_exchanges.port import Offer, Proof
from cryptocdc_producer.capture import Capture
from cryptocdc_producer.storage.intake import Data, Intake
from cryptocdc_producer.storage.store import Stored
from cryptocdc_producer.streams.handlers import Handlers

VENUE = replace(
    BINANCE,
    offers={
        **BINANCE.offers,
        "liquidations": Offer(("websocket",), Proof.ARRIVAL),
        "open_interest": Offer(("rest",), Proof.ARRIVAL),
    },
)


def made(**streams: dict[str, Any]) -> tuple[Handlers, Intake, ProducerMetrics]:
    metrics = ProducerMetrics("test")
    intake = Intake(metrics)
    return handlers_of(make_feed(streams), intake, venue=VENUE), intake, metrics


def test_every_liquidation_is_written_and_hours_without_any_are_not_an_outage() -> None:
    handlers, intake, _ = made(liquidations={})
    handler = handlers.by_table["liquidations"]
    handler.resume({"BTCUSDT": Stored(newest={"liquidations": NOW - 7_200_000})})
    for number in range(3):
        handler.take(make_row(LiquidationsRow, trade_time=NOW, liquidation_id=number), NOW)

    assert [it.row.liquidation_id for it in intake.take(0.01) if isinstance(it, Data)] == [0, 1, 2]  # type: ignore[attr-defined]
    lost = handler._out.metrics.registry.get_sample_value(
        "cryptocdc_producer_outage_seconds_total", {"table": "liquidations"}
    )
    assert not lost


def test_a_symbol_without_liquidations_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1e9]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    handlers, _, metrics = made(liquidations={}, latestPrices={"source": "websocket"})
    capture = Capture(make_feed(), VENUE, handlers, metrics, lambda *_: None)
    capture.add("BTCUSDT", Stored())
    clock[0] += 60
    capture._symbols["BTCUSDT"].heard["latest_prices"] = clock[0]

    assert capture.silent_streams(30) == []
    assert capture.silent_symbols(30) == []


def test_the_open_interest_of_each_symbol_is_written() -> None:
    handlers, intake, _ = made(openInterest={"period": "7s"})
    (handler,) = handlers
    assert (handler.by_websocket, handler.period_s, handler.pace_s) == (False, 7, 7)

    class Requests:
        async def open_interest(self, symbol: str) -> list[OpenInterestRow]:
            return [make_row(OpenInterestRow, symbol=symbol, open_interest="12.50")]

    class Round:
        requests: Any = Requests()

        async def each(self, poll: Callable[[str], Awaitable[None]], _: Callable[[str], bool]) -> bool:
            for symbol in ("BTCUSDT", "ETHUSDT"):
                await poll(symbol)
            return True

        async def together(self, *_: Any) -> bool:
            raise AssertionError

    assert asyncio.run(handler.poll(Round()))
    rows = [it.row for it in intake.take(0.01) if isinstance(it, Data)]
    assert [(row.symbol, row.open_interest) for row in rows] == [("BTCUSDT", "12.50"), ("ETHUSDT", "12.50")]  # type: ignore[attr-defined]


def test_rows_without_an_id_get_one_from_their_values() -> None:
    assert fingerprint("BTCUSDT", 5, "1.0") == fingerprint("BTCUSDT", 5, "1.0")
    assert len({fingerprint("a", "bc"), fingerprint("ab", "c"), fingerprint("a", "bc", "")}) == 3
    assert 0 <= fingerprint("x") < 2**53

"""Symbols that are added, moved away and returned, and the gaps that are filled meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from tests.unit.producer.conftest import BINANCE, Recorded, make_capture, make_feed

from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_producer.rest.backfill import Backfill
from cryptocdc_producer.storage.intake import Intake
from cryptocdc_producer.storage.store import Stored
from cryptocdc_producer.streams.continuity import Gap
from cryptocdc_producer.symbols import roster as rosters
from cryptocdc_producer.symbols.roster import Roster

GAP = Gap("recent_trades", "BNBUSDT", "", 4, 6)
SYMBOL = GAP.symbol


class OneGap:
    """A store in which a symbol has one open gap."""

    def load(self, symbols: Iterable[str]) -> dict[str, Stored]:
        return {symbol: Stored(last_trade=6, gaps=(GAP,)) for symbol in symbols}


class Subscriptions:
    """The subscriptions requested from the connections."""

    def add(self, _: Iterable[str]) -> None:
        """Nothing to do."""

    remove = add


class Running:
    def __init__(self, recorded: Recorded) -> None:
        self.capture, self._metrics = recorded.capture, ProducerMetrics("test")
        self.backfill = Backfill(recorded.handlers.by_table, None, Intake(self._metrics), self._metrics)  # type: ignore[arg-type]
        self.roster = Roster(
            make_feed(), BINANCE, OneGap(), self.capture, Subscriptions(), self.backfill  # type: ignore[arg-type]
        )  # fmt: skip

    @property
    def gaps_open(self) -> float | None:
        """The gaps that this producer is about to fill."""
        labels = {"table": "recent_trades"}
        return self._metrics.registry.get_sample_value("cryptocdc_producer_gaps_open", labels)


def scenario(steps: Callable[[Running], Any]) -> None:
    async def all_of_it() -> None:
        running = Running(make_capture())
        task = asyncio.create_task(running.roster.run())
        running.roster.change([SYMBOL], (), ())
        await until(lambda: SYMBOL in running.capture.symbols)
        assert running.gaps_open == 1
        await steps(running)
        task.cancel()

    asyncio.run(all_of_it())


async def until(condition: Callable[[], Any], limit_s: float = 10) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def test_a_symbol_that_returns_during_its_handover_keeps_its_gaps() -> None:
    async def steps(running: Running) -> None:
        running.roster.change((), [SYMBOL], ())
        running.roster.change([SYMBOL], (), ())

        assert SYMBOL in running.capture.symbols
        assert running.gaps_open == 1

    scenario(steps)


def test_the_gaps_of_a_symbol_are_handed_over_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rosters, "HAND_OVER_S", 0.01)

    async def steps(running: Running) -> None:
        running.roster.change((), [SYMBOL], ())

        await until(lambda: SYMBOL not in running.capture.symbols)
        assert running.gaps_open == 0

    scenario(steps)


def test_a_symbol_that_returns_later_is_loaded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rosters, "HAND_OVER_S", 0.01)

    async def steps(running: Running) -> None:
        running.roster.change((), [SYMBOL], ())
        await until(lambda: SYMBOL not in running.capture.symbols)
        running.roster.change([SYMBOL], (), ())

        await until(lambda: SYMBOL in running.capture.symbols)
        assert running.gaps_open == 1

    scenario(steps)

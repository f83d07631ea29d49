"""Gaps filled over REST; rows that the exchange no longer provides are unfillable, with the reason."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.rows import make_row
from tests.unit.producer.conftest import BINANCE, handlers_of, make_feed

from cryptocdc_adapters.exchange.rest import ExchangeRefused, ExchangeUnreachable
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_core.rows.typed import KlinesRow, RecentTradesRow
from cryptocdc_producer.rest import backfill as backfills
from cryptocdc_producer.rest.backfill import Backfill
from cryptocdc_producer.rest.page import Page
from cryptocdc_producer.storage.intake import Data, Entry, GapEnd, Intake
from cryptocdc_producer.streams.continuity import HISTORY, Gap

TRADES = Gap("recent_trades", "BTCUSDT", "", 100, 2599)
MINUTE = 60_000


def trade(number: int) -> RecentTradesRow:
    return make_row(RecentTradesRow, trade_time=number * 10, trade_id=number)


def kline(number: int, closed: bool) -> KlinesRow:
    return make_row(KlinesRow, open_time=number * MINUTE, closed=closed)


class Exchange:
    """Trades with the ids in `has`, klines up to `newest`, some of which are refused; first a failure for each of
    `failures`.
    """

    def __init__(
        self,
        has: range | list[int] = range(0),
        newest: int = 0,
        failures: tuple[Exception, ...] = (),
        refused: tuple[int, ...] = (),
    ) -> None:
        self._has, self._newest, self._failures, self._refused = list(has), newest, list(failures), refused
        self.asked: list[int | None] = []

    page = 1000

    async def trades(self, _: str, __: str, from_id: int, limit: int, ___: float) -> Page[RecentTradesRow]:
        self._fail(from_id)
        numbers = [number for number in self._has if number >= from_id][:limit]
        return Page(
            [trade(number) for number in numbers if number not in self._refused],
            [number for number in numbers if number in self._refused],
        )

    async def klines(self, _: str, __: str, start_ms: int, limit: int, ___: float) -> Page[KlinesRow]:
        self._fail(start_ms)
        numbers = range(start_ms // MINUTE, self._newest + 1)[:limit]
        return Page(
            [kline(number, closed=number != numbers[-1]) for number in numbers if number not in self._refused],
            [number * MINUTE for number in numbers if number in self._refused],
        )

    def _fail(self, asked: int) -> None:
        self.asked.append(asked)
        if self._failures:
            raise self._failures.pop(0)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfills, "_FIRST_AFTER_S", 0.0)
    monkeypatch.setattr(backfills, "_RETRIES_S", (0.0, 0.0))


def run(
    exchange: Exchange, gap: Gap, historical: bool = True, metrics: ProducerMetrics | None = None, **spec: Any
) -> list[Entry]:
    """Fill the gap; return everything that went to the writer."""

    async def scenario() -> list[Entry]:
        intake = Intake(ProducerMetrics("test"))
        counted = metrics or ProducerMetrics("test")
        venue = BINANCE if historical is False else BINANCE.at("http://127.0.0.1:9")
        handlers = handlers_of(make_feed(**spec), intake, venue=venue)
        filling = Backfill(handlers.by_table, exchange, intake, counted)  # type: ignore[arg-type]
        filling.add([gap])
        task = asyncio.create_task(filling.run())
        found: list[Entry] = []
        await until(lambda: found.extend(intake.take(0.01)) or any(isinstance(entry, GapEnd) for entry in found))
        task.cancel()
        return found

    return asyncio.run(scenario())


async def until(condition: Callable[[], Any], limit_s: float = 10) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def rows(entries: list[Entry]) -> list[Any]:
    return [entry.row for entry in entries if isinstance(entry, Data)]


def ids(entries: list[Entry]) -> list[int]:
    return [row.trade_id for row in rows(entries)]


def test_a_gap_is_filled_page_by_page_and_ended_last() -> None:
    entries = run(Exchange(range(5000)), TRADES)

    assert ids(entries) == list(range(100, 2600))
    assert entries[-1] == GapEnd(TRADES, "filled", "")


def test_ids_that_the_exchange_lacks_are_unfillable_and_the_rest_is_filled() -> None:
    entries = run(Exchange([n for n in range(5000) if n not in (200, 201)]), TRADES)

    assert len(ids(entries)) == TRADES.size - 2
    assert entries[-1] == GapEnd(TRADES, "unfillable", "the exchange has 2498 of 2500")


def test_a_refused_trade_does_not_stop_the_filling_of_others() -> None:
    entries = run(Exchange(range(5000), refused=(100, 700, 1099, 2599)), TRADES)

    assert ids(entries) == [n for n in range(100, 2600) if n not in (100, 700, 1099, 2599)]
    assert entries[-1] == GapEnd(TRADES, "unfillable", "the exchange has 2496 of 2500, 4 refused")


@pytest.mark.parametrize("refused", [5, 6, 7])
def test_a_refused_kline_does_not_stop_the_filling_of_others(refused: int) -> None:
    gap = Gap("klines", "BTCUSDT", "1m", 5 * MINUTE, 7 * MINUTE)

    exchange = Exchange(newest=8, refused=(refused,))
    entries = run(exchange, gap)

    assert [row.open_time // MINUTE for row in rows(entries)] == [n for n in (5, 6, 7) if n != refused]
    assert entries[-1] == GapEnd(gap, "unfillable", "the exchange has 2 of 3, 1 refused")
    assert len(exchange.asked) == 1


def test_a_kline_is_requested_once_its_response_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = 8 * MINUTE
    monkeypatch.setattr(time, "time", lambda: (ended + 2_000) / 1000)

    assert backfills._settles_in_s(Gap("klines", "BTCUSDT", "1m", 5 * MINUTE, 7 * MINUTE)) == 8.0
    assert backfills._settles_in_s(Gap("klines", "BTCUSDT", "1m", 5 * MINUTE, 6 * MINUTE)) == -52.0
    assert backfills._settles_in_s(TRADES) == 0.0


def test_rows_not_available_yet_are_requested_again() -> None:
    exchange = Exchange(range(5000), failures=(ExchangeUnreachable("no"), ExchangeUnreachable("no")))

    assert run(exchange, TRADES)[-1] == GapEnd(TRADES, "filled", "")


def test_an_unreachable_exchange_is_retried_forever() -> None:
    failures = tuple(ExchangeUnreachable("no") for _ in range(20))

    assert run(Exchange(range(5000), failures=failures), TRADES)[-1] == GapEnd(TRADES, "filled", "")


def test_filled_rows_are_not_fetched_again_and_count_if_the_rest_is_unfillable() -> None:
    metrics = ProducerMetrics("test")
    exchange = Exchange(range(1600))

    entries = run(exchange, TRADES, metrics=metrics)

    assert ids(entries) == list(range(100, 1600))
    assert entries[-1] == GapEnd(TRADES, "unfillable", "the exchange returns nothing from 1600 on")
    assert exchange.asked == [100, 1100, 1600, 1600, 1600]
    for outcome, rows in (("filled", 1500), ("unfillable", 1000)):
        labels = {"table": "recent_trades", "outcome": outcome}
        assert metrics.registry.get_sample_value("cryptocdc_producer_gap_rows_total", labels) == rows


def test_a_gap_without_any_rows_at_the_exchange_is_unfillable() -> None:
    end = run(Exchange(range(100)), TRADES)[-1]

    assert isinstance(end, GapEnd)
    assert (end.state, end.reason) == ("unfillable", "the exchange returns nothing from 100 on")


def test_a_gap_of_a_symbol_unknown_during_maintenance_is_filled_later() -> None:
    exchange = Exchange(range(5000), failures=(ExchangeRefused(-1121, "Invalid symbol.", unknown_symbol=True),))

    end = run(exchange, TRADES)[-1]

    assert isinstance(end, GapEnd)
    assert end.state == "filled"


def test_a_gap_of_a_symbol_that_stays_unknown_is_unfillable() -> None:
    exchange = Exchange(failures=(ExchangeRefused(-1121, "Invalid symbol.", unknown_symbol=True),) * 20)

    end = run(exchange, TRADES)[-1]

    assert isinstance(end, GapEnd)
    assert (end.state, end.reason) == ("unfillable", "refused: Invalid symbol.")


def test_other_error_bodies_are_retried() -> None:
    exchange = Exchange(range(5000), failures=(ExchangeRefused(-1003, "Too much."), ExchangeRefused(0, "<html>")))

    assert run(exchange, TRADES)[-1] == GapEnd(TRADES, "filled", "")


def test_a_gap_is_unfillable_after_repeated_error_bodies() -> None:
    exchange = Exchange(failures=tuple(ExchangeRefused(-2015, "Invalid API-key.") for _ in range(3)))

    assert run(exchange, TRADES)[-1] == GapEnd(TRADES, "unfillable", "refused: Invalid API-key.")


def test_raw_trades_are_unfillable_where_they_can_t_be_requested_by_id() -> None:
    exchange = Exchange(range(5000))

    end = run(exchange, TRADES, historical=False, streams={"recentTrades": {"kind": "trade"}})[-1]

    assert isinstance(end, GapEnd)
    assert end.state == "unfillable"
    assert not exchange.asked


def test_closed_klines_are_filled_and_the_open_one_is_not_mistaken_for_closed() -> None:
    gap = Gap("klines", "BTCUSDT", "1m", 5 * MINUTE, 7 * MINUTE)

    entries = run(Exchange(newest=8), gap)

    assert [row.open_time // MINUTE for row in rows(entries)] == [5, 6, 7]
    assert all(row.closed for row in rows(entries))
    assert entries[-1] == GapEnd(gap, "filled", "")


def test_a_kline_that_has_not_ended_for_the_exchange_is_waited_for() -> None:
    gap = Gap("klines", "BTCUSDT", "1m", 5 * MINUTE, 5 * MINUTE)

    end = run(Exchange(newest=5), gap)[-1]

    assert isinstance(end, GapEnd)
    assert end.state == "unfillable"
    assert "no closed kline" in end.reason


def test_missed_rows_do_not_wait_for_the_past_of_symbols() -> None:
    """However long the past of symbols takes, what a reconnection missed is filled meanwhile."""

    class SlowKlines(Exchange):
        async def klines(self, _: str, __: str, start_ms: int, limit: int, ___: float) -> Page[KlinesRow]:
            self._fail(start_ms)
            await asyncio.Event().wait()
            raise AssertionError

    async def scenario() -> list[GapEnd]:
        exchange, intake = SlowKlines(range(5000)), Intake(ProducerMetrics("test"))
        handlers = handlers_of(make_feed(), intake, venue=BINANCE)
        filling = Backfill(handlers.by_table, exchange, intake, ProducerMetrics("test"))  # type: ignore[arg-type]
        filling.add([Gap("klines", "BTCUSDT", "1m", 0, day * 1440 * MINUTE, HISTORY) for day in range(1, 8)])
        task = asyncio.create_task(filling.run())
        await until(lambda: exchange.asked)
        filling.add([TRADES])
        ended: list[GapEnd] = []
        await until(lambda: ended.extend(e for e in intake.take(0.01) if isinstance(e, GapEnd)) or ended, limit_s=5)
        task.cancel()
        return ended

    assert asyncio.run(scenario()) == [GapEnd(TRADES, "filled", "")]

"""Streams over REST: what the exchange revises is requested again, and the latest answer wins."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.producer.conftest import BINANCE, NOW, Recorded, make_capture, make_feed

from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_exchanges.port import Offer, Proof, Request, Rows, Venue
from cryptocdc_producer.rest.polling import Polling
from cryptocdc_producer.rest.requests import Requests
from cryptocdc_producer.storage.store import Stored
from cryptocdc_producer.streams.continuity import Gap

MINUTE = 60_000
STREAMS: dict[str, Any] = {
    "recentTrades": {"source": "rest", "kind": "aggregate", "period": "1s"},
    "klines": {"source": "rest", "intervals": ["1m"], "period": "1s"},
}


def candle(open_time: int, close: str = "100.5", volume: str = "10") -> list[Any]:
    return [open_time, "100", "102", "99", close, volume, open_time + MINUTE - 1, "1000", 5, "4", "400", "0"]


def trade(number: int, price: str = "1.0") -> dict[str, Any]:
    return {"a": number, "p": price, "q": "1", "f": number, "l": number, "T": NOW - 5000 + number, "m": True, "M": True}


class Exchange:
    """REST and its clock. Tests change its data."""

    def __init__(self) -> None:
        self.now = NOW
        self.candles: dict[int, list[Any]] = {}
        self.trades: list[dict[str, Any]] = []
        self.requests: list[tuple[str, Any]] = []
        self.venue = BINANCE

    def get(self, request: Request[Any], _: float) -> bytes:
        path = request.path.removeprefix("/api/v3/")
        asked: dict[str, Any] = {**request.params}
        limit, start = int(asked["limit"]), asked.get("startTime", asked.get("fromId"))
        self.requests.append((path, start))
        has = self.trades if path == "aggTrades" else [self.candles[at] for at in sorted(self.candles)]
        key: Callable[[Any], int] = (lambda it: it["a"]) if path == "aggTrades" else (lambda it: it[0])
        found = has[-limit:] if start is None else [it for it in has if key(it) >= start][:limit]
        return json.dumps(found).encode()

    def stop(self) -> None:
        """Does nothing, since nothing waits."""


class AllListed:
    unlisted: set[str] = set()  # noqa: RUF012 - nothing is added

    def doubt(self, symbol: str) -> None:
        raise AssertionError(symbol)


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> Exchange:
    found = Exchange()
    monkeypatch.setattr("cryptocdc_producer.rest.requests.time.time_ns", lambda: found.now * 1_000_000)
    return found


def poll(recorded: Recorded, exchange: Exchange, table: str) -> None:
    """One round for one symbol."""
    recorded.capture.remove("ETHUSDT")
    metrics = ProducerMetrics("test")

    async def once() -> None:
        requests = Requests(exchange, metrics, lambda *_: None)  # type: ignore[arg-type]
        polling = Polling(recorded.handlers, requests, recorded.capture, metrics, AllListed())
        try:
            await recorded.handlers.by_table[table].poll(polling)
        finally:
            requests.close()

    asyncio.run(once())
    recorded.capture.tick()


def test_a_candle_that_the_exchange_revises_after_its_end_is_stored_as_revised(exchange: Exchange) -> None:
    recorded = make_capture(make_feed(STREAMS), BTCUSDT=Stored(last_closes={"1m": NOW - 2 * MINUTE}))
    ended = NOW - MINUTE
    exchange.candles = {ended: candle(ended, "100.5", "10"), NOW: candle(NOW, "100.5", "0")}
    exchange.now = NOW + 40
    poll(recorded, exchange, "klines")
    soon = [row for row in recorded.rows("klines") if row.open_time == ended]

    exchange.candles[ended] = candle(ended, "101.2", "12.5")
    exchange.now = NOW + 10_040
    poll(recorded, exchange, "klines")
    later = [row for row in recorded.rows("klines") if row.open_time == ended]
    exchange.now = NOW + 20_040
    poll(recorded, exchange, "klines")

    assert [(row.close, row.volume, row.closed) for row in soon] == [("100.5", "10", False)]
    assert [(row.close, row.volume, row.closed) for row in later] == [("101.2", "12.5", True)]
    assert later[0].version > soon[0].version
    assert [start for _, start in exchange.requests] == [ended, ended, NOW]
    assert not recorded.gaps


def test_candles_shorter_than_the_revision_period_are_eventually_closed(exchange: Exchange) -> None:
    """For a new symbol, whose second-to-last candle never ended long enough ago."""
    recorded = make_capture(make_feed({"klines": {"source": "rest", "intervals": ["1s"], "period": "1s"}}))
    closed: list[int] = []
    for seconds in range(15):
        exchange.now = NOW + seconds * 1000 + 40
        exchange.candles = {at: candle(at) for at in range(NOW - 60_000, exchange.now, 1000)}
        poll(recorded, exchange, "klines")
        closed += [row.open_time for row in recorded.rows("klines") if row.closed]

    assert closed == list(range(NOW - 1000, NOW + 4000, 1000))
    assert not recorded.gaps


def test_a_missing_candle_is_a_gap_once_the_next_one_is_final(exchange: Exchange) -> None:
    recorded = make_capture(make_feed(STREAMS), BTCUSDT=Stored(last_closes={"1m": NOW - 4 * MINUTE}))
    exchange.candles = {at: candle(at) for at in (NOW - 3 * MINUTE, NOW - MINUTE, NOW)}
    exchange.now = NOW + 5_000
    poll(recorded, exchange, "klines")
    assert not recorded.gaps

    exchange.now = NOW + 10_000
    poll(recorded, exchange, "klines")

    assert recorded.gaps == [Gap("klines", "BTCUSDT", "1m", NOW - 2 * MINUTE, NOW - 2 * MINUTE)]


SPAN = 300


def leaves_out_quiet_intervals(exchange: Exchange) -> Venue:
    """Return a venue without candles of intervals in which nothing was traded; its answers are about SPAN of them."""

    def klines(symbol: str, interval: str, start: int | None, limit: int) -> Request[Rows[Any]]:
        request = BINANCE.requests.klines(symbol, interval, start, limit)
        if start is None:
            return request
        until = start + SPAN * MINUTE

        def read(body: bytes, now_ms: int) -> Rows[Any]:
            found = request.read(body, now_ms)
            return found._replace(rows=[row for row in found.rows if row.open_time < until])

        return replace(request, read=read, until=until)

    exchange.venue = replace(
        BINANCE,
        offers={**BINANCE.offers, "klines": Offer(("rest",), Proof.ARRIVAL)},
        requests=SimpleNamespace(klines=klines, page=SPAN),
    )
    return exchange.venue


def test_quiet_intervals_are_not_gaps_at_a_venue_that_leaves_them_out(exchange: Exchange) -> None:
    """Responses without any candle are skipped once, and later candles are found."""
    last, traded = NOW - 2000 * MINUTE, [NOW - 1600 * MINUTE, NOW - 3 * MINUTE, NOW - MINUTE, NOW]
    venue = leaves_out_quiet_intervals(exchange)
    recorded = make_capture(make_feed(STREAMS), venue, BTCUSDT=Stored(last_closes={"1m": last}))
    exchange.candles = {at: candle(at) for at in traded[:1]}
    exchange.now = NOW + 15_000

    poll(recorded, exchange, "klines")
    asked = len(exchange.requests)
    exchange.candles = {at: candle(at) for at in traded}
    poll(recorded, exchange, "klines")

    assert [row.open_time for row in recorded.rows("klines") if row.closed] == traded[:3]
    assert asked == 2000 // SPAN + 1
    assert len(exchange.requests) == asked + 1
    assert not recorded.gaps


def test_a_refused_trade_does_not_end_a_round_and_becomes_a_gap(exchange: Exchange) -> None:
    recorded = make_capture(make_feed(STREAMS), BTCUSDT=Stored(last_trade=0))
    exchange.trades = [trade(n, "1.2.3" if n in (5, 1000) else "1.0") for n in range(1, 2400)]

    poll(recorded, exchange, "recent_trades")

    assert [row.trade_id for row in recorded.rows("recent_trades")] == [n for n in range(1, 2400) if n not in (5, 1000)]
    assert recorded.gaps == [Gap("recent_trades", "BTCUSDT", "", n, n) for n in (5, 1000)]
    assert [start for _, start in exchange.requests] == [1, 1001, 2001]


def test_a_page_of_refused_trades_is_not_requested_forever(exchange: Exchange) -> None:
    recorded = make_capture(make_feed(STREAMS), BTCUSDT=Stored(last_trade=0))
    exchange.trades = [trade(n, "1.2.3" if n <= 1000 else "1.0") for n in range(1, 1100)]

    poll(recorded, exchange, "recent_trades")

    assert recorded.gaps == [Gap("recent_trades", "BTCUSDT", "", 1, 1000)]
    assert [start for _, start in exchange.requests] == [1, 1001]

"""Streams whose source is REST: asked by their period, for the symbols that this producer has at that time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from cryptocdc_adapters.exchange import ExchangeError, ExchangeRefused
from cryptocdc_core import durations, intervals
from cryptocdc_core.catalogue.streams import CRYPTO_24H_STATS, LATEST_PRICES, ORDER_BOOK
from cryptocdc_core.feed import CryptoFeed
from cryptocdc_core.metrics import ProducerMetrics
from cryptocdc_core.rows import Row
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.port import Venue
from cryptocdc_producer.capture import Capture
from cryptocdc_producer.intake import Intake
from cryptocdc_producer.questions import Questions, next_klines

log = logging.getLogger(__name__)

R = TypeVar("R", bound=Row)

_LOOK_EVERY_S = 0.25
_SYMBOLS_AT_ONCE = 4
"""Questions for single symbols in flight."""


class Markets(Protocol):
    """What is known of the captured symbols' markets."""

    @property
    def unlisted(self) -> set[str]:
        """Symbols that REST does not know: asked for with others, they spoil the answer for all."""

    def doubt(self, symbol: str) -> None:
        """Called with a symbol that an answer said is unknown."""


class Polling:
    def __init__(
        self,
        feed: CryptoFeed,
        venue: Venue,
        questions: Questions,
        capture: Capture,
        intake: Intake,
        metrics: ProducerMetrics,
        markets: Markets,
    ) -> None:
        self._streams = feed.spec.streams
        self._venue = venue
        self._questions, self._capture, self._intake, self._metrics = questions, capture, intake, metrics
        self._markets = markets
        self._at_once = asyncio.Semaphore(_SYMBOLS_AT_ONCE)

    @property
    def _symbols(self) -> set[str]:
        return self._capture.symbols - self._markets.unlisted

    def tasks(self) -> list[Awaitable[None]]:
        """One endless task for each stream whose source is REST."""
        streams = self._streams
        found: list[Awaitable[None]] = []
        if streams.recent_trades is not None and streams.recent_trades.source == "rest":
            found.append(self._every(streams.recent_trades.period, self._each(self._trades)))
        if streams.klines is not None and streams.klines.source == "rest":
            found.append(self._every(streams.klines.period, self._each(self._klines)))
        if streams.crypto_24h_stats is not None and streams.crypto_24h_stats.source == "rest":
            found.append(self._every(streams.crypto_24h_stats.period, self._stats, CRYPTO_24H_STATS.table))
        if streams.latest_prices is not None and streams.latest_prices.source == "rest":
            found.append(self._every(streams.latest_prices.period, self._prices, LATEST_PRICES.table))
        if streams.order_book is not None and streams.order_book.source == "rest":
            found.append(self._every(streams.order_book.interval, self._each(self._book), ORDER_BOOK.table))
        return found

    async def _every(self, period: str, poll: Callable[[], Awaitable[bool]], at_risk: str | None = None) -> None:
        """Poll by the period; a round that takes longer delays the next, and rounds are never made up for.

        `at_risk`: the table that loses for good what is not asked for in time. Its failed rounds count as outage.
        """
        seconds = durations.seconds(period)
        well_at: float | None = None
        while True:
            began, asked = time.monotonic(), self._symbols
            if asked and await poll():
                now = time.monotonic()
                if at_risk is not None and well_at is not None and now - well_at > 2 * seconds:
                    self._metrics.outage_seconds.labels(at_risk).inc(now - well_at - seconds)
                well_at = now
            elif not asked:
                well_at = None
            # A symbol that has just come should not wait for a whole period.
            while time.monotonic() - began < seconds and self._symbols <= asked:  # noqa: ASYNC110
                await asyncio.sleep(min(seconds, _LOOK_EVERY_S))

    def _each(self, poll: Callable[[str], Awaitable[None]]) -> Callable[[], Awaitable[bool]]:
        """Poll every symbol by itself: what goes wrong with one is its own."""

        async def one(symbol: str) -> bool:
            async with self._at_once:
                return await self._well(poll(symbol), [symbol])

        async def all_of_them() -> bool:
            return any(await asyncio.gather(*(one(symbol) for symbol in sorted(self._symbols))))

        return all_of_them

    async def _well(self, question: Awaitable[None], symbols: list[str]) -> bool:
        """Whether it was answered. Raises ExchangeRefused only when one of several symbols is unknown."""
        try:
            await question
        except ExchangeRefused as refused:
            if not refused.unknown_symbol:
                log.warning("%s", refused)
            elif len(symbols) == 1:
                self._markets.doubt(symbols[0])
            else:
                raise
        except ExchangeError as error:
            log.warning("%s", error)
        except Rejected:
            pass  # kept and counted where it was read
        else:
            return True
        return False

    async def _trades(self, symbol: str) -> None:
        """From the last known id on, page after page: nothing falls between two rounds where ids can be asked for."""
        assert self._streams.recent_trades is not None
        kind, most = self._streams.recent_trades.kind, self._questions.page
        last = self._capture.last_trade(symbol)
        if last is None or not self._venue.gives_by_id(kind):
            page = await self._questions.trades(symbol, kind, None, limit=1 if last is None else most)
            await self._intake.room()
            self._capture.take_trades(symbol, page.rows)
            return
        given = most
        while given >= most:
            page = await self._questions.trades(symbol, kind, last + 1)
            await self._intake.room()
            self._capture.take_trades(symbol, page.rows)
            given = page.given
            # Past what was refused: what follows shows it as a gap.
            last = last + given if page.last is None else max(last + 1, page.last)

    async def _klines(self, symbol: str) -> None:
        """From the last closed one on: a kline that has ended is requested again until the answer is final."""
        assert self._streams.klines is not None
        for interval in self._streams.klines.intervals:
            last = self._capture.last_close(symbol, interval)
            start = None if last is None else intervals.following(interval, last)
            given = most = self._questions.page
            while given >= most:
                page = await self._questions.klines(symbol, interval, start, limit=2 if start is None else most)
                await self._intake.room()
                self._capture.take_klines(symbol, page.rows)
                given = 0 if start is None else page.given
                start = None if start is None else next_klines(interval, start, page)

    async def _stats(self) -> bool:
        return await self._chunks(
            self._venue.requests.stats_per_request, self._questions.stats, self._capture.take_stats
        )

    async def _prices(self) -> bool:
        return await self._chunks(
            self._venue.requests.prices_per_request, self._questions.prices, self._capture.take_price
        )

    async def _chunks(
        self, size: int, ask: Callable[[list[str]], Awaitable[list[R]]], take: Callable[[R], None]
    ) -> bool:
        symbols = sorted(self._symbols)
        chunks = [symbols[at : at + size] for at in range(0, len(symbols), size)]
        return any(await asyncio.gather(*(self._chunk(chunk, ask, take) for chunk in chunks)))

    async def _chunk(
        self, symbols: list[str], ask: Callable[[list[str]], Awaitable[list[R]]], take: Callable[[R], None]
    ) -> bool:
        """Ask for several symbols. One that is unknown spoils the answer of all: halve until it stands alone."""

        async def question() -> None:
            for row in await ask(symbols):
                if row.symbol in symbols:
                    take(row)

        try:
            return await self._well(question(), symbols)
        except ExchangeRefused:
            middle = len(symbols) // 2
            return any([await self._chunk(half, ask, take) for half in (symbols[:middle], symbols[middle:])])

    async def _book(self, symbol: str) -> None:
        assert self._streams.order_book is not None
        depth, interval_ms = self._streams.order_book.depth, durations.seconds(self._streams.order_book.interval) * 1000
        self._capture.take_book(await self._questions.book(symbol, depth, interval_ms))

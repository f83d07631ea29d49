"""Streams whose source is REST: polled by their period, for the symbols that this producer has at that time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol, TypeVar

from cryptocdc_adapters.exchange.rest import ExchangeError, ExchangeRefused
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_core.rows.typed import Row
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_producer.capture import Capture
from cryptocdc_producer.rest.requests import Requests
from cryptocdc_producer.streams.handler import Handler

log = logging.getLogger(__name__)

R = TypeVar("R", bound=Row)

_LOOK_EVERY_S = 0.25
_SYMBOLS_AT_ONCE = 4
"""Maximum number of single-symbol requests in flight."""


class Markets(Protocol):
    """The known states of the captured symbols' markets."""

    @property
    def unlisted(self) -> set[str]:
        """Symbols unknown to REST: a request that includes one fails for all."""

    def doubt(self, symbol: str) -> None:
        """Called with a symbol that a response reports as unknown."""


class Polling:
    """Polls each stream whose source is REST. A failure of one symbol does not affect the others."""

    def __init__(
        self,
        handlers: Iterable[Handler[Any]],
        requests: Requests,
        capture: Capture,
        metrics: ProducerMetrics,
        markets: Markets,
    ) -> None:
        self.requests = requests
        self._handlers = [handler for handler in handlers if not handler.by_websocket]
        self._capture, self._metrics, self._markets = capture, metrics, markets
        self._at_once = asyncio.Semaphore(_SYMBOLS_AT_ONCE)

    @property
    def _symbols(self) -> set[str]:
        return self._capture.symbols - self._markets.unlisted

    def tasks(self) -> list[Awaitable[None]]:
        """Return one task per stream, which never ends."""
        return [self._every(handler) for handler in self._handlers]

    async def _every(self, handler: Handler[Any]) -> None:
        """Poll once per period; a round that takes longer delays the next, and missed rounds are not repeated.

        Failed rounds of a stream that can't be filled later count as outage.
        """
        seconds = handler.period_s
        answered_at: float | None = None
        while True:
            began, polled = time.monotonic(), self._symbols
            if polled and await handler.poll(self):
                now = time.monotonic()
                if not handler.refillable and answered_at is not None and now - answered_at > 2 * seconds:
                    self._metrics.outage_seconds.labels(handler.table).inc(now - answered_at - seconds)
                answered_at = now
            elif not polled:
                answered_at = None
            # A newly added symbol should not wait for a whole period.
            while time.monotonic() - began < seconds and self._symbols <= polled:  # noqa: ASYNC110
                await asyncio.sleep(min(seconds, _LOOK_EVERY_S))

    async def each(self, poll: Callable[[str], Awaitable[None]], has: Callable[[str], bool]) -> bool:
        """Poll every symbol that `has` the stream separately. Returns whether any request was answered."""

        async def one(symbol: str) -> bool:
            async with self._at_once:
                answered = await self._answered(poll(symbol), [symbol])
            if answered:
                self._capture.heard(symbol)
            return answered

        return any(await asyncio.gather(*(one(symbol) for symbol in sorted(filter(has, self._symbols)))))

    async def together(
        self, size: int, ask: Callable[[list[str]], Awaitable[list[R]]], take: Callable[[R], None]
    ) -> bool:
        """Request `size` symbols at once. Returns whether any request was answered."""
        symbols = sorted(self._symbols)
        chunks = [symbols[at : at + size] for at in range(0, len(symbols), size)]
        return any(await asyncio.gather(*(self._chunk(chunk, ask, take) for chunk in chunks)))

    async def _chunk(
        self, symbols: list[str], ask: Callable[[list[str]], Awaitable[list[R]]], take: Callable[[R], None]
    ) -> bool:
        """Request several symbols. An unknown one fails the whole request: halve until it is isolated."""

        async def taken() -> None:
            for row in await ask(symbols):
                if row.symbol in symbols:
                    self._capture.heard(row.symbol)
                    take(row)

        try:
            return await self._answered(taken(), symbols)
        except ExchangeRefused:
            middle = len(symbols) // 2
            return any([await self._chunk(half, ask, take) for half in (symbols[:middle], symbols[middle:])])

    async def _answered(self, request: Awaitable[None], symbols: list[str]) -> bool:
        """Whether it was answered. Raises ExchangeRefused only when one of several symbols is unknown."""
        try:
            await request
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

"""Fetches order-book snapshots one after the other, rate-limited, so that losing many books at once causes no ban."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import random
import time
from collections.abc import Callable
from itertools import count

from cryptocdc_adapters.exchange import URGENT, ExchangeError
from cryptocdc_core.metrics import ProducerMetrics
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.port import OrderBook
from cryptocdc_producer.rest.requests import Requests
from cryptocdc_producer.streams.order_books import OrderBooks

log = logging.getLogger(__name__)

_PACE_S = 0.1
_AGAIN_S = (0.5, 60.0)
_CALM_S = 120.0
"""A book that was in sync for this long is fetched immediately when it is lost; otherwise with increasing back-off."""


class Snapshots:
    def __init__(self, procedure: OrderBook, requests: Requests, metrics: ProducerMetrics) -> None:
        self._procedure, self._requests, self._metrics = procedure, requests, metrics
        self._due: list[tuple[float, int, str]] = []
        self._waiting: set[str] = set()
        self._delay: dict[str, tuple[float, float]] = {}
        """By symbol the delay before its next fetch in s, and when (monotonic) it was last fetched."""
        self._order = count()
        self._added = asyncio.Event()

    def want(self, symbol: str, reason: str) -> None:
        """The book of `symbol` needs a snapshot; `reason` is counted."""
        if symbol in self._waiting:
            return
        self._metrics.book_resyncs.labels(reason).inc()
        delay, fetched = self._delay.get(symbol, (0.0, 0.0))
        if time.monotonic() - fetched > _CALM_S:
            delay = 0.0
        self._delay[symbol] = (min(max(delay * 2, _AGAIN_S[0]), _AGAIN_S[1]), time.monotonic())
        self._waiting.add(symbol)
        heapq.heappush(self._due, (time.monotonic() + delay * random.uniform(0.5, 1.0), next(self._order), symbol))
        self._added.set()

    async def run(self, books: OrderBooks | None, resubscribe: Callable[[str], None]) -> None:
        """`resubscribe` is called with a symbol whose snapshot comes with its subscription."""
        while True:
            self._added.clear()
            wait = self._due[0][0] - time.monotonic() if self._due else None
            if wait is None or wait > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._added.wait(), wait)
                continue
            _, _, symbol = heapq.heappop(self._due)
            self._waiting.discard(symbol)
            if books is None or symbol not in books:
                self._delay.pop(symbol, None)
                continue
            levels = self._procedure.levels
            if self._procedure.snapshot_by == "channel" or levels is None:
                if not books.follows(symbol):
                    resubscribe(symbol)
                await asyncio.sleep(_PACE_S)
                continue
            try:
                found = await self._requests.snapshot(symbol, levels, URGENT)
            except (ExchangeError, Rejected) as error:
                log.warning("%s: no order book: %s", symbol, error)
                self.want(symbol, "failed")
            else:
                if not books.take_snapshot(symbol, found):
                    self.want(symbol, "stale")
            await asyncio.sleep(_PACE_S)

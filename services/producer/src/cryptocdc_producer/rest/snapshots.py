"""Fetches order-book snapshots, a few at once and rate-limited, so that losing many books at once causes no ban.

A snapshot of few levels is cheap, so that hundreds of books are there within a minute; but the sooner its levels are
used up. Where that is soon the next one has more.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import random
import time
from collections.abc import Callable
from itertools import count

from cryptocdc_adapters.exchange.rest import URGENT, ExchangeError
from cryptocdc_core.program.backoff import Backoff
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.port import OrderBook
from cryptocdc_producer.rest.requests import Requests
from cryptocdc_producer.streams.book import Applied
from cryptocdc_producer.streams.order_books import OrderBooks

log = logging.getLogger(__name__)

_PACE_S = 0.05
_AT_ONCE = 3
_BACKOFF = Backoff(0.5, 60.0)
_CALM_S = 120.0
"""A book that was in sync for this long is fetched immediately when it is lost; otherwise with increasing back-off, and
with more levels if it has run out of them."""
_ARRIVES_S = 30.0
"""A snapshot that comes with its channel is there this long after the subscription; if not, one of the two is lost."""
_ENOUGH = 2
"""A snapshot has at least this many times the levels of a row."""
FAILED, STALE = "failed", "stale"


class Snapshots:
    def __init__(self, procedure: OrderBook, requests: Requests, metrics: ProducerMetrics) -> None:
        self._procedure, self._requests, self._metrics = procedure, requests, metrics
        self._due: list[tuple[float, int, str]] = []
        self._waiting: set[str] = set()
        self._fetches: dict[str, tuple[int, float]] = {}
        """By symbol the number of fetches since its book was last in sync for long, and when (monotonic) the last was
        requested."""
        self._steps: dict[str, int] = {}
        """By symbol, how often more levels were needed; none after it was lost for another reason, such as a cut."""
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._order = count()
        self._added = asyncio.Event()

    def want(self, symbol: str, reason: str) -> None:
        """The book of `symbol` needs a snapshot; `reason` is counted."""
        if symbol in self._waiting:
            return
        self._metrics.book_resyncs.labels(reason).inc()
        fetches, fetched = self._fetches.get(symbol, (0, 0.0))
        calm = time.monotonic() - fetched > _CALM_S
        if calm:
            fetches = 0
        delay = _BACKOFF.after(fetches) if fetches else 0.0
        if reason == Applied.EXHAUSTED.value:
            self._steps[symbol] = self._steps.get(symbol, 0) + (not calm)
        elif reason not in (FAILED, STALE):
            self._steps.pop(symbol, None)
        self._fetches[symbol] = (fetches + 1, time.monotonic())
        self._waiting.add(symbol)
        heapq.heappush(self._due, (time.monotonic() + delay * random.uniform(0.5, 1.0), next(self._order), symbol))
        self._added.set()

    async def run(self, books: OrderBooks | None, resubscribe: Callable[[str], None]) -> None:
        """`resubscribe` is called with a symbol whose snapshot comes with its subscription."""
        async with asyncio.TaskGroup() as fetching:
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
                    self._fetches.pop(symbol, None)
                    self._steps.pop(symbol, None)
                    continue
                if self._procedure.snapshot_by == "channel" or not self._procedure.levels:
                    if not books.follows(symbol):
                        resubscribe(symbol)
                        fetching.create_task(self._confirm(symbol, books))
                else:
                    await self._free.acquire()
                    fetching.create_task(self._fetch(symbol, books))
                await asyncio.sleep(_PACE_S)

    async def _confirm(self, symbol: str, books: OrderBooks) -> None:
        """Want the snapshot again if it has not arrived: the subscription may end with its connection, or the snapshot
        may be refused."""
        await asyncio.sleep(_ARRIVES_S)
        if symbol in books and not books.follows(symbol):
            log.warning("%s: no order book %.0f s after its subscription", symbol, _ARRIVES_S)
            self.want(symbol, FAILED)

    async def _fetch(self, symbol: str, books: OrderBooks) -> None:
        levels = self._levels(symbol, books.depth)
        try:
            found = await self._requests.snapshot(symbol, levels, URGENT)
        except (ExchangeError, Rejected) as error:
            log.warning("%s: no order book: %s", symbol, error)
            self.want(symbol, FAILED)
        else:
            if not books.take_snapshot(symbol, found, levels):
                self.want(symbol, STALE)
        finally:
            self._free.release()

    def _levels(self, symbol: str, depth: int) -> int:
        """Return how many levels to request."""
        offered = self._procedure.levels
        enough = [levels for levels in offered if levels >= _ENOUGH * depth] or [offered[-1]]
        return enough[min(self._steps.get(symbol, 0), len(enough) - 1)]

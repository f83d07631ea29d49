"""Requests to the exchange from the event loop, each in a thread; invalid parts of a response are refused and counted.

If the whole response is invalid the caller gets an exception; it has already been counted and kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from cryptocdc_adapters.exchange import rest as exchange
from cryptocdc_adapters.exchange.rest import LIVE, ExchangeRefused, ExchangeUnreadable, Rest
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.catalogue.streams import (
    CRYPTO_24H_STATS,
    KLINES,
    LATEST_PRICES,
    OPEN_INTEREST,
    ORDER_BOOK,
    RECENT_TRADES,
)
from cryptocdc_core.planning.resolve import Market
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_core.rows.typed import (
    Crypto24hStatsRow,
    KlinesRow,
    LatestPricesRow,
    OpenInterestRow,
    OrderBookRow,
    RecentTradesRow,
    Row,
)
from cryptocdc_core.rows.versions import FUTURE_TOLERANCE_MS, SETTLE_MS
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.port import BookSnapshot, Refused, Request, Rows
from cryptocdc_producer.rest.page import Page
from cryptocdc_producer.streams.book import snapshot_row
from cryptocdc_producer.streams.continuity import FAR

_THREADS = 4

Refuse = Callable[[str, str, bytes, str | None], None]
T = TypeVar("T")
R = TypeVar("R", bound=Row)


class Requests:
    """Every method raises ExchangeError, and Rejected for an invalid answer."""

    def __init__(self, rest: Rest, metrics: ProducerMetrics, refuse: Refuse) -> None:
        self._rest, self._metrics, self._refuse = rest, metrics, refuse
        self._venue = rest.venue
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="rest")
        # Backfill may wait a whole minute for budget and must not occupy the threads of live capture.
        self._spare = ThreadPoolExecutor(1, thread_name_prefix="backfill")

    @property
    def page(self) -> int:
        """The maximum number of rows in one response."""
        return self._venue.requests.page

    def close(self) -> None:
        self._rest.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._spare.shutdown(wait=False, cancel_futures=True)

    async def markets(self, symbol: str | None = None) -> dict[str, Market]:
        """Return all markets that the exchange lists, or only `symbol`: nothing if it is not listed."""
        return await self._sent(self._threads, partial(exchange.markets, self._rest, symbol), symbol)

    async def trades(
        self, symbol: str, kind: str, from_id: int | None, limit: int | None = None, share: float = LIVE
    ) -> Page[RecentTradesRow]:
        """Return trades in the order of their ids, from `from_id` on, or the last ones."""
        request = self._venue.requests.trades(symbol, kind, from_id, limit or self.page)
        page = await self._page(RECENT_TRADES, request, symbol, share)
        rows = [row for row in page.rows if from_id is None or row.trade_id >= from_id]
        return page._replace(rows=sorted(rows, key=lambda row: row.trade_id)).plausible(near=from_id or 0)

    async def first_trade(self, symbol: str, kind: str, at_ms: int, share: float) -> int | None:
        """Return the id of the first trade at or after `at_ms`; None when there is none."""
        if self._venue.requests.first_trade(symbol, kind, at_ms, 1) is None:
            return await self._first_trade_by_id(symbol, kind, at_ms, share)
        # If the first one is refused and its id can't be read, start from the next readable one.
        for limit in (1, self.page):
            request = self._venue.requests.first_trade(symbol, kind, at_ms, limit)
            assert request is not None
            found = await self._answer(RECENT_TRADES, request, symbol, share)
            self._refuse_parts(found.refused, symbol)
            if not found.ids and not found.refused:
                return None
            most = max(found.ids) + FAR if found.ids else None
            beside = [it.position for it in found.refused if it.position is not None]
            if ids := found.ids + [at for at in beside if most is None or at <= most]:
                return min(ids)
        raise Rejected("wrong-field", f"none of the {self.page} trades from {at_ms} on can be read")

    async def _first_trade_by_id(self, symbol: str, kind: str, at_ms: int, share: float) -> int | None:
        """Find it by binary search: ids and times of trades increase together."""

        async def traded_at(trade_id: int | None) -> tuple[int, int]:
            page = await self.trades(symbol, kind, trade_id, 1, share)
            if not page.rows or (trade_id is not None and page.rows[0].trade_id != trade_id):
                raise Rejected("wrong-field", f"trade {'last' if trade_id is None else trade_id} can't be read")
            return page.rows[0].trade_id, page.rows[0].trade_time

        refill = self._venue.offers[RECENT_TRADES.table].refill
        last, last_ms = await traded_at(None)
        if last_ms < at_ms:
            return None
        first = 0 if refill is None else refill.first_id
        while first < last:
            middle = (first + last) // 2
            if (await traded_at(middle))[1] < at_ms:
                first = middle + 1
            else:
                last = middle
        return first

    async def klines(
        self, symbol: str, interval: str, start_ms: int | None, limit: int | None = None, share: float = LIVE
    ) -> Page[KlinesRow]:
        """Return klines in the order of their open times, from `start_ms` on, or the last ones."""
        request = self._venue.requests.klines(symbol, interval, start_ms, limit or self.page)
        page = await self._page(KLINES, request, symbol, share)
        rows = sorted(page.rows, key=lambda row: row.open_time)
        now_ms = time.time_ns() // 1_000_000
        passed = request.until is not None and request.until + SETTLE_MS + FUTURE_TOLERANCE_MS <= now_ms
        until = request.until if passed and all(row.closed for row in rows) else None
        return page._replace(rows=rows, until=until).up_to(now_ms + FUTURE_TOLERANCE_MS)

    async def stats(self, symbols: list[str]) -> list[Crypto24hStatsRow]:
        return (await self._page(CRYPTO_24H_STATS, self._venue.requests.stats(symbols), None, LIVE)).rows

    async def prices(self, symbols: list[str]) -> list[LatestPricesRow]:
        return (await self._page(LATEST_PRICES, self._venue.requests.prices(symbols), None, LIVE)).rows

    async def open_interest(self, symbol: str) -> list[OpenInterestRow]:
        assert self._venue.open_interest is not None, "the feed was checked against what the venue offers"
        return (await self._page(OPEN_INTEREST, self._venue.open_interest(symbol), symbol, LIVE)).rows

    async def book(self, symbol: str, depth: int, interval_ms: int) -> OrderBookRow:
        """Return a row of the best `depth` levels for the current bucket of `interval_ms`."""
        snapshot = await self.snapshot(symbol, depth, LIVE)
        return snapshot_row(symbol, depth, interval_ms, snapshot, time.time_ns() // 1_000_000)

    async def snapshot(self, symbol: str, levels: int, share: float) -> BookSnapshot:
        return await self._answer(ORDER_BOOK, self._venue.requests.book(symbol, levels), symbol, share)

    async def _page(self, stream: Stream, request: Request[Rows[R]], symbol: str | None, share: float) -> Page[R]:
        found = await self._answer(stream, request, symbol, share)
        self._refuse_parts(found.refused, symbol)
        return Page(found.rows, [it.position for it in found.refused])

    def _refuse_parts(self, refused: list[Refused], symbol: str | None) -> None:
        for rejected, part, _ in refused:
            self._refuse(rejected.reason, str(rejected), part, symbol)

    async def _answer(self, stream: Stream, request: Request[T], symbol: str | None, share: float) -> T:
        threads = self._threads if share >= LIVE else self._spare
        body = await self._sent(threads, partial(self._rest.get, request, share), symbol)
        self._metrics.frames.labels(stream.table, "rest").inc()
        self._metrics.last_frame.labels(stream.table).set(time.time())
        try:
            return request.read(body, time.time_ns() // 1_000_000)
        except Rejected as rejected:
            self._refuse(rejected.reason, str(rejected), body, symbol)
            raise

    async def _sent(self, threads: ThreadPoolExecutor, send: Callable[[], T], symbol: str | None) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, send)
        except ExchangeUnreadable as unreadable:
            self._refuse(unreadable.reason, str(unreadable), unreadable.body, symbol)
            raise
        except ExchangeRefused as refused:
            # An unknown symbol is a valid response: it changes the state of the symbol's market.
            if not refused.unknown_symbol:
                self._refuse("error-body", str(refused), refused.body, symbol)
            raise

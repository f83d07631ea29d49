"""Questions to the exchange from the event loop: each in a thread, what is wrong in the answer refused and counted.

Also where the whole answer is wrong: who asked is told by an exception, and has nothing to count or to keep.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from cryptocdc_adapters import exchange
from cryptocdc_adapters.exchange import (
    INVALID_SYMBOL,
    LIVE,
    MAX_BODY,
    ExchangeRefused,
    ExchangeUnreadable,
    Rest,
    symbols_parameter,
)
from cryptocdc_core.metrics import ProducerMetrics
from cryptocdc_core.resolve import Market
from cryptocdc_core.rows import Crypto24hStatsRow, KlinesRow, LatestPricesRow, OrderBookRow, RecentTradesRow, Row
from cryptocdc_core.versions import FUTURE_TOLERANCE_MS
from cryptocdc_producer import answers, intervals
from cryptocdc_producer.answers import Rows, Snapshot
from cryptocdc_producer.checks import Rejected
from cryptocdc_producer.gaps import FAR

PAGE = 1000
"""Rows that the exchange gives at most in one answer."""
_THREADS = 4

Refuse = Callable[[str, str, bytes, str | None], None]
T = TypeVar("T")
R = TypeVar("R", bound=Row)


class Page(NamedTuple, Generic[R]):
    """The rows of one answer, in order, and where its refused elements are."""

    rows: list[R]
    refused: list[int | None]
    """Of each refused element the id of its trade or the open time of its kline in ms, where that can be believed."""

    @property
    def given(self) -> int:
        """Elements in the answer: a page is full when the exchange gave as many as were requested."""
        return len(self.rows) + len(self.refused)

    @property
    def positions(self) -> list[int]:
        """Trade ids or open times of all elements, as far as they can be read."""
        return [*map(_position, self.rows), *(at for at in self.refused if at is not None)]

    @property
    def last(self) -> int | None:
        """The highest of them; None when the page is empty or unreadable."""
        return max(self.positions, default=None)

    def up_to(self, most: int) -> Page[R]:
        """Return the page with no refused position beyond `most`: what is wrong in an element may be its position."""
        return self._replace(refused=[at if at is not None and at <= most else None for at in self.refused])

    def plausible(self, near: int = 0) -> Page[R]:
        """Return a page of trades without refused ids far beyond the others and `near`."""
        return self.up_to(max(near, *map(_position, self.rows), 0) + FAR)


def _position(row: Row) -> int:
    """Where a row of a page is: its trade's id, or the open time of its kline in ms."""
    return row.open_time if isinstance(row, KlinesRow) else getattr(row, "trade_id", 0)


def next_klines(interval: str, start_ms: int, page: Page[KlinesRow]) -> int | None:
    """Return the open time to go on from after a page of klines that was requested from `start_ms` on.

    That is the first kline that is not closed: the last one of a page counts as closed only in the next page. None when
    there is nothing to be had beyond `start_ms` for now.
    """
    not_closed = min((row.open_time for row in page.rows if not row.closed), default=None)
    if not_closed is not None:
        return not_closed if not_closed > start_ms else None
    if page.last is not None:
        return intervals.end(interval, max(start_ms, page.last))
    for _ in range(page.given):
        start_ms = intervals.following(interval, start_ms)
    return start_ms if page.given else None


class Questions:
    """Every method raises ExchangeError, and Rejected for an answer that is none."""

    def __init__(self, rest: Rest, metrics: ProducerMetrics, refuse: Refuse) -> None:
        self._rest, self._metrics, self._refuse = rest, metrics, refuse
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="rest")
        # Backfill may wait for budget for a whole minute: it must not hold the threads of what is live.
        self._spare = ThreadPoolExecutor(1, thread_name_prefix="backfill")

    def close(self) -> None:
        self._rest.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._spare.shutdown(wait=False, cancel_futures=True)

    async def markets(self, symbol: str | None = None) -> dict[str, Market]:
        """All that the exchange lists, or only `symbol`: nothing where it is not listed."""
        return await self._told(self._threads, partial(exchange.markets, self._rest, symbol), symbol)

    async def trades(
        self, symbol: str, aggregate: bool, from_id: int | None, limit: int = PAGE, share: float = LIVE
    ) -> Page[RecentTradesRow]:
        """Trades in the order of their ids, from `from_id` on, or the last ones."""
        more: dict[str, str | int] = {} if from_id is None else {"fromId": from_id}
        if aggregate:
            path, weight, read = "aggTrades", 4, answers.aggregate_trades
        else:
            path, weight, read = ("trades" if from_id is None else "historicalTrades"), 25, answers.raw_trades
        body = await self._ask("recent_trades", path, weight, share, symbol=symbol, limit=limit, **more)
        page = self._page(partial(read, symbol), body, symbol).plausible(near=from_id or 0)
        return page._replace(rows=sorted(page.rows, key=lambda row: row.trade_id))

    async def first_trade(self, symbol: str, aggregate: bool, at_ms: int, share: float) -> int | None:
        """Return the id of the first trade at or after `at_ms`; None when there is none."""
        # Where the first one is refused and its id can't be read, the next ones say where to begin.
        for limit in (1, PAGE):
            body = await self._ask("recent_trades", "aggTrades", 4, share, symbol=symbol, startTime=at_ms, limit=limit)
            page = self._page(partial(answers.aggregate_trades, symbol), body, symbol)
            page = page.plausible() if page.rows else page
            if not page.given:
                return None
            ids = page.positions if aggregate else [row.first_trade_id for row in page.rows if row.first_trade_id >= 0]
            if ids:
                return min(ids)
        raise Rejected("wrong-field", f"none of the {PAGE} trades from {at_ms} on can be read")

    async def klines(
        self, symbol: str, interval: str, start_ms: int | None, limit: int = PAGE, share: float = LIVE
    ) -> Page[KlinesRow]:
        """Klines in the order of their open times, from `start_ms` on, or the last ones."""
        more: dict[str, str | int] = {} if start_ms is None else {"startTime": start_ms}
        body = await self._ask("klines", "klines", 2, share, symbol=symbol, interval=interval, limit=limit, **more)
        now_ms = time.time_ns() // 1_000_000
        page = self._page(partial(answers.klines, symbol, interval), body, symbol)
        return page.up_to(now_ms + FUTURE_TOLERANCE_MS)

    async def tickers(self, symbols: list[str]) -> list[Crypto24hStatsRow]:
        weight = 2 if len(symbols) <= 20 else 40
        body = await self._ask("crypto_24h_stats", "ticker/24hr", weight, LIVE, symbols=symbols_parameter(symbols))
        return self._page(answers.tickers, body, None).rows

    async def prices(self, symbols: list[str]) -> list[LatestPricesRow]:
        body = await self._ask("latest_prices", "ticker/price", 4, LIVE, symbols=symbols_parameter(symbols))
        return self._page(answers.prices, body, None).rows

    async def book(self, symbol: str, depth: int, interval_ms: int) -> OrderBookRow:
        """A row of the best `depth` levels, for the bucket of `interval_ms` that is now."""
        body = await self._depth(symbol, depth, LIVE)
        return self._read(partial(answers.book, symbol, depth, interval_ms), body, symbol)

    async def snapshot(self, symbol: str, limit: int, share: float) -> Snapshot:
        body = await self._depth(symbol, limit, share)
        return self._read(lambda body, _: answers.snapshot(body), body, symbol)

    async def _depth(self, symbol: str, limit: int, share: float) -> bytes:
        weight = next((weight for most, weight in ((100, 5), (500, 25), (1000, 50)) if limit <= most), 250)
        return await self._ask("order_book", "depth", weight, share, symbol=symbol, limit=limit)

    async def _ask(self, table: str, path: str, weight: int, share: float, **params: str | int) -> bytes:
        threads = self._threads if share >= LIVE else self._spare
        symbol = params.get("symbol")
        question = partial(self._rest.get, path, weight, share, MAX_BODY, **params)
        body = await self._told(threads, question, None if symbol is None else str(symbol))
        self._metrics.frames.labels(table, "rest").inc()
        self._metrics.last_frame.labels(table).set(time.time())
        return body

    async def _told(self, threads: ThreadPoolExecutor, question: Callable[[], T], symbol: str | None) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, question)
        except ExchangeUnreadable as unreadable:
            self._refuse(unreadable.reason, str(unreadable), unreadable.body, symbol)
            raise
        except ExchangeRefused as refused:
            # That a symbol is unknown is an answer: it halts the symbol's capture.
            if refused.code != INVALID_SYMBOL:
                self._refuse("error-body", str(refused), refused.body, symbol)
            raise

    def _page(self, read: Callable[[bytes, int], Rows[R]], body: bytes, symbol: str | None) -> Page[R]:
        found = self._read(read, body, symbol)
        for rejected, part in found.rejected:
            self._refuse(rejected.reason, str(rejected), part, symbol)
        return Page(found.rows, [answers.position(part) for _, part in found.rejected])

    def _read(self, read: Callable[[bytes, int], T], body: bytes, symbol: str | None) -> T:
        try:
            return read(body, time.time_ns() // 1_000_000)
        except Rejected as rejected:
            self._refuse(rejected.reason, str(rejected), body, symbol)
            raise

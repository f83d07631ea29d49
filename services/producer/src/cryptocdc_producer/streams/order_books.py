"""Order books, maintained by their venue's procedure; one row for each interval in which a book changed."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

from cryptocdc_core.catalogue.streams import ORDER_BOOK
from cryptocdc_core.rows.typed import OrderBookRow
from cryptocdc_core.time import durations
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.port import BookSnapshot, BookUpdate, Venue
from cryptocdc_producer.storage.store import Stored
from cryptocdc_producer.streams.book import LOST, Applied, Book
from cryptocdc_producer.streams.handler import Handler, Outlets, Round

log = logging.getLogger(__name__)

BUCKET_GRACE_S = 1.0
"""Grace period after the end of a bucket for a last update; then its row is written."""
STALL_S = 30.0
"""A book that has ignored all of its updates for this long is fetched again."""


@dataclass
class _State:
    book: Book
    bucket_since: float = 0.0
    heard: float = 0.0
    """When (monotonic) the last update arrived."""
    ignored_since: float | None = None
    """When (monotonic) the first of the updates arrived that the book has ignored without exception since."""


class OrderBooks(Handler[BookUpdate]):
    stream = ORDER_BOOK

    def __init__(self, settings: Any, venue: Venue, outlets: Outlets, past_ms: int = 0) -> None:
        super().__init__(settings, venue, outlets, past_ms)
        self._books: dict[str, _State] = {}

    @property
    def period_s(self) -> int:
        return durations.seconds(self._settings.interval)

    @property
    def pace_s(self) -> int:
        return self.period_s

    def begin(self, symbol: str, _: Stored) -> None:
        book = Book(symbol, self._settings.depth, self.period_s * 1000, self._venue.order_book)
        self._books[symbol] = _State(book)

    def end(self, symbol: str) -> None:
        self._write_bucket(self._books.pop(symbol).book.flush())

    def tick(self, now: float) -> None:
        limit_s = self.period_s + BUCKET_GRACE_S
        for symbol, state in self._books.items():
            if state.book.pending and now - state.bucket_since >= limit_s:
                self._write_bucket(state.book.flush())
                if not state.book.synced:
                    self._lost(symbol, Applied.CROSSED)
            if state.ignored_since is not None and state.heard - state.ignored_since > STALL_S:
                state.ignored_since = None
                if state.book.synced:
                    state.book.reset()
                    self._lost(symbol, Applied.STALLED)

    def take(self, update: BookUpdate, now_ms: int) -> None:
        state, now = self._books[update.symbol], time.monotonic()
        state.heard = now
        was_pending, was_waiting = state.book.pending, state.book.waiting
        applied, row = state.book.receive(update, now_ms)
        if row is not None or not was_pending:
            state.bucket_since = now
        self._write_bucket(row)
        if applied in (Applied.APPLIED, Applied.SNAPSHOT):
            state.ignored_since = None
        elif applied is Applied.IGNORED and state.book.synced:
            state.ignored_since = state.ignored_since or now
        elif applied in LOST:
            self._lost(update.symbol, applied)
        elif applied is Applied.BUFFERED and not was_waiting:
            self._out.on_book_lost(update.symbol, "start")
        elif applied is Applied.WILD:
            ids = f"update ids {update.first_id} to {update.last_id}"
            raise Rejected("wild-id", f"{ids}, and nothing that leads there")

    def _lost(self, symbol: str, why: Applied) -> None:
        log.warning("%s: the order book is out of sync (%s), requesting a snapshot", symbol, why.value)
        self._out.on_book_lost(symbol, why.value)

    @property
    def depth(self) -> int:
        """The levels of a side that a row has."""
        return int(self._settings.depth)

    def take_snapshot(self, symbol: str, snapshot: BookSnapshot, levels: int) -> bool:
        """Apply a symbol's snapshot from REST, for which so many `levels` were requested. Returns False if another one
        is needed."""
        state = self._books.get(symbol)
        if state is None or state.book.synced:
            # A book lost while an earlier fetch ran is requested twice: the later answer may be older than the book.
            return True
        enough, rows = state.book.load(snapshot, levels)
        state.bucket_since, state.ignored_since = time.monotonic(), None
        for row in rows:
            self._write(row)
        return enough

    def follows(self, symbol: str) -> bool:
        """Return whether the book of `symbol` follows its updates and needs no snapshot."""
        return symbol in self._books and self._books[symbol].book.synced

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._books

    def _write_bucket(self, row: OrderBookRow | None) -> None:
        if row is not None:
            self._write(row)

    async def poll(self, polling: Round) -> bool:
        async def one(symbol: str) -> None:
            self._write(await polling.requests.book(symbol, self._settings.depth, self.period_s * 1000))

        return await polling.each(one, self.has)

"""What becomes of each event of the captured symbols: continuity, books, throttling, and the rows for the writer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from cryptocdc_core import durations
from cryptocdc_core.catalogue.streams import (
    CRYPTO_24H_STATS,
    KLINES,
    LATEST_PRICES,
    ORDER_BOOK,
    RECENT_TRADES,
)
from cryptocdc_core.feed import CryptoFeed
from cryptocdc_core.metrics import ProducerMetrics
from cryptocdc_core.rows import Crypto24hStatsRow, KlinesRow, LatestPricesRow, OrderBookRow, RecentTradesRow
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.port import BookSnapshot, BookUpdate, Control, Event, Venue
from cryptocdc_producer.books import LOST, Applied, Book
from cryptocdc_producer.gaps import Closes, Gap, Ids, Seen
from cryptocdc_producer.intake import Data, Intake
from cryptocdc_producer.outages import Outages
from cryptocdc_producer.store import Stored
from cryptocdc_producer.throttle import OpenKlines

log = logging.getLogger(__name__)

BUCKET_GRACE_S = 1.0
"""After the end of an order book's bucket, for a last diff to come; then its row is written."""
STALL_S = 30.0
"""A book that has taken none of its diffs for so long, although they come, is fetched again."""

Refuse = Callable[[str, str, bytes, str | None], None]


@dataclass
class _Symbol:
    ids: Ids
    closes: dict[str, Closes]
    book: Book | None
    heard: dict[str, float]
    """By table filled over WebSocket, when (monotonic) a frame last came."""
    bucket_since: float = 0.0
    ignored_since: float | None = None
    """When (monotonic) the first of the depth frames came that the book ignored, all of them up to now."""
    frame_at: float = float("-inf")
    """When (monotonic) the last frame of any of its streams came."""


class Capture:
    """All of it runs on the event loop. `on_gap` is told of each gap once, `on_book_lost` which book needs a snapshot
    and why, `refuse` what was refused: reason, detail, frame, symbol.
    """

    def __init__(
        self,
        feed: CryptoFeed,
        venue: Venue,
        intake: Intake,
        metrics: ProducerMetrics,
        on_gap: Callable[[Gap], None],
        on_book_lost: Callable[[str, str], None],
        refuse: Refuse,
    ) -> None:
        self._intake, self._metrics = intake, metrics
        self._on_gap, self._on_book_lost, self._refuse = on_gap, on_book_lost, refuse
        self._symbols: dict[str, _Symbol] = {}
        self._known: set[str] = set()
        """Ever captured: a frame that comes after the end of a symbol's capture is no stranger."""
        self._open_klines = OpenKlines()
        self._outages = Outages(feed)
        self._last_frame: dict[str, float] = {}
        streams = feed.spec.streams
        self._intervals: list[str] = list(streams.klines.intervals) if streams.klines is not None else []
        self._book = streams.order_book
        self._book_ms = durations.seconds(self._book.interval) * 1000 if self._book is not None else 0
        self._procedure = venue.order_book
        refill = venue.offers[RECENT_TRADES.table].refill if RECENT_TRADES.table in venue.offers else None
        self._first_id = 0 if refill is None else refill.first_id
        self._decode = venue.frames.decoder(streams)
        handlers: dict[str, Callable[[_Symbol, Any, int], None]] = {}
        if streams.recent_trades is not None and streams.recent_trades.source == "websocket":
            handlers[RECENT_TRADES.table] = self._trade
        if streams.klines is not None and streams.klines.source == "websocket":
            handlers[KLINES.table] = self._kline
        if streams.crypto_24h_stats is not None and streams.crypto_24h_stats.source == "websocket":
            handlers[CRYPTO_24H_STATS.table] = self._ticker
        if streams.latest_prices is not None and streams.latest_prices.source == "websocket":
            handlers[LATEST_PRICES.table] = self._price
        if self._book is not None and self._book.source == "websocket":
            handlers[ORDER_BOOK.table] = self._depth
        self._handlers = handlers
        self._frames = {table: metrics.frames.labels(table, "websocket") for table in handlers}

    @property
    def symbols(self) -> set[str]:
        return set(self._symbols)

    def resume(self, taken_over: Mapping[str, Stored]) -> None:
        """To be told of what is stored before `add`, so that the time without capture is counted."""
        self._outages.begin(taken_over)

    def add(self, symbol: str, stored: Stored) -> None:
        """Begin to capture `symbol`, of which `stored` is there."""
        book = Book(symbol, self._book.depth, self._book_ms, self._procedure) if self._book is not None else None
        closes = {interval: Closes(interval, stored.last_closes.get(interval)) for interval in self._intervals}
        heard = dict.fromkeys([*self._frames, "rest"], time.monotonic())
        self._symbols[symbol] = _Symbol(
            Ids(stored.last_trade, stored.last_trade_ms, self._first_id), closes, book, heard
        )
        self._known.add(symbol)

    def remove(self, symbol: str) -> None:
        """End it: what is held back is written."""
        state = self._symbols.pop(symbol, None)
        if state is None:
            return
        self._write_open_klines(self._open_klines.release(symbol))
        self._write_book(state.book.flush() if state.book is not None else None)

    def finish(self) -> None:
        """End all of it."""
        for symbol in self.symbols:
            self.remove(symbol)

    def tick(self) -> None:
        """To be called several times a second: writes what was held back long enough."""
        now = time.monotonic()
        self._write_open_klines(self._open_klines.due(now))
        limit = self._book_ms / 1000 + BUCKET_GRACE_S
        for symbol, state in self._symbols.items():
            if state.book is not None and state.book.pending and now - state.bucket_since >= limit:
                self._end_bucket(symbol, state.book)
            if state.ignored_since is not None and state.heard[ORDER_BOOK.table] - state.ignored_since > STALL_S:
                self._lose_stalled_book(symbol, state)
        for table, at in self._last_frame.items():
            self._metrics.last_frame.labels(table).set(at)

    def silent_symbols(self, limit_s: float) -> list[str]:
        """Those of which nothing has come for `limit_s`, over WebSocket where it should: REST answers for a paused
        market, too."""
        since = time.monotonic() - limit_s
        tables = self._frames or ("rest",)
        return [symbol for symbol, state in self._symbols.items() if all(state.heard[t] < since for t in tables)]

    def live_symbols(self, limit_s: float) -> set[str]:
        """Those that have sent a frame within `limit_s`: their markets trade, whatever the exchange lists."""
        since = time.monotonic() - limit_s
        return {symbol for symbol, state in self._symbols.items() if state.frame_at >= since}

    def expect_first_trade(self, symbol: str) -> None:
        """`symbol` is not listed yet: when its first trades are missed, they are a gap before the first one seen."""
        state = self._symbols.get(symbol)
        if state is not None and state.ids.last is None:
            state.ids = Ids(self._first_id - 1, first_id=self._first_id)

    def silent_streams(self, limit_s: float) -> list[tuple[str, str]]:
        """Symbol and table of each stream that was silent for `limit_s` while others of its symbol were not."""
        since = time.monotonic() - limit_s
        return [
            (symbol, table)
            for symbol, state in self._symbols.items()
            for table in self._frames
            if state.heard[table] < since <= max(state.heard.values())
        ]

    def receive(self, frame: bytes) -> Control | None:
        """Take a frame as it came. What is not market data is given back; what is wrong is refused, alone."""
        now_ms = time.time_ns() // 1_000_000
        symbol = None
        try:
            found = self._decode(frame)
            if isinstance(found, Control):
                return found
            for event in found:
                symbol = event.symbol
                self._receive(event, now_ms)
        except Rejected as rejected:
            self._refuse(rejected.reason, str(rejected), frame, symbol)
        except Exception as error:
            # One frame that meets a fault of ours must not end the capture of all the others.
            log.exception("a frame could not be handled")
            self._refuse("internal", repr(error), frame, symbol)
        return None

    def _receive(self, event: Event, now_ms: int) -> None:
        """Raises Rejected."""
        table, symbol = event.table, event.symbol
        handle = self._handlers.get(table)
        if handle is None:
            raise Rejected("unknown-event", f"{type(event).__name__} was not asked for")
        self._frames[table].inc()
        self._last_frame[table] = now_ms / 1000
        state = self._symbols.get(symbol)
        if state is not None:
            state.heard[table] = state.frame_at = time.monotonic()
            handle(state, event.row(now_ms), now_ms)
        elif symbol not in self._known:
            raise Rejected("unknown-symbol", f"{symbol[:40]!r} was not asked for")

    def _trade(self, state: _Symbol, row: RecentTradesRow, _: int) -> None:
        self._take_trade(state, row)

    def _kline(self, state: _Symbol, row: KlinesRow, _: int) -> None:
        if row.interval not in state.closes:
            raise Rejected("unknown-event", f"klines of {row.interval} were not asked for")
        self._take_kline(row, state.closes[row.interval].see(row.open_time, row.closed))

    def _ticker(self, _: _Symbol, row: Crypto24hStatsRow, __: int) -> None:
        self.take_stats(row)

    def _price(self, _: _Symbol, row: LatestPricesRow, __: int) -> None:
        self.take_price(row)

    def take_trades(self, symbol: str, rows: list[RecentTradesRow]) -> None:
        """Trades in the order of their ids, from REST."""
        if state := self._symbols.get(symbol):
            self._heard(symbol)
            for row in rows:
                try:
                    self._take_trade(state, row)
                except Rejected as rejected:
                    self._refuse(rejected.reason, str(rejected), msgspec.json.encode(row), symbol)

    def last_trade(self, symbol: str) -> int | None:
        """The last trade id known of a captured symbol."""
        return self._symbols[symbol].ids.last if symbol in self._symbols else None

    def _take_trade(self, state: _Symbol, row: RecentTradesRow) -> None:
        """Raises Rejected."""
        seen, missing = state.ids.see(row.trade_id, row.trade_time)
        if seen is Seen.DUPLICATE:
            return
        if seen is Seen.WILD:
            raise Rejected("wild-id", f"trade id {row.trade_id} after {state.ids.last}, and nothing that leads there")
        if missing is not None:
            self._found(Gap(RECENT_TRADES.table, row.symbol, "", *missing))
        if seen is Seen.RESTART:
            log.warning("%s: trade ids begin again at %d", row.symbol, row.trade_id)
            self._metrics.trade_id_restarts.inc()
        self._intake.put(Data(row))

    def take_klines(self, symbol: str, rows: list[KlinesRow]) -> None:
        """Klines in the order of their open times, from REST."""
        if state := self._symbols.get(symbol):
            self._heard(symbol)
            for row in rows:
                # An open one says nothing of those before it here: they may not be final yet.
                closes = state.closes[row.interval]
                closes.begin(row.open_time)
                self._take_kline(row, closes.see(row.open_time, closed=True) if row.closed else None)

    def last_close(self, symbol: str, interval: str) -> int | None:
        """The open time in ms of the last closed kline known of a captured symbol."""
        return self._symbols[symbol].closes[interval].last if symbol in self._symbols else None

    def _take_kline(self, row: KlinesRow, missing: tuple[int, int] | None) -> None:
        """`missing`: the gap that it uncovered."""
        if missing is not None:
            self._found(Gap(KLINES.table, row.symbol, row.interval, *missing))
        if row.closed:
            held = self._open_klines.close(row)
            self._write_open_klines(held[:-1])
            self._intake.put(Data(row))
        else:
            ready, overtaken = self._open_klines.offer(row, time.monotonic())
            self._metrics.conflated.labels(KLINES.table).inc(overtaken)
            self._write_open_klines(ready)

    def _write_open_klines(self, rows: list[KlinesRow]) -> None:
        for row in rows:
            self._intake.put_state((row.symbol, row.interval, str(row.open_time)), row)

    def take_stats(self, row: Crypto24hStatsRow) -> None:
        self._note(row)
        self._intake.put_state((row.symbol,), row)

    def take_price(self, row: LatestPricesRow) -> None:
        self._note(row)
        self._intake.put_state((row.symbol,), row)

    def _depth(self, state: _Symbol, event: BookUpdate, now_ms: int) -> None:
        assert state.book is not None
        was_pending, was_waiting = state.book.pending, state.book.waiting
        applied, row = state.book.receive(event, now_ms)
        if row is not None or not was_pending:
            state.bucket_since = time.monotonic()
        self._write_book(row)
        if applied in (Applied.APPLIED, Applied.SNAPSHOT):
            state.ignored_since = None
            return
        if applied is Applied.IGNORED and state.book.synced:
            state.ignored_since = state.ignored_since or time.monotonic()
        elif applied in LOST:
            self._lost(event.symbol, applied)
        elif applied is Applied.BUFFERED and not was_waiting:
            self._on_book_lost(event.symbol, "start")
        elif applied is Applied.WILD:
            raise Rejected("wild-id", f"update ids {event.first_id} to {event.last_id}, and nothing that leads there")

    def _end_bucket(self, symbol: str, book: Book) -> None:
        self._write_book(book.flush())
        if not book.synced:
            self._lost(symbol, Applied.CROSSED)

    def _lose_stalled_book(self, symbol: str, state: _Symbol) -> None:
        state.ignored_since = None
        if state.book is not None and state.book.synced:
            state.book.reset()
            self._lost(symbol, Applied.STALLED)

    def _lost(self, symbol: str, why: Applied) -> None:
        log.warning("%s: the order book no longer follows its diffs (%s), a snapshot is requested", symbol, why.value)
        self._on_book_lost(symbol, why.value)

    def take_snapshot(self, symbol: str, snapshot: BookSnapshot) -> bool:
        """Take a symbol's snapshot from REST. False when another one is needed."""
        state = self._symbols.get(symbol)
        if state is None or state.book is None:
            return True
        enough, rows = state.book.load(snapshot)
        state.bucket_since, state.ignored_since = time.monotonic(), None
        for row in rows:
            self._write_book(row)
        return enough

    def follows(self, symbol: str) -> bool:
        """Return whether the book of `symbol` follows its updates and needs no snapshot."""
        state = self._symbols.get(symbol)
        return state is not None and state.book is not None and state.book.synced

    def take_book(self, row: OrderBookRow) -> None:
        """A book's state from REST."""
        self._write_book(row)

    def _write_book(self, row: OrderBookRow | None) -> None:
        if row is not None:
            self._note(row)
            self._intake.put_state((row.symbol,), row)

    def _heard(self, symbol: str) -> None:
        if state := self._symbols.get(symbol):
            state.heard["rest"] = time.monotonic()

    def _note(self, row: Crypto24hStatsRow | LatestPricesRow | OrderBookRow) -> None:
        """A row of a stream that can't be filled later: with the first one an outage ends."""
        self._heard(row.symbol)
        table = row.stream.table
        lost_s = self._outages.end(table, row.symbol, row.event_time)
        if lost_s:
            log.info("%s: nothing for %.1f s", table, lost_s)
            self._metrics.outage_seconds.labels(table).inc(lost_s)

    def _found(self, gap: Gap) -> None:
        """The gap goes to the writer before the row that uncovered it: both are committed together."""
        log.info("%s %s %s: %d missing, %d to %d", gap.table, gap.symbol, gap.interval, gap.size, gap.first, gap.last)
        self._metrics.gaps.labels(gap.table).inc()
        self._intake.put(gap)
        self._on_gap(gap)

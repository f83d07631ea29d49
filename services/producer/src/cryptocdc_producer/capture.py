"""Handles frames: passes their events to the handlers of the streams, and refuses invalid parts individually."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.port import Control, Event, Venue
from cryptocdc_producer.storage.store import Stored
from cryptocdc_producer.streams.handler import Refuse
from cryptocdc_producer.streams.handlers import Handlers

log = logging.getLogger(__name__)

_REST = "rest"


@dataclass
class _Symbol:
    heard: dict[str, float]
    """When (monotonic) data last arrived of what the market has, by table for WebSocket and once for all of REST."""
    frame_at: float = float("-inf")
    """When (monotonic) the last frame of any of its streams arrived."""


class Capture:
    """All of it runs on the event loop."""

    def __init__(
        self, feed: CryptoFeed, venue: Venue, handlers: Handlers, metrics: ProducerMetrics, refuse: Refuse
    ) -> None:
        self._metrics, self._refuse = metrics, refuse
        self._decode = venue.frames.decoder(feed.spec.streams)
        self._handlers = handlers
        self._symbols: dict[str, _Symbol] = {}
        self._known: set[str] = set()
        """Ever captured: a frame that comes after the end of a symbol's capture is no stranger."""
        self._last_frame: dict[str, float] = {}
        self._steady = [handler.table for handler in handlers if handler.by_websocket and not handler.sporadic]
        """Tables for which silence indicates a fault."""
        self._offers = venue.offers
        self._by_websocket = {
            table: (metrics.frames.labels(table, "websocket"), handler.take)
            for table, handler in handlers.by_table.items()
            if handler.by_websocket
        }

    @property
    def symbols(self) -> set[str]:
        return set(self._symbols)

    def resume(self, taken_over: Mapping[str, Stored]) -> None:
        """Record what is stored, before `add`, so that the time without capture is counted."""
        for handler in self._handlers:
            handler.resume(taken_over)

    def add(self, symbol: str, stored: Stored) -> None:
        """Start capturing `symbol`; `stored` is what PostgreSQL has of it."""
        tables = [handler.table if handler.by_websocket else _REST for handler in self._handlers if handler.has(symbol)]
        self._symbols[symbol] = _Symbol(dict.fromkeys(tables, time.monotonic()))
        self._known.add(symbol)
        for handler in self._handlers:
            handler.begin(symbol, stored)

    def remove(self, symbol: str) -> None:
        """Stop capturing a symbol; rows held back are written."""
        if self._symbols.pop(symbol, None) is not None:
            for handler in self._handlers:
                handler.end(symbol)

    def finish(self) -> None:
        """Stop capturing all symbols."""
        for symbol in self.symbols:
            self.remove(symbol)

    def tick(self) -> None:
        """Write rows that were held back long enough. Call it several times per second."""
        now = time.monotonic()
        for handler in self._handlers:
            handler.tick(now)
        for table in self._steady:
            if at := self._last_frame.get(table):
                self._metrics.last_frame.labels(table).set(at)

    def heard(self, symbol: str) -> None:
        """Record a REST response for `symbol`."""
        if state := self._symbols.get(symbol):
            state.heard[_REST] = time.monotonic()

    def silent_symbols(self, limit_s: float) -> list[str]:
        """Return those of which nothing has come for `limit_s`, over WebSocket where it should: REST answers for a
        paused market, too."""
        since = time.monotonic() - limit_s
        return [symbol for symbol, state in self._symbols.items() if self._is_silent(state, since)]

    def _is_silent(self, state: _Symbol, since: float) -> bool:
        steady = [state.heard[table] for table in self._steady if table in state.heard]
        at = steady or [heard for table, heard in state.heard.items() if table == _REST]
        return bool(at) and max(at) < since

    def live_symbols(self, limit_s: float) -> set[str]:
        """Return the symbols with a frame within `limit_s`: their markets trade, even if the exchange's list
        differs."""
        since = time.monotonic() - limit_s
        return {symbol for symbol, state in self._symbols.items() if state.frame_at >= since}

    def silent_streams(self, limit_s: float) -> list[tuple[str, str]]:
        """Return symbol and table of each stream that was silent for `limit_s` while others of its symbol were not."""
        since = time.monotonic() - limit_s
        return [
            (symbol, table)
            for symbol, state in self._symbols.items()
            for table in self._steady
            if state.heard.get(table, since) < since <= max(state.heard.values())
        ]

    def receive(self, frame: bytes) -> Control | None:
        """Handle a raw frame. Return what is not market data; refuse invalid parts individually."""
        now_ms = time.time_ns() // 1_000_000
        symbol = None
        try:
            found = self._decode(frame)
            if isinstance(found, Control):
                return found
            for event in found:
                symbol = event.symbol
                try:
                    self._take(event, now_ms)
                except Rejected as rejected:
                    self._refuse(rejected.reason, str(rejected), frame, symbol)
        except Rejected as rejected:
            self._refuse(rejected.reason, str(rejected), frame, None)
        except Exception as error:
            # A bug that one frame triggers must not stop the capture of everything else.
            log.exception("a frame could not be handled")
            self._refuse("internal", repr(error), frame, symbol)
        return None

    def _take(self, event: Event, now_ms: int) -> None:
        """Raises Rejected."""
        table, symbol = event.table, event.symbol
        wanted = self._by_websocket.get(table)
        if wanted is None:
            raise Rejected("unknown-event", f"{type(event).__name__} was not asked for")
        if symbol not in self._symbols and self._offers[table].shared:
            return
        frames, take = wanted
        frames.inc()
        self._last_frame[table] = now_ms / 1000
        state = self._symbols.get(symbol)
        if state is not None:
            state.heard[table] = state.frame_at = time.monotonic()
            take(event.row(now_ms), now_ms)
        elif symbol not in self._known:
            raise Rejected("unknown-symbol", f"{symbol[:40]!r} was not asked for")

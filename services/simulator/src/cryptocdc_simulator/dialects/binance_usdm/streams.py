"""The streams of USD-M futures by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cryptocdc_simulator.dialects.binance.streams import listing_named
from cryptocdc_simulator.dialects.binance_usdm import payloads
from cryptocdc_simulator.dialects.port import Opened, Stream
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.book import step_at
from cryptocdc_simulator.market.klines import INTERVALS
from cryptocdc_simulator.market.market import Listing, Market
from cryptocdc_simulator.streams import BookTicker, Depth, Klines, MarketStream, Ticker, Trades

_DEPTH = re.compile(r"depth(?:@(100|250|500)ms)?")
_MARK = re.compile(r"markPrice(@1s)?")
_PUBLIC = re.compile(r"[^@]+@(bookTicker|depth.*)")


def is_public(stream: str) -> bool:
    """Return whether the path /public has the stream: frequent updates of books. The path /market has all others."""
    return _PUBLIC.fullmatch(stream) is not None


def is_market(stream: str) -> bool:
    return not is_public(stream)


class ChainedDepth(Depth):
    """Each event contains the last update id of the previous one, even if that was dropped or ids restarted."""

    def __init__(self, listing: Listing, faults: Faults, steps: int) -> None:
        super().__init__(listing, faults, payloads.depth_event, steps)
        self._previous = listing.book.update_id(self.last)

    def emit(self, now: int) -> Iterator[Any]:
        yield from super().emit(now)
        self._previous = self.listing.book.update_id(step_at(now))

    def changes(self, step: int) -> Iterator[Any]:
        diff = self.listing.book.diff(self.last, step)
        yield self.event(self.instrument, diff, self._previous, self.event_time())


class MarkPrice(MarketStream):
    """Every one or three seconds."""

    def __init__(self, listing: Listing, faults: Faults, period_ms: int) -> None:
        super().__init__(listing, faults, payloads.mark_event)
        self._period = period_ms

    def emit(self, now: int) -> Iterator[Any]:
        yield self.event(self.instrument, self.listing.contract.mark(now), self.event_time())
        self.due = (now // self._period + 1) * self._period


class Liquidations(MarketStream):
    """The last liquidation of each second."""

    def __init__(self, listing: Listing, faults: Faults) -> None:
        super().__init__(listing, faults, payloads.force_order)
        self._next = listing.next_id()
        self.due += 1000

    def emit(self, now: int) -> Iterator[Any]:
        stop = self.listing.next_id()
        forced = [
            trade
            for trade in self.listing.tape.aggregates(self._next, stop)
            if self.listing.contract.is_liquidation(trade)
        ]
        if forced:
            yield self.event(self.instrument, forced[-1], self.event_time())
        self._next = max(self._next, stop)
        self.due = now + 1000


class FuturesStreams:
    """Creates streams. There are none for unknown names, upper case and symbols that are not traded."""

    def __init__(self, market: Market, faults: Faults) -> None:
        self._market, self._faults = market, faults

    def __call__(self, stream: str) -> Opened | None:
        name, _, channel = stream.partition("@")
        listing = listing_named(self._market, name)
        if listing is None or not listing.trading:
            return None
        made = self._of_symbol(listing, channel)
        return None if made is None else (made, listing)

    def _of_symbol(self, listing: Listing, channel: str) -> Stream | None:
        faults = self._faults
        match channel:
            case "aggTrade":
                return Trades(listing, faults, payloads.aggregate_event, raw=False)
            case "ticker":
                return Ticker(listing, faults, payloads.ticker_event)
            case "miniTicker":
                return Ticker(listing, faults, payloads.mini_ticker_event)
            case "bookTicker":
                return BookTicker(listing, faults, payloads.book_ticker_event)
            case "forceOrder":
                return Liquidations(listing, faults)
        if channel.startswith("kline_") and (interval := channel.removeprefix("kline_")) in INTERVALS:
            return None if interval == "1s" else Klines(listing, faults, payloads.kline_event, interval)
        if depth := _DEPTH.fullmatch(channel):
            return ChainedDepth(listing, faults, int(depth[1] or 250) // 100)
        if mark := _MARK.fullmatch(channel):
            return MarkPrice(listing, faults, 1000 if mark[1] else 3000)
        return None

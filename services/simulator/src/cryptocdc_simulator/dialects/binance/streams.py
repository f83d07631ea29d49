"""The streams of Binance's spot market by name."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

from cryptocdc_simulator.dialects.binance import payloads
from cryptocdc_simulator.dialects.port import Opened, Stream, stats_of
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.klines import INTERVALS
from cryptocdc_simulator.market.market import Listing, Market
from cryptocdc_simulator.streams import BookTicker, Depth, Klines, PartialDepth, Ticker, Trades

_SECOND_MS = 1000
_DEPTH = re.compile(r"depth(5|10|20)?(?:@(100|1000)ms)?")


class MiniTickers:
    """!miniTicker@arr: the symbols that changed in the last second, in one frame."""

    def __init__(self, market: Market, faults: Faults) -> None:
        self._market, self._faults = market, faults
        self._last_ids: dict[str, int] = {}
        self.due = market.clock()

    async def prepare(self) -> None:
        for listing in list(self._market.listings.values()):
            await stats_of(listing)
            await asyncio.sleep(0)

    def emit(self, now: int) -> Iterator[Any]:
        changed = []
        for listing in self._market.listings.values():
            last = listing.next_id()
            if listing.trading and self._last_ids.get(listing.symbol) != last:
                self._last_ids[listing.symbol] = last
                event_time = now + self._faults.skew_ms
                changed.append(payloads.mini_ticker_event(listing.instrument, listing.stats(), event_time))
        if changed:
            yield changed
        self.due = now + _SECOND_MS - now % _SECOND_MS

    def welcome(self) -> Iterator[Any]:
        """Nothing."""
        return iter(())


class SpotStreams:
    """Creates streams. There are none for unknown names, upper case and symbols that are not traded."""

    def __init__(self, market: Market, faults: Faults) -> None:
        self._market, self._faults = market, faults

    def __call__(self, stream: str) -> Opened | None:
        if re.fullmatch(r"!miniTicker@arr(@\d+ms)?", stream):
            return MiniTickers(self._market, self._faults), None
        name, _, channel = stream.partition("@")
        listing = listing_named(self._market, name)
        if listing is None or not listing.trading:
            return None
        made = self._of_symbol(listing, channel)
        return None if made is None else (made, listing)

    def _of_symbol(self, listing: Listing, channel: str) -> Stream | None:
        faults = self._faults
        if channel == "trade":
            return Trades(listing, faults, payloads.trade_event, raw=True)
        if channel == "aggTrade":
            return Trades(listing, faults, payloads.aggregate_event, raw=False)
        if channel == "ticker":
            return Ticker(listing, faults, payloads.ticker_event)
        if channel == "miniTicker":
            return Ticker(listing, faults, payloads.mini_ticker_event)
        if channel == "bookTicker":
            return BookTicker(listing, faults, payloads.book_ticker_event)
        if channel.startswith("kline_") and (interval := channel.removeprefix("kline_")) in INTERVALS:
            return Klines(listing, faults, payloads.kline_event, interval)
        if depth := _DEPTH.fullmatch(channel):
            levels, pace = depth.groups()
            steps = 1 if pace == "100" else 10
            if levels:
                return PartialDepth(listing, faults, payloads.depth, int(levels), steps)
            return Depth(listing, faults, payloads.depth_event, steps)
        return None


def listing_named(market: Market, name: str) -> Listing | None:
    """Return the listing whose streams have this name: its symbol in lower case, which not every script has."""
    return next((it for it in market.listings.values() if it.symbol.lower() == name), None)

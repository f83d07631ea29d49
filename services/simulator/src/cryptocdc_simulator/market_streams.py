"""The streams of the simulated market: what is due on each of them at a moment."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol
from zlib import crc32

import msgspec

from cryptocdc_simulator import payloads
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.book import STEP_MS, step_at
from cryptocdc_simulator.market.klines import INTERVALS, following, opening
from cryptocdc_simulator.market.market import Listing, Market
from cryptocdc_simulator.market.trades import parts
from cryptocdc_simulator.rest import prepared, stats_of
from cryptocdc_simulator.source import Outgoing

_SECOND_MS = 1000
_KLINE_MS = 2000
_encode = msgspec.json.encode


class Stream(Protocol):
    """`due`: when (ms of the market's clock) the stream next has something to say."""

    due: int

    def emit(self, now: int) -> Iterator[Any]:
        """Events up to `now`; sets `due` anew."""


class _Of:
    """What streams of one symbol share."""

    def __init__(self, listing: Listing, faults: Faults) -> None:
        self.listing, self.faults = listing, faults
        self.instrument = listing.instrument
        self.due = listing.now()

    def event_time(self) -> int:
        return self.listing.now() + self.faults.skew_ms


class Trades(_Of):
    """@trade and @aggTrade: every trade at its time."""

    def __init__(self, listing: Listing, faults: Faults, raw: bool) -> None:
        super().__init__(listing, faults)
        self._raw = raw
        self._next = listing.next_id()
        self.due = listing.tape.time_of(self._next)

    def emit(self, now: int) -> Iterator[Any]:
        tape, event_time = self.listing.tape, self.event_time()
        stop = tape.first_id_at(now + 1)
        for trade in tape.aggregates(self._next, stop):
            if self.faults.is_dropped(self.listing.symbol, trade.id):
                kept_back = trade.last - trade.first + 1 if self._raw else 1
                self.faults.counts["dropped_trades" if self._raw else "dropped_aggregates"] += kept_back
            elif self._raw:
                for part in parts(trade):
                    yield payloads.trade_event(self.instrument, part, event_time)
            else:
                yield payloads.aggregate_event(self.instrument, trade, event_time)
        self._next = max(self._next, stop)
        self.due = tape.time_of(self._next)


class Klines(_Of):
    """@kline_…: the running kline every two seconds while there is trade, and each closed one at its close."""

    def __init__(self, listing: Listing, faults: Faults, interval: str) -> None:
        super().__init__(listing, faults)
        self._interval = interval
        self._pace = min(_KLINE_MS, INTERVALS[interval])
        # Not all streams at the same millisecond; that of a second says no more than its closed klines.
        self._phase = crc32(f"{listing.symbol}{interval}".encode()) % self._pace if interval != "1s" else 0
        self._open = opening(interval, listing.now())
        self._last_id = -2
        self._plan(listing.now())

    def _plan(self, now: int) -> None:
        beat = now - (now - self._phase) % self._pace + self._pace
        self.due = min(beat, following(self._interval, self._open))

    def emit(self, now: int) -> Iterator[Any]:
        while (close := following(self._interval, self._open)) <= now:
            yield self._event(close, closed=True)
            self._open = close
        running = self._event(now + 1, closed=False)
        if running["k"]["L"] not in (self._last_id, -1):
            self._last_id = running["k"]["L"]
            yield running
        self._plan(now)

    def _event(self, end: int, closed: bool) -> Any:
        bar = self.listing.bars.kline(self._open, end)
        close_time = self.faults.close_time(
            self.listing.symbol, self._interval, self._open, following(self._interval, self._open)
        )
        return payloads.kline_event(
            self.instrument, self._interval, self._open, close_time, bar, closed, self.event_time()
        )


class Ticker(_Of):
    """@ticker and @miniTicker: every second in which there was trade."""

    def __init__(self, listing: Listing, faults: Faults, event: Callable[..., Any]) -> None:
        super().__init__(listing, faults)
        self._event = event
        self._last_id = -1

    def emit(self, now: int) -> Iterator[Any]:
        last = self.listing.tape.first_id_at(now + 1)
        if last != self._last_id:
            self._last_id = last
            yield self._event(self.instrument, self.listing.stats(), self.event_time())
        self.due = now + _SECOND_MS - (now - crc32(self.listing.symbol.encode())) % _SECOND_MS


class MiniTickers:
    """!miniTicker@arr: those symbols that changed in the last second, in one frame."""

    def __init__(self, market: Market, faults: Faults) -> None:
        self._market, self._faults = market, faults
        self._last_ids: dict[str, int] = {}
        self.due = market.clock()

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


class BookTicker(_Of):
    """@bookTicker: the best bid and ask whenever they changed."""

    def __init__(self, listing: Listing, faults: Faults) -> None:
        super().__init__(listing, faults)
        self._last: Any = None

    def emit(self, now: int) -> Iterator[Any]:
        step = step_at(now)
        bids, asks = self.listing.book.snapshot(step, 1)
        if (bids, asks) != self._last:
            self._last = (bids, asks)
            update_id = self.listing.book.update_id(step)
            yield payloads.book_ticker_event(self.instrument, update_id, bids[0], asks[0])
        self.due = (step + 1) * STEP_MS


class Depth(_Of):
    """@depth and @depth@100ms: what has changed in the book since the last frame."""

    def __init__(self, listing: Listing, faults: Faults, steps: int) -> None:
        super().__init__(listing, faults)
        self._steps = steps
        self._last = step_at(listing.now())
        self.due = (self._last + steps) * STEP_MS

    def emit(self, now: int) -> Iterator[Any]:
        step = step_at(now)
        if self.faults.is_book_gap(self.listing.symbol, self._last, step):
            self.faults.counts["dropped_depth_updates"] += 1
        else:
            diff = self.listing.book.diff(self._last, step)
            yield payloads.depth_event(self.instrument, diff, self.event_time())
        self._last = step
        self.due = (step + self._steps) * STEP_MS


class PartialDepth(_Of):
    """@depth5, 10, 20 (@100ms): the best levels, without symbol or time."""

    def __init__(self, listing: Listing, faults: Faults, levels: int, steps: int) -> None:
        super().__init__(listing, faults)
        self._levels, self._steps = levels, steps

    def emit(self, now: int) -> Iterator[Any]:
        step, book = step_at(now), self.listing.book
        yield payloads.depth(self.instrument, book.update_id(step), *book.snapshot(step, self._levels))
        self.due = (step + self._steps) * STEP_MS


_DEPTH = re.compile(r"depth(5|10|20)?(?:@(100|1000)ms)?")


class MarketStreams:
    """The live streams of a market: each is opened with its first subscriber and closed with its last."""

    def __init__(self, market: Market, faults: Faults) -> None:
        self._market, self._faults = market, faults
        self._open: dict[str, tuple[Stream, Listing | None]] = {}

    async def prepare(self, stream: str) -> None:
        """Compute what the first event of a stream needs, without holding up the others."""
        name, _, channel = stream.partition("@")
        listings = list(self._market.listings.values()) if stream.startswith("!miniTicker") else []
        if listing := self._named(name):
            listings = [listing]
        for listing in listings:
            if channel in ("ticker", "miniTicker", "arr"):
                await stats_of(listing)
            elif channel.startswith("kline_") and (interval := channel.removeprefix("kline_")) in INTERVALS:
                await prepared(listing, opening(interval, listing.now()), listing.now())
            await asyncio.sleep(0)

    def open(self, stream: str) -> None:
        """Unknown names, upper case and symbols that are no longer traded are accepted and stay silent."""
        opened = self._make(stream)
        if opened is not None:
            self._open[stream] = opened

    def close(self, stream: str) -> None:
        self._open.pop(stream, None)

    def due(self) -> Iterator[Outgoing]:
        now = self._market.clock()
        for name, (stream, listing) in list(self._open.items()):
            if stream.due > now:
                continue
            if listing is not None and not listing.trading:
                del self._open[name]
                continue
            for event in stream.emit(now):
                yield Outgoing(name, _encode(event))

    def _make(self, stream: str) -> tuple[Stream, Listing | None] | None:
        if re.fullmatch(r"!miniTicker@arr(@\d+ms)?", stream):
            return MiniTickers(self._market, self._faults), None
        name, _, channel = stream.partition("@")
        listing = self._named(name)
        if listing is None or not listing.trading:
            return None
        made = self._of_symbol(listing, channel)
        return None if made is None else (made, listing)

    def _named(self, name: str) -> Listing | None:
        """The listing whose streams are called so: its symbol in small letters, which not every script has."""
        return next((it for it in self._market.listings.values() if it.symbol.lower() == name), None)

    def _of_symbol(self, listing: Listing, channel: str) -> Stream | None:
        faults = self._faults
        if channel in ("trade", "aggTrade"):
            return Trades(listing, faults, raw=channel == "trade")
        if channel == "ticker":
            return Ticker(listing, faults, payloads.ticker_event)
        if channel == "miniTicker":
            return Ticker(listing, faults, payloads.mini_ticker_event)
        if channel == "bookTicker":
            return BookTicker(listing, faults)
        if channel.startswith("kline_") and (interval := channel.removeprefix("kline_")) in INTERVALS:
            return Klines(listing, faults, interval)
        if depth := _DEPTH.fullmatch(channel):
            levels, pace = depth.groups()
            steps = 1 if pace == "100" else 10
            return PartialDepth(listing, faults, int(levels), steps) if levels else Depth(listing, faults, steps)
        return None

"""The streams of the simulated market: which events are due at a time. Their format is up to the dialect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from zlib import crc32

from cryptocdc_simulator.dialects.port import Opened, Outgoing, encode, prepared, stats_of
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.book import STEP_MS, step_at
from cryptocdc_simulator.market.klines import INTERVALS, following, opening
from cryptocdc_simulator.market.market import Listing, Market
from cryptocdc_simulator.market.trades import parts

_SECOND_MS = 1000
_KLINE_MS = 2000


class MarketStream:
    """The base of one symbol's streams. `event` formats an event in the dialect; its last argument is its time."""

    def __init__(self, listing: Listing, faults: Faults, event: Callable[..., Any]) -> None:
        self.listing, self.faults, self.event = listing, faults, event
        self.instrument = listing.instrument
        self.due = listing.now()

    def event_time(self) -> int:
        return self.listing.now() + self.faults.skew_ms

    async def prepare(self) -> None:
        """Do nothing: there is nothing to compute."""

    def emit(self, now: int) -> Iterator[Any]:
        raise NotImplementedError

    def welcome(self) -> Iterator[Any]:
        """Nothing."""
        return iter(())


class Trades(MarketStream):
    """Every trade at its time, aggregated or `raw`."""

    def __init__(self, listing: Listing, faults: Faults, event: Callable[..., Any], raw: bool) -> None:
        super().__init__(listing, faults, event)
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
                    yield self.event(self.instrument, part, event_time)
            else:
                yield self.event(self.instrument, trade, event_time)
        self._next = max(self._next, stop)
        self.due = tape.time_of(self._next)


class Klines(MarketStream):
    """The open kline every two seconds while there are trades, and each kline when it closes."""

    def __init__(self, listing: Listing, faults: Faults, event: Callable[..., Any], interval: str) -> None:
        super().__init__(listing, faults, event)
        self._interval = interval
        self._pace = min(_KLINE_MS, INTERVALS[interval])
        # Not all streams at the same millisecond; klines of one second are sent only when they close.
        self._phase = crc32(f"{listing.symbol}{interval}".encode()) % self._pace if interval != "1s" else 0
        self._open = opening(interval, listing.now())
        self._last_id = -2
        self._plan(listing.now())

    async def prepare(self) -> None:
        await prepared(self.listing, self._open, self.listing.now())

    def _plan(self, now: int) -> None:
        beat = now - (now - self._phase) % self._pace + self._pace
        self.due = min(beat, following(self._interval, self._open))

    def emit(self, now: int) -> Iterator[Any]:
        while (close := following(self._interval, self._open)) <= now:
            yield self._event(self.listing.bars.kline(self._open, close), closed=True)
            self._open = close
        bar = self.listing.bars.kline(self._open, now + 1)
        if bar.last not in (self._last_id, -1):
            self._last_id = bar.last
            yield self._event(bar, closed=False)
        self._plan(now)

    def _event(self, bar: Any, closed: bool) -> Any:
        close_time = self.faults.close_time(
            self.listing.symbol, self._interval, self._open, following(self._interval, self._open)
        )
        return self.event(self.instrument, self._interval, self._open, close_time, bar, closed, self.event_time())


class Ticker(MarketStream):
    """24-hour statistics, every second with a trade."""

    _last_id = -1

    async def prepare(self) -> None:
        await stats_of(self.listing)

    def emit(self, now: int) -> Iterator[Any]:
        last = self.listing.tape.first_id_at(now + 1)
        if last != self._last_id:
            self._last_id = last
            yield self.event(self.instrument, self.listing.stats(), self.event_time())
        self.due = now + _SECOND_MS - (now - crc32(self.listing.symbol.encode())) % _SECOND_MS


class BookTicker(MarketStream):
    """The best bid and ask whenever they changed."""

    _last: Any = None

    def emit(self, now: int) -> Iterator[Any]:
        step = step_at(now)
        bids, asks = self.listing.book.snapshot(step, 1)
        if (bids, asks) != self._last:
            self._last = (bids, asks)
            update_id = self.listing.book.update_id(step)
            yield self.event(self.instrument, update_id, bids[0], asks[0], self.event_time())
        self.due = (step + 1) * STEP_MS


class Depth(MarketStream):
    """The changes of the book since the last frame, every `steps` × 100 ms."""

    def __init__(self, listing: Listing, faults: Faults, event: Callable[..., Any], steps: int) -> None:
        super().__init__(listing, faults, event)
        self.steps = steps
        self.last = step_at(listing.now())
        self.due = (self.last + steps) * STEP_MS

    def emit(self, now: int) -> Iterator[Any]:
        step = step_at(now)
        if self.faults.is_book_gap(self.listing.symbol, self.last, step):
            self.faults.counts["dropped_depth_updates"] += 1
        else:
            yield from self.changes(step)
        self.last = step
        self.due = (step + self.steps) * STEP_MS

    def changes(self, step: int) -> Iterator[Any]:
        """Return the events that lead from the book at `last` to that at `step`."""
        yield self.event(self.instrument, self.listing.book.diff(self.last, step), self.event_time())


class PartialDepth(MarketStream):
    """The best levels."""

    def __init__(self, listing: Listing, faults: Faults, event: Callable[..., Any], levels: int, steps: int) -> None:
        super().__init__(listing, faults, event)
        self._levels, self._steps = levels, steps

    def emit(self, now: int) -> Iterator[Any]:
        step, book = step_at(now), self.listing.book
        yield self.event(self.instrument, book.update_id(step), *book.snapshot(step, self._levels))
        self.due = (step + self._steps) * STEP_MS


class MarketStreams:
    """The active streams of a market: each starts with its first subscriber and ends with its last.

    `make`: returns the stream with a name; None for unknown names, which are accepted and stay silent.
    """

    def __init__(self, market: Market, make: Callable[[str], Opened | None]) -> None:
        self._market, self._make = market, make
        self._open: dict[str, Opened] = {}

    async def prepare(self, stream: str) -> None:
        if made := self._make(stream):
            await made[0].prepare()
        await asyncio.sleep(0)

    def open(self, stream: str) -> None:
        if opened := self._make(stream):
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
                yield Outgoing(name, encode(event))

    def welcome(self, stream: str) -> Iterable[bytes]:
        return map(encode, self._open[stream][0].welcome()) if stream in self._open else ()

    def symbol_of(self, stream: str) -> str | None:
        made = self._make(stream)
        return made[1].symbol if made and made[1] else None

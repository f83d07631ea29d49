"""The channels of Coinbase Exchange. A stream is called CHANNEL:PRODUCT; level2_batch has the stream of level2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cryptocdc_simulator.dialects.coinbase import payloads
from cryptocdc_simulator.dialects.coinbase.products import currencies, maintained, product_info
from cryptocdc_simulator.dialects.port import Opened, Stream, stats_of
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.book import DEPTH
from cryptocdc_simulator.market.market import Listing, Market
from cryptocdc_simulator.market.stats import DAY_MS, Stats
from cryptocdc_simulator.market.trades import Raw
from cryptocdc_simulator.streams import Depth, MarketStream, Trades

_HEARTBEAT_MS, _STATUS_MS, _BATCH_MS = 1_000, 5_000, 5_000
CHANNELS = ("matches", "level2", "level2_batch", "ticker", "ticker_batch", "heartbeat", "status")
STATUS = "status"


def named(channel: str, product_id: str) -> str:
    return f"{'level2' if channel == 'level2_batch' else channel}:{product_id}"


def last_trade(listing: Listing) -> Raw:
    last = max(listing.next_raw_id() - 1, 0)
    return next(listing.tape.raws(last, last + 1))


def month_volume(listing: Listing, stats: Stats) -> int:
    """Return the volume of 30 days, in steps: the known number of trades times the mean size of those of 24 hours."""
    tape, now = listing.tape, listing.now()
    trades = listing.next_raw_id() - tape.first_raw_id_of(tape.first_id_at(now - 30 * DAY_MS))
    return stats.bar.volume * trades // max(stats.bar.trades, 1)


class Matches(Trades):
    """Every match; a new subscriber first gets the last one."""

    def __init__(self, listing: Listing, faults: Faults) -> None:
        super().__init__(listing, faults, lambda instrument, trade, _: payloads.match(instrument, trade), raw=True)

    def welcome(self) -> Iterator[Any]:
        before = max(self.listing.tape.first_raw_id_of(self._next) - 1, 0)
        trade = next(self.listing.tape.raws(before, before + 1))
        yield payloads.match(self.instrument, trade, "last_match")


class Level2(Depth):
    """The changes of the book every 100 ms; a new subscriber first gets the whole book."""

    def __init__(self, listing: Listing, faults: Faults) -> None:
        super().__init__(listing, faults, payloads.l2update, steps=1)

    def changes(self, step: int) -> Iterator[Any]:
        diff = self.listing.book.diff(self.last, step)
        if diff.bids or diff.asks:
            yield self.event(self.instrument, diff.bids, diff.asks, self.event_time())

    def welcome(self) -> Iterator[Any]:
        bids, asks = self.listing.book.snapshot(self.last, DEPTH)
        yield payloads.snapshot(self.instrument, bids, asks, self.event_time())


class Tickers(MarketStream):
    """The last match with the 24-hour statistics: one per match if `period_ms` is 0, otherwise one per period."""

    def __init__(self, listing: Listing, faults: Faults, period_ms: int) -> None:
        super().__init__(listing, faults, payloads.ticker_event)
        self._period = period_ms
        self._last = listing.next_id()
        self._plan(listing.now())

    async def prepare(self) -> None:
        await stats_of(self.listing)

    def _plan(self, now: int) -> None:
        self.due = now + self._period if self._period else self.listing.tape.time_of(self._last)

    def emit(self, now: int) -> Iterator[Any]:
        last = self.listing.next_id()
        if last != self._last:
            self._last = last
            yield self._event()
        self._plan(now)

    def welcome(self) -> Iterator[Any]:
        yield self._event()

    def _event(self) -> Any:
        stats = self.listing.stats()
        return self.event(self.instrument, last_trade(self.listing), stats, month_volume(self.listing, stats))


class Heartbeats(MarketStream):
    """A heartbeat every second, with the last trade's id."""

    def __init__(self, listing: Listing, faults: Faults) -> None:
        super().__init__(listing, faults, payloads.heartbeat)
        self.due += _HEARTBEAT_MS

    def emit(self, now: int) -> Iterator[Any]:
        yield self.event(self.instrument, self.listing.next_raw_id() - 1, self.event_time())
        self.due = now // _HEARTBEAT_MS * _HEARTBEAT_MS + _HEARTBEAT_MS


class Status:
    """All products and currencies, on subscription and every five seconds."""

    def __init__(self, market: Market, faults: Faults) -> None:
        self._market, self._faults = market, faults
        self.due = market.clock() + _STATUS_MS

    async def prepare(self) -> None:
        """Do nothing: there is nothing to compute."""

    def emit(self, now: int) -> Iterator[Any]:
        yield from self.welcome()
        self.due = now + _STATUS_MS

    def welcome(self) -> Iterator[Any]:
        infos = [product_info(listing) for listing in self._market.listings.values()]
        infos = maintained(infos, self._faults.maintenance)
        yield {"type": "status", "products": infos, "currencies": currencies(infos)}


class CoinbaseStreams:
    """Creates streams. There are none for products that are not traded."""

    def __init__(self, market: Market, faults: Faults) -> None:
        self._market, self._faults = market, faults

    def __call__(self, stream: str) -> Opened | None:
        if stream == STATUS:
            return Status(self._market, self._faults), None
        channel, _, product_id = stream.partition(":")
        listing = self._market.listings.get(product_id)
        if listing is None or not listing.trading:
            return None
        return self._of_product(channel, listing), listing

    def _of_product(self, channel: str, listing: Listing) -> Stream:
        match channel:
            case "matches":
                return Matches(listing, self._faults)
            case "level2":
                return Level2(listing, self._faults)
            case "heartbeat":
                return Heartbeats(listing, self._faults)
            case _:
                return Tickers(listing, self._faults, _BATCH_MS if channel == "ticker_batch" else 0)

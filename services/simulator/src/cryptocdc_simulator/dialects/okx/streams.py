"""The channels of OKX. A stream is named by the argument of its subscription, in JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cryptocdc_simulator.dialects.okx import payloads
from cryptocdc_simulator.dialects.okx.instruments import SWAP, instrument_info, kind_of, maintained, swap_on
from cryptocdc_simulator.dialects.port import Opened, Stream, stats_of
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.bars import Bar
from cryptocdc_simulator.market.book import DEPTH, STEP_MS, Level, step_at
from cryptocdc_simulator.market.market import Listing, Market
from cryptocdc_simulator.market.stats import Stats
from cryptocdc_simulator.market.symbols import Instrument
from cryptocdc_simulator.market.trades import Aggregate, Raw
from cryptocdc_simulator.streams import BookTicker, Depth, Klines, MarketStream, Ticker, Trades

Arg = dict[str, str]
Json = dict[str, Any]

BARS = {
    "1s": "1s",
    **{f"{n}m": f"{n}m" for n in (1, 3, 5, 15, 30)},
    **{f"{n}H": f"{n}h" for n in (1, 2, 4)},
    **{f"{n}Hutc": f"{n}h" for n in (6, 12)},
    **{"1Dutc": "1d", "3Dutc": "3d", "1Wutc": "1w", "1Mutc": "1M"},
}
"""By bar the interval. Those that begin by Hong Kong's time, such as 1D, are not served."""
BY_INSTRUMENT = ("books", "bbo-tbt", "trades", "tickers")
OF_SWAPS = ("mark-price", "funding-rate", "open-interest")
OF_INDEXES = "index-tickers"
BY_KIND = ("instruments", "liquidation-orders")
CHECKSUMS = ("zero", "crc32", "wrong")


class BookFaults:
    """What goes wrong with books on this venue alone.

    `checksums`: zero, as sent since 2026-06-23, crc32 as before, or wrong. `quiet`: by market how many of the next
    updates are without changes, which come with a later one.
    """

    def __init__(self) -> None:
        self.checksums = CHECKSUMS[0]
        self.quiet: dict[str, int] = {}

    def checksum(self, parameters: Mapping[str, str]) -> Json:
        kind = parameters["kind"]
        if kind not in CHECKSUMS:
            raise ValueError(f"kind {kind!r} is none of {', '.join(CHECKSUMS)}")
        self.checksums = kind
        return {"kind": kind}

    def quiet_book(self, parameters: Mapping[str, str]) -> Json:
        symbol, count = parameters["symbol"], int(parameters.get("count", "1"))
        self.quiet[symbol] = count
        return {"symbol": symbol, "count": count}


def named(arg: Arg) -> str:
    return json.dumps(arg, separators=(",", ":"))


class Books(Depth):
    """A snapshot for each subscriber, then the changes every 100 ms, chained by sequence ids.

    A reset of the sequence shows as an update whose prevSeqId is greater than its seqId, an update without changes
    has both the same.
    """

    def __init__(self, listing: Listing, faults: Faults, arg: Arg, of_books: BookFaults) -> None:
        super().__init__(listing, faults, self._frame, steps=1)
        self._arg, self._of_books = arg, of_books
        self._seq = listing.book.update_id(self.last)

    def emit(self, now: int) -> Iterator[Any]:
        if self._of_books.quiet.get(self.listing.symbol, 0):
            self._of_books.quiet[self.listing.symbol] -= 1
            self.faults.counts["quiet_books"] += 1
            yield self.event("update", [], [], self._seq, self._seq)
            self.due = (step_at(now) + self.steps) * STEP_MS
            return
        yield from super().emit(now)
        self._seq = self.listing.book.update_id(self.last)

    def changes(self, step: int) -> Iterator[Any]:
        diff = self.listing.book.diff(self.last, step)
        before, self.last = self._seq, step
        yield self.event("update", diff.bids, diff.asks, self.listing.book.update_id(step), before)

    def welcome(self) -> Iterator[Any]:
        yield self.event("snapshot", *self.listing.book.snapshot(self.last, DEPTH), self._seq, -1)

    def _frame(self, action: str, bids: list[Level], asks: list[Level], seq: int, before: int) -> Json:
        data = {
            "asks": payloads.levels(self.instrument, asks),
            "bids": payloads.levels(self.instrument, bids),
            "ts": str(self.event_time()),
            "checksum": self._checksum(),
            "seqId": seq,
            "prevSeqId": before,
        }
        return {"arg": self._arg, "action": action, "data": [data]}

    def _checksum(self) -> int:
        """Of the whole book after the update."""
        if self._of_books.checksums == "zero":
            return 0
        bids, asks = (payloads.levels(self.instrument, side) for side in self.listing.book.snapshot(self.last, DEPTH))
        right = payloads.checksum(bids, asks)
        return right if self._of_books.checksums == "crc32" else right ^ 1


class Figures(MarketStream):
    """What a swap has beside trades and book: sent every so often, and to a new subscriber at once."""

    def __init__(self, listing: Listing, faults: Faults, figures: Callable[[int], Any], period_ms: int) -> None:
        super().__init__(listing, faults, figures)
        self._period = period_ms
        self.due = listing.now() // period_ms * period_ms + period_ms

    def emit(self, now: int) -> Iterator[Any]:
        yield self.event(self.listing.now())
        self.due = (now // self._period + 1) * self._period

    def welcome(self) -> Iterator[Any]:
        yield self.event(self.listing.now())


class IndexTicker(Figures):
    async def prepare(self) -> None:
        await stats_of(self.listing)


class OfAll:
    """A channel of all markets of a kind, looked at every second."""

    def __init__(self, market: Market, faults: Faults, arg: Arg) -> None:
        self.market, self.faults, self.arg = market, faults, arg
        self.due = market.clock() + 1000

    async def prepare(self) -> None:
        for listing in self.listings():
            listing.next_id()
            await asyncio.sleep(0)

    def listings(self) -> list[Listing]:
        return [it for it in self.market.listings.values() if kind_of(it.instrument) == self.arg["instType"]]

    def emit(self, now: int) -> Iterator[Any]:
        self.due = now + 1000
        if rows := list(self.rows()):
            yield {"arg": self.arg, "data": rows}

    def rows(self) -> Iterator[Json]:
        raise NotImplementedError

    def welcome(self) -> Iterator[Any]:
        """Nothing."""
        return iter(())


class Instruments(OfAll):
    """All of them for a new subscriber, then those that changed."""

    def __init__(self, market: Market, faults: Faults, arg: Arg) -> None:
        super().__init__(market, faults, arg)
        self._last = {info["instId"]: info for info in self._infos()}

    def _infos(self) -> list[Json]:
        infos = [instrument_info(listing, self.market.clock()) for listing in self.listings()]
        return maintained(infos, self.faults.maintenance)

    def rows(self) -> Iterator[Json]:
        infos = self._infos()
        yield from (info for info in infos if self._last.get(info["instId"]) != info)
        self._last = {info["instId"]: info for info in infos}

    def welcome(self) -> Iterator[Any]:
        yield {"arg": self.arg, "data": self._infos()}


class Liquidations(OfAll):
    """The last liquidation of each swap in each second."""

    def __init__(self, market: Market, faults: Faults, arg: Arg) -> None:
        super().__init__(market, faults, arg)
        self._next: dict[str, int] = {}

    def rows(self) -> Iterator[Json]:
        for listing in self.listings():
            stop = listing.next_id()
            trades = listing.tape.aggregates(self._next.get(listing.symbol, stop), stop)
            forced = [trade for trade in trades if listing.contract.is_liquidation(trade)]
            if forced:
                yield payloads.liquidation(listing.instrument, forced[-1])
            self._next[listing.symbol] = stop


class OkxStreams:
    """Makes streams. Channels and markets that are not there have none."""

    def __init__(self, market: Market, faults: Faults, of_books: BookFaults) -> None:
        self._market, self._faults, self._of_books = market, faults, of_books

    def __call__(self, stream: str) -> Opened | None:
        arg = json.loads(stream)
        channel = arg["channel"]
        if channel == "instruments":
            return Instruments(self._market, self._faults, arg), None
        if channel == "liquidation-orders":
            return Liquidations(self._market, self._faults, arg), None
        listing = self._market.listings.get(swap_on(arg["instId"]) if channel == OF_INDEXES else arg["instId"])
        if listing is None or not listing.trading:
            return None
        of_swap = channel in (*OF_SWAPS, OF_INDEXES)
        made = self._of_swap(listing, arg) if of_swap else self._of_market(listing, arg)
        return made, listing

    def _of_market(self, listing: Listing, arg: Arg) -> Stream:
        faults = self._faults

        def push(*rows: Any) -> Json:
            return {"arg": arg, "data": list(rows)}

        def trades(instrument: Instrument, trade: Aggregate, _: int) -> Json:
            seq_id = listing.book.update_id(step_at(trade.time))
            return push(payloads.trades_push(instrument, trade, seq_id))

        def trade(instrument: Instrument, trade: Raw, _: int) -> Json:
            return push(payloads.trade_row(instrument, trade))

        def best(instrument: Instrument, seq_id: int, bid: Level, ask: Level, now: int) -> Json:
            asks, bids = (payloads.levels(instrument, [level]) for level in (ask, bid))
            return push({"asks": asks, "bids": bids, "ts": str(now), "seqId": seq_id})

        def candle(instrument: Instrument, _: str, opened: int, __: int, bar: Bar, closed: bool, ___: int) -> Json:
            return push(payloads.candle(instrument, opened, bar, closed))

        def ticker(_: Instrument, stats: Stats, now: int) -> Json:
            return push(payloads.ticker(listing, stats, now))

        match arg["channel"]:
            case "books":
                return Books(listing, faults, arg, self._of_books)
            case "trades":
                return Trades(listing, faults, trades, raw=False)
            case "trades-all":
                return Trades(listing, faults, trade, raw=True)
            case "bbo-tbt":
                return BookTicker(listing, faults, best)
            case "tickers":
                return Ticker(listing, faults, ticker)
            case channel:
                return Klines(listing, faults, candle, BARS[channel.removeprefix("candle")])

    def _of_swap(self, listing: Listing, arg: Arg) -> Stream:
        instrument, contract = listing.instrument, listing.contract

        def push(row: Json) -> Json:
            return {"arg": arg, "data": [row]}

        def mark(now: int) -> Json:
            return push(payloads.mark_price(instrument, contract.mark(now), now))

        def funding(now: int) -> Json:
            return push(payloads.funding_rate(instrument, contract.mark(now), now))

        def interest(now: int) -> Json:
            return push(payloads.open_interest(instrument, contract.open_interest(now), contract.mark(now), now))

        def index(now: int) -> Json:
            return push(payloads.index_ticker(listing, listing.stats(), now))

        if arg["channel"] == OF_INDEXES:
            return IndexTicker(listing, self._faults, index, 1_000)
        figures, period = {
            "mark-price": (mark, 1_000),
            "funding-rate": (funding, 30_000),
            "open-interest": (interest, 3_000),
        }[arg["channel"]]
        return Figures(listing, self._faults, figures, period)


def is_public(arg: Arg, kinds: Mapping[str, str] | None) -> bool:
    """Whether /ws/v5/public has the channel of `arg`; `kinds`: by market its kind, None where all are accepted."""
    channel, symbol = arg.get("channel"), arg.get("instId", "")
    if channel in BY_KIND:
        return arg.get("instType") == SWAP or (channel == "instruments" and arg.get("instType") == "SPOT")
    if channel in OF_SWAPS:
        return kinds is None or kinds.get(symbol) == SWAP
    if channel == OF_INDEXES:
        return kinds is None or kinds.get(swap_on(symbol)) == SWAP
    return channel in BY_INSTRUMENT and (kinds is None or symbol in kinds)


def is_business(arg: Arg, kinds: Mapping[str, str] | None) -> bool:
    """As `is_public`, of /ws/v5/business."""
    channel = arg.get("channel", "")
    known = channel == "trades-all" or (channel.startswith("candle") and channel.removeprefix("candle") in BARS)
    return known and (kinds is None or arg.get("instId") in kinds)

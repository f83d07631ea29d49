"""All symbols of the simulated exchange: listings, and the trades up to now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

from cryptocdc_simulator.market.book import Book
from cryptocdc_simulator.market.klines import Bars
from cryptocdc_simulator.market.perpetual import Contract
from cryptocdc_simulator.market.prices import FALL_MS
from cryptocdc_simulator.market.stats import Stats, stats_at
from cryptocdc_simulator.market.symbols import CATALOGUE, Instrument
from cryptocdc_simulator.market.trades import Tape

EPOCH_MS = 1_767_225_600_000  # 2026-01-01: start of the history of all symbols in the catalogue

Clock = Callable[[], int]
"""Milliseconds since 1970."""


class Listing:
    """One symbol of the exchange. Its tape, bars and book are created on first use."""

    def __init__(
        self, seed: int, rate: float, instrument: Instrument, listed_ms: int, clock: Clock, clustering: bool = True
    ) -> None:
        self.instrument = instrument
        self.symbol = instrument.symbol
        self.delisted_ms: int | None = None
        self._seed, self._rate, self._listed_ms, self._clock = seed, rate, listed_ms, clock
        self._clustering = clustering

    @property
    def trading(self) -> bool:
        return self.delisted_ms is None

    def now(self) -> int:
        """The market's time, which stops when a symbol is no longer traded."""
        return self._clock() if self.delisted_ms is None else self.delisted_ms

    @cached_property
    def tape(self) -> Tape:
        return Tape(self._seed, self.instrument, self._rate, self._listed_ms, self._clustering)

    @cached_property
    def bars(self) -> Bars:
        return Bars(self.tape)

    @cached_property
    def book(self) -> Book:
        return Book(self._seed, self.tape)

    @cached_property
    def contract(self) -> Contract:
        return Contract(self._seed, self.tape)

    def restart_trade_ids(self) -> None:
        """Let the ids of trades start at 0 again with the next one."""
        self.tape.restart_ids(self.now() + 1)
        self.__dict__.pop("bars", None)  # its sums contain ids

    def stats(self) -> Stats:
        return stats_at(self.tape, self.bars, self.book, self.now())

    def next_id(self) -> int:
        """The id after that of the last aggregate trade so far."""
        return self.tape.first_id_at(self.now() + 1)

    def next_raw_id(self) -> int:
        return self.tape.first_raw_id_of(self.next_id())


class Market:
    """The listed symbols, in the order of the catalogue."""

    def __init__(
        self,
        seed: int,
        symbols: int,
        rate: float,
        clock: Clock,
        clustering: bool = True,
        catalogue: Sequence[Instrument] = CATALOGUE,
    ) -> None:
        """`symbols`: how many of the catalogue; `rate`: a factor on their trades per second.

        `clustering`: whether trades come in bursts and volatility changes.
        """
        self.seed, self.rate, self.clock, self.clustering = seed, rate, clock, clustering
        self.listings = {
            instrument.symbol: Listing(seed, rate, instrument, EPOCH_MS, clock, clustering)
            for instrument in catalogue[:symbols]
        }

    def delist(self, symbol: str) -> None:
        listing = self.listings[symbol]
        if listing.delisted_ms is None:
            listing.delisted_ms = self.clock()

    def resume(self, symbol: str) -> None:
        """Resume trading as if it had never stopped: the trades of the pause are in REST, but in no stream."""
        self.listings[symbol].delisted_ms = None

    def remove(self, symbol: str) -> None:
        del self.listings[symbol]

    def list_new(self, instrument: Instrument) -> Listing:
        """List a new symbol, trading from the next `FALL_MS` on.

        A delisted symbol that is listed again has ids from 0: it is another market with the same name.
        """
        listing = Listing(self.seed, self.rate, instrument, self.clock(), self.clock, self.clustering)
        self.listings[instrument.symbol] = listing
        return listing

    def crash(self, symbol: str, percent: float, seconds: float) -> int:
        """Let the price fall by `percent` within `seconds`, from the next `FALL_MS` on. Returns the start, in ms."""
        step = self.clock() // FALL_MS + 1
        self.listings[symbol].tape.crash(step, max(1, round(seconds * 1000 / FALL_MS)), percent / 100)
        return step * FALL_MS

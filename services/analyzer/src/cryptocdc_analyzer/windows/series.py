"""The windows of one partition's symbols, of all lengths, in event time. Pure: no clock, no I/O.

A window stays in memory until the symbol's newest trade is LATENESS_MS past its end. A trade of any other window, be it
late or from before this program read the partition, makes the window `unknown`: its other trades are in Cassandra and
must be read before its bar is known. Which trades are known is held once per symbol, for the windows of all lengths: a
window in memory has exactly those of its time range.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from cryptocdc_analyzer.exact import accepted
from cryptocdc_analyzer.windows.bars import Bar, Trade
from cryptocdc_analyzer.windows.known import KnownTrades
from cryptocdc_analyzer.windows.volatility import Volatility
from cryptocdc_core.catalogue.computed import VOLATILITY
from cryptocdc_core.rows.versions import FUTURE_TOLERANCE_MS

LATENESS_MS = 30_000
"""How late a trade may come and still find its window in memory. A later one corrects it as well, but slower."""
NEAR_MS = 60_000
"""Unknown windows of a symbol that are no further apart are read together."""


class Series(NamedTuple):
    """The windows of one length, as the feed writes it, for one computed table."""

    table: str
    interval: str


class Key(NamedTuple):
    """A window: `open_ms` is its first millisecond, since the epoch."""

    symbol: str
    series: Series
    open_ms: int


class Span(NamedTuple):
    """A time range of a symbol, [start_ms, end_ms), that contains whole windows."""

    symbol: str
    start_ms: int
    end_ms: int


class Content(Protocol):
    """What the trades of a window amount to: Bar, Volatility."""

    @property
    def committed_us(self) -> int: ...

    def add(self, trade: Trade) -> None: ...

    def row(self, key: Sequence[Any], end_ms: int) -> dict[str, Any]: ...


@dataclass
class Added:
    """The outcome of adding some trades."""

    repeated: int = 0
    late: int = 0
    """Windows that a trade made unknown after they had left memory."""
    refused: int = 0
    """Trades with more digits than can be summed exactly."""
    reloaded: int = 0
    """Unknown windows that became known."""


def known_from(since_ms: int, first_ms: int) -> int:
    """Return when a symbol's windows begin that have all of their rows in the partition after `since_ms`, when reading
    of it began: an earlier record may have been of any window that starts before that, or as much later as clocks may
    differ. `first_ms` is the time of the symbol's first row: those before may be in another partition, since partitions
    may have been added to the topic."""
    return max(since_ms + FUTURE_TOLERANCE_MS, first_ms + 1)


class Windows:
    def __init__(self, lengths: Mapping[Series, int], since_ms: int) -> None:
        """`lengths` are in milliseconds; `since_ms` is when reading of the partition began."""
        self._lengths = lengths
        self._since_ms = since_ms
        self._known_from: dict[str, int] = {}
        self._read: set[str] = set()
        """Symbols with windows that were unknown and became known."""
        self._bars: dict[Key, Content] = {}
        self._trades: dict[str, KnownTrades] = {}
        """By symbol, the trades of the windows in memory."""
        self._unknown: dict[Key, list[Trade]] = {}
        self._changed: set[Key] = set()
        self._newest: dict[str, int] = {}
        self._left: dict[tuple[str, Series], int] = {}
        """By symbol and series, where the windows begin that have not left memory."""

    def __len__(self) -> int:
        return len(self._bars)

    def add(self, trade: Trade, found: Added) -> None:
        """Add a trade to its windows."""
        if not summable(trade):
            found.refused += 1
            return
        if trade.symbol not in self._newest:
            first_ms = max(trade.at_ms, trade.committed_us // 1000)
            self._known_from[trade.symbol] = known_from(self._since_ms, first_ms)
        self._newest[trade.symbol] = max(self._newest.get(trade.symbol, 0), trade.at_ms)
        new = self._is_new(trade)
        repeated = not new
        for key in self._keys(trade):
            if self._is_known(key):
                if new:
                    self._put(self._bars, key, trade)
                    self._changed.add(key)
                continue
            repeated = False
            if key not in self._unknown:
                self._unknown[key] = []
                found.late += key.open_ms < self._left.get((key.symbol, key.series), 0)
            self._unknown[key].append(trade)
        found.repeated += repeated

    def unknown(self) -> list[Span]:
        """Return the time ranges whose trades must be read before all bars are known, in order."""
        spans: list[Span] = []
        for key in sorted(self._unknown, key=lambda key: (key.symbol, key.open_ms)):
            end = self._end(key)
            if spans and spans[-1].symbol == key.symbol and key.open_ms - spans[-1].end_ms <= NEAR_MS:
                spans[-1] = spans[-1]._replace(end_ms=max(spans[-1].end_ms, end))
            else:
                spans.append(Span(key.symbol, key.open_ms, end))
        return spans

    def begins(self) -> bool:
        """Return whether unknown windows are the first that are read of their symbol."""
        return any(key.symbol not in self._read for key in self._unknown)

    def resolve(self, symbol: str, pages: Iterable[Iterable[Trade]], found: Added) -> Iterator[None]:
        """Make the unknown windows of a symbol known, given the stored trades of its ranges from `unknown`, each once,
        and yield after each page of them. Until the end the windows remain unknown: it can be done again.

        A stored trade may not have been read from Kafka yet: it is added to windows in memory as well."""
        counts = {key: len(waiting) for key, waiting in self._unknown.items() if key.symbol == symbol}
        unstored = {(trade.at_ms, trade.id): trade for key in counts for trade in self._unknown[key]}
        made: dict[Key, Content] = {}
        for page in pages:
            for trade in page:
                unstored.pop((trade.at_ms, trade.id), None)
                if summable(trade):
                    self._add_to(made, counts, trade)
                else:
                    found.refused += 1
            yield
        for trade in unstored.values():
            self._add_to(made, counts, trade)
        self._read.add(symbol)
        for key, bar in made.items():
            if len(self._unknown[key]) == counts[key]:  # otherwise a trade has come that may be stored or not
                del self._unknown[key]
                self._bars[key] = bar
                self._changed.add(key)
                found.reloaded += 1

    def _add_to(self, made: dict[Key, Content], unknown: Container[Key], trade: Trade) -> None:
        """Add a trade to the windows that are `made` again, and if it is new to those in memory."""
        new = self._is_new(trade)
        for key in self._keys(trade):
            if key in unknown:
                self._put(made, key, trade)
            elif new and self._is_known(key):
                self._put(self._bars, key, trade)
                self._changed.add(key)

    def _keys(self, trade: Trade) -> Iterator[Key]:
        for series, length in self._lengths.items():
            yield Key(trade.symbol, series, trade.at_ms - trade.at_ms % length)

    def _is_new(self, trade: Trade) -> bool:
        """Remember a trade, and return whether no window in memory has it."""
        known = self._trades.get(trade.symbol)
        if known is None:
            known = self._trades[trade.symbol] = KnownTrades()
        return known.add(trade.at_ms, trade.id)

    def _is_known(self, key: Key) -> bool:
        """Return whether a window is in memory, or would be if it had trades."""
        left = self._left.get((key.symbol, key.series), 0)
        return key in self._bars or key.open_ms >= max(left, self._known_from[key.symbol])

    def _put(self, bars: dict[Key, Content], key: Key, trade: Trade) -> None:
        bar = bars.get(key)
        if bar is None:
            bars[key] = content_of(trade, key, self._lengths[key.series])
        else:
            bar.add(trade)

    def take(self) -> list[tuple[str, dict[str, Any], int]]:
        """Return the rows that changed since the last call, each with its table and PostgreSQL's commit time of its
        newest trade in microseconds, and forget the windows that are past their lateness."""
        rows = []
        for key in self._changed:
            bar = self._bars[key]
            row = bar.row((key.symbol, key.series.interval, key.open_ms), self._end(key))
            rows.append((key.series.table, row, bar.committed_us))
        self._changed.clear()
        ended = [key for key in self._bars if self._end(key) + LATENESS_MS <= self._newest[key.symbol]]
        for key in ended:
            del self._bars[key]
            at = key.symbol, key.series
            self._left[at] = max(self._left.get(at, 0), self._end(key))
        if ended:
            self._forget_trades({key.symbol for key in ended})
        return rows

    def _forget_trades(self, symbols: set[str]) -> None:
        """Forget the trades from before all windows that are in memory or being read."""
        oldest: dict[str, int] = {}
        for key in (*self._bars, *self._unknown):
            oldest[key.symbol] = min(oldest.get(key.symbol, key.open_ms), key.open_ms)
        for symbol in symbols:
            if symbol in oldest:
                self._trades[symbol].forget(oldest[symbol])
            else:
                del self._trades[symbol]

    def _end(self, key: Key) -> int:
        return key.open_ms + self._lengths[key.series]


def summable(trade: Trade) -> bool:
    """Return whether a trade's numbers can be summed exactly."""
    return accepted(trade.price) and accepted(trade.quantity)


def content_of(trade: Trade, key: Key, length_ms: int) -> Bar | Volatility:
    """Return what a window with one trade amounts to."""
    if key.series.table == VOLATILITY.table:
        return Volatility(trade, key.open_ms, length_ms)
    return Bar(trade)

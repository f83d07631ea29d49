"""The windows of one partition's symbols, of all lengths, in event time. Pure: no clock, no I/O.

A window stays in memory until the symbol's newest trade is LATENESS_MS past its end. A trade of any other window, be it
late or from before this program read the partition, makes the window `unknown`: its other trades are in Cassandra and
must be read before its bar is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from cryptocdc_analyzer.bars import Bar, Trade
from cryptocdc_analyzer.volatility import Volatility
from cryptocdc_core.catalogue.computed import VOLATILITY
from cryptocdc_core.versions import FUTURE_TOLERANCE_MS

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

    def add(self, trade: Trade) -> bool: ...

    def row(self, key: Sequence[Any], end_ms: int) -> dict[str, Any]: ...


@dataclass
class Added:
    """The outcome of adding some trades."""

    repeated: int = 0
    late: int = 0
    """Windows that a trade made unknown after they had left memory."""


class Windows:
    def __init__(self, lengths: Mapping[Series, int], since_ms: int) -> None:
        """`lengths` are in milliseconds; `since_ms` is when reading of the partition began: an
        earlier record may have been of any window that starts before that, or as much later as clocks may differ."""
        self._lengths = lengths
        self._known_from = since_ms + FUTURE_TOLERANCE_MS
        self._bars: dict[Key, Content] = {}
        self._unknown: dict[Key, list[Trade]] = {}
        self._changed: set[Key] = set()
        self._newest: dict[str, int] = {}
        self._left: dict[tuple[str, Series], int] = {}
        """By symbol and series, where the windows begin that have not left memory."""

    def __len__(self) -> int:
        return len(self._bars)

    def add(self, trade: Trade, found: Added) -> None:
        """Add a trade to its windows. Raises ArithmeticError as Bar.add."""
        self._newest[trade.symbol] = max(self._newest.get(trade.symbol, 0), trade.at_ms)
        repeated = True
        for series, length in self._lengths.items():
            key = Key(trade.symbol, series, trade.at_ms - trade.at_ms % length)
            bar = self._bars.get(key)
            if bar is not None:
                if bar.add(trade):
                    self._changed.add(key)
                    repeated = False
                continue
            repeated = False
            left = self._left.get((trade.symbol, series), 0)
            if key.open_ms >= max(left, self._known_from):
                self._bars[key] = _content(trade, key, length)
                self._changed.add(key)
            else:
                if key not in self._unknown:
                    self._unknown[key] = []
                    found.late += key.open_ms < left
                self._unknown[key].append(trade)
        found.repeated += repeated

    def unknown(self) -> list[Span]:
        """Return the time ranges whose trades must be read before all bars are known, in order."""
        spans: list[Span] = []
        for key in sorted(self._unknown, key=lambda key: (key.symbol, key.open_ms)):
            end = key.open_ms + self._lengths[key.series]
            if spans and spans[-1].symbol == key.symbol and key.open_ms - spans[-1].end_ms <= NEAR_MS:
                spans[-1] = spans[-1]._replace(end_ms=max(spans[-1].end_ms, end))
            else:
                spans.append(Span(key.symbol, key.open_ms, end))
        return spans

    def resolve(self, stored: Iterable[Trade]) -> int:
        """Make the unknown windows known, given the stored trades of the ranges from `unknown`; return their number.
        Raises ArithmeticError as Bar.add."""
        unknown, self._unknown = self._unknown, {}
        for trade in stored:
            for series, length in self._lengths.items():
                key = Key(trade.symbol, series, trade.at_ms - trade.at_ms % length)
                if key in unknown:
                    self._put(key, trade)
        for key, waiting in unknown.items():
            for trade in waiting:
                self._put(key, trade)
        self._changed |= unknown.keys()
        return len(unknown)

    def _put(self, key: Key, trade: Trade) -> None:
        bar = self._bars.get(key)
        if bar is None:
            self._bars[key] = _content(trade, key, self._lengths[key.series])
        else:
            bar.add(trade)

    def take(self) -> list[tuple[str, dict[str, Any], int]]:
        """Return the rows that changed since the last call, each with its table and PostgreSQL's commit time of its
        newest trade in microseconds, and forget the windows that are past their lateness."""
        rows = []
        for key in self._changed:
            bar = self._bars[key]
            row = bar.row((key.symbol, key.series.interval, key.open_ms), key.open_ms + self._lengths[key.series])
            rows.append((key.series.table, row, bar.committed_us))
        self._changed.clear()
        for key in list(self._bars):
            end = key.open_ms + self._lengths[key.series]
            if end + LATENESS_MS <= self._newest[key.symbol]:
                del self._bars[key]
                at = key.symbol, key.series
                self._left[at] = max(self._left.get(at, 0), end)
        return rows


def _content(trade: Trade, key: Key, length_ms: int) -> Content:
    """Return what a window with one trade amounts to."""
    if key.series.table == VOLATILITY.table:
        return Volatility(trade, key.open_ms, length_ms)
    return Bar(trade)

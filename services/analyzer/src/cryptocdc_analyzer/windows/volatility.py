"""The volatility of one window, from the bars of its parts: like a bar it depends on the set of its trades alone. Pure.

Logarithms are computed with 50 digits and the results are rounded to 16, so that every computation of sufficient
precision gives the same digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from typing import Any

from cryptocdc_analyzer.exact import QUOTIENT, ZERO, text
from cryptocdc_analyzer.windows.bars import Bar, Trade
from cryptocdc_core.catalogue.computed import PARTS
from cryptocdc_core.rows.versions import version

LOG = Context(prec=50, rounding=ROUND_HALF_EVEN)
FOUR_LN_2 = LOG.multiply(4, LOG.ln(Decimal(2)))


class Volatility:
    """The volatility of one window, while trades may still be added."""

    def __init__(self, trade: Trade, open_ms: int, length_ms: int) -> None:
        self._open_ms = open_ms
        self._part_ms = length_ms // PARTS
        self._parts = {self._part(trade): Bar(trade)}

    def add(self, trade: Trade) -> None:
        """As Bar.add."""
        part = self._part(trade)
        if part in self._parts:
            self._parts[part].add(trade)
        else:
            self._parts[part] = Bar(trade)

    def merge(self, other: Volatility) -> None:
        """As Bar.merge."""
        for part, bar in other._parts.items():
            if part in self._parts:
                self._parts[part].merge(bar)
            else:
                self._parts[part] = bar

    @property
    def committed_us(self) -> int:
        return max(bar.committed_us for bar in self._parts.values())

    def row(self, key: Sequence[Any], end_ms: int) -> dict[str, Any]:
        """Return the row of realized_volatility; as Bar.row."""
        symbol, interval, open_ms = key
        bars = [bar for _, bar in sorted(self._parts.items())]
        count = sum(bar.count for bar in bars)
        positive = all(bar.prices[2] > 0 for bar in bars)
        before = bars[0].prices[0]
        moves, ranges = [], []
        for _, high, low, close in (bar.prices for bar in bars) if positive else ():
            moves.append(_squared_log(close, before))
            ranges.append(_squared_log(high, low))
            before = close
        return {
            "symbol": symbol,
            "interval": interval,
            "open_time": open_ms,
            "close_time": end_ms - 1,
            "realized": _root(_sum(moves)) if positive else None,
            "parkinson": _root(LOG.divide(_sum(ranges), FOUR_LN_2)) if positive else None,
            "part_count": len(bars),
            "trade_count": count,
            "event_time": bars[-1].last_ms,
            "received_at": max(bar.received_ms for bar in bars),
            "version": version(open_ms) + count,
        }

    def _part(self, trade: Trade) -> int:
        return (trade.at_ms - self._open_ms) // self._part_ms


@lru_cache(1 << 14)
def _squared_log(one: Decimal, other: Decimal) -> Decimal:
    """Return ln(one / other) squared. Cached, since of a window that goes on only the last part changes."""
    log = LOG.ln(LOG.divide(one, other))
    return LOG.multiply(log, log)


def _sum(numbers: Iterable[Decimal]) -> Decimal:
    total = ZERO
    for number in numbers:
        total = LOG.add(total, number)
    return total


def _root(number: Decimal) -> str:
    return text(QUOTIENT.plus(LOG.sqrt(number)).normalize(QUOTIENT))

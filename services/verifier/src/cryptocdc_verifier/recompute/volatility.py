"""Volatility computed from stored trades, plainly: the analyzer's results are compared with these. Pure.

It shares nothing with the analyzer: logarithms are subtracted where the analyzer takes that of a quotient, with more
digits, and trades come in any order.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal, localcontext
from itertools import pairwise

from cryptocdc_core.catalogue import by_table
from cryptocdc_verifier.comparing.canonical import NULL, ordered
from cryptocdc_verifier.recompute.bars import DIGITS, Ends, Number, Trade

VOLATILITY = by_table("realized_volatility")
PARTS = 12
PRECISION = 80


class VolatilityFold:
    def __init__(self, open_ms: int, length_ms: int) -> None:
        self._open_ms, self._length_ms = open_ms, length_ms
        self._starts = [open_ms + length_ms * part // PARTS for part in range(PARTS)]
        self._parts: dict[int, Ends] = {}
        self._count = self._received_ms = 0

    def add(self, trade: Trade) -> None:
        part = bisect_right(self._starts, trade.at_ms)
        if part in self._parts:
            self._parts[part].add(trade)
        else:
            self._parts[part] = Ends(trade)
        self._count += 1
        self._received_ms = max(self._received_ms, trade.received_ms)

    def line(self, symbol: str, interval: str) -> bytes:
        traded = [part for _, part in sorted(self._parts.items())]
        realized, parkinson = _estimates(traded) if all(part.low.units > 0 for part in traded) else (NULL, NULL)
        values = {
            "symbol": symbol,
            "interval": interval,
            "open_time": self._open_ms,
            "close_time": self._open_ms + self._length_ms - 1,
            "realized": realized,
            "parkinson": parkinson,
            "part_count": len(traded),
            "trade_count": self._count,
            "event_time": traded[-1].last.at_ms,
            "received_at": self._received_ms,
            "version": self._open_ms * 1000 + self._count,
        }
        return "\t".join(str(values[column.name]) for column in ordered(VOLATILITY)).encode()


def _estimates(parts: Sequence[Ends]) -> tuple[str, str]:
    """Return realized and Parkinson volatility, given the parts that have trades, in order."""
    closes = [parts[0].first.price, *(part.last.price for part in parts)]
    with localcontext() as context:
        context.prec = PRECISION
        squares = [(_log(after) - _log(before)) ** 2 for before, after in pairwise(closes)]
        ranges = [(_log(part.high) - _log(part.low)) ** 2 for part in parts]
        return _text(sum(squares, Decimal(0)).sqrt()), _text((sum(ranges, Decimal(0)) / (4 * Decimal(2).ln())).sqrt())


def _log(number: Number) -> Decimal:
    return Decimal(number.units).scaleb(-number.places).ln()


def _text(value: Decimal) -> str:
    """Return the value rounded half even to DIGITS significant digits, without zeros at its end."""
    with localcontext() as context:
        context.prec = DIGITS
        return format((+value).normalize(), "f")

"""Volatility computed from stored trades, plainly: the analyzer's results are compared with these. Pure.

It shares nothing with the analyzer: logarithms are subtracted where the analyzer takes that of a quotient, with more
digits, and the parts are cut from the whole window's trades.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal, localcontext
from itertools import pairwise

from cryptocdc_core.catalogue import by_table
from cryptocdc_verifier.canonical import NULL, ordered
from cryptocdc_verifier.recompute import DIGITS, Number, Trade

VOLATILITY = by_table("realized_volatility")
PARTS = 12
PRECISION = 80


def volatility(symbol: str, interval: str, length_ms: int, trades: Iterable[Trade]) -> dict[int, bytes]:
    """Return the line of each window's volatility by its open time in milliseconds, given all trades of these
    windows."""
    windows: defaultdict[int, list[Trade]] = defaultdict(list)
    for trade in trades:
        windows[trade.at_ms // length_ms * length_ms].append(trade)
    return {at: _line(symbol, interval, at, length_ms, sorted(found)) for at, found in windows.items()}


def _line(symbol: str, interval: str, open_ms: int, length_ms: int, trades: Sequence[Trade]) -> bytes:
    bounds = [open_ms + length_ms * part // PARTS for part in range(PARTS + 1)]
    parts = [[t for t in trades if start <= t.at_ms < end] for start, end in pairwise(bounds)]
    traded = [part for part in parts if part]
    realized, parkinson = _estimates(traded) if all(t.price.units > 0 for t in trades) else (NULL, NULL)
    values = {
        "symbol": symbol,
        "interval": interval,
        "open_time": open_ms,
        "close_time": open_ms + length_ms - 1,
        "realized": realized,
        "parkinson": parkinson,
        "part_count": len(traded),
        "trade_count": len(trades),
        "event_time": trades[-1].at_ms,
        "received_at": max(trade.received_ms for trade in trades),
        "version": open_ms * 1000 + len(trades),
    }
    return "\t".join(str(values[column.name]) for column in ordered(VOLATILITY)).encode()


def _estimates(parts: Sequence[Sequence[Trade]]) -> tuple[str, str]:
    """Return realized and Parkinson volatility, given the trades of each part that has some."""
    prices = [sorted((trade.price for trade in part), key=lambda price: price.value) for part in parts]
    closes = [parts[0][0].price, *(part[-1].price for part in parts)]
    with localcontext() as context:
        context.prec = PRECISION
        squares = [(_log(after) - _log(before)) ** 2 for before, after in pairwise(closes)]
        ranges = [(_log(part[-1]) - _log(part[0])) ** 2 for part in prices]
        return _text(sum(squares, Decimal(0)).sqrt()), _text((sum(ranges, Decimal(0)) / (4 * Decimal(2).ln())).sqrt())


def _log(number: Number) -> Decimal:
    return Decimal(number.units).scaleb(-number.places).ln()


def _text(value: Decimal) -> str:
    """Return the value rounded half even to DIGITS significant digits, without zeros at its end."""
    with localcontext() as context:
        context.prec = DIGITS
        return format((+value).normalize(), "f")

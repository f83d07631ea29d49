"""Computes bars from stored trades in a simple way, to compare the analyzer's results with. Pure.

It shares nothing with the analyzer: here all trades of a window are available, sums are of integers, and quotients are
fractions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from cryptocdc_core.catalogue import by_table
from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_verifier.canonical import NULL, ordered

BARS = by_table("bars")
DIGITS = 16
"""Significant digits of a quotient."""

_AT = {column.name: at for at, column in enumerate(ordered(RECENT_TRADES))}


class Number(NamedTuple):
    """A decimal: `units` / 10 ** `places`."""

    units: int
    places: int

    @property
    def value(self) -> Fraction:
        return Fraction(self.units, 10**self.places)

    def __str__(self) -> str:
        sign, digits = "-" * (self.units < 0), str(abs(self.units)).zfill(self.places + 1)
        return f"{sign}{digits[: len(digits) - self.places]}.{digits[len(digits) - self.places :]}".rstrip(".")


class Trade(NamedTuple):
    at_ms: int
    id: int
    price: Number
    quantity: Number
    bought: bool
    received_ms: int


def number(text: str) -> Number:
    """Return the number with all the digits of `text`, which has no exponent."""
    whole, _, rest = text.partition(".")
    return Number(int(whole + rest), len(rest))


def trade_of(line: bytes) -> Trade | None:
    """Return the trade of a line of recent_trades; None if a value is missing, as where a row was written by hand."""
    fields = line.decode().split("\t")
    at, id, price, quantity, maker, received = (
        fields[_AT[name]] for name in ("trade_time", "trade_id", "price", "quantity", "buyer_is_maker", "received_at")
    )
    if NULL in (price, quantity):
        return None
    received_ms = 0 if received == NULL else int(received)
    return Trade(int(at), int(id), number(price), number(quantity), maker == "f", received_ms)


def bars(symbol: str, interval: str, length_ms: int, trades: Iterable[Trade]) -> dict[int, bytes]:
    """Return the line of each window's bar by its open time in milliseconds, given all trades of these windows."""
    windows: defaultdict[int, list[Trade]] = defaultdict(list)
    for trade in trades:
        windows[trade.at_ms // length_ms * length_ms].append(trade)
    return {open_ms: _line(symbol, interval, open_ms, length_ms, sorted(made)) for open_ms, made in windows.items()}


def _line(symbol: str, interval: str, open_ms: int, length_ms: int, trades: Sequence[Trade]) -> bytes:
    volume = total([trade.quantity for trade in trades])
    bought = total([trade.quantity if trade.bought else Number(0, 0) for trade in trades])
    sold = total([Number(0, 0) if trade.bought else trade.quantity for trade in trades])
    quote = total([product(trade.price, trade.quantity) for trade in trades])
    values = {
        "symbol": symbol,
        "interval": interval,
        "open_time": open_ms,
        "close_time": open_ms + length_ms - 1,
        "open": trades[0].price,
        "high": max((trade.price for trade in trades), key=lambda price: (price.value, price.places)),
        "low": min((trade.price for trade in trades), key=lambda price: (price.value, -price.places)),
        "close": trades[-1].price,
        "volume": volume,
        "quote_volume": quote,
        "vwap": rounded(quote.value / volume.value) if volume.units else NULL,
        "trade_count": len(trades),
        "buy_volume": bought,
        "sell_volume": sold,
        "imbalance": rounded((bought.value - sold.value) / volume.value) if volume.units else NULL,
        "event_time": trades[-1].at_ms,
        "received_at": max(trade.received_ms for trade in trades),
        "version": open_ms * 1000 + len(trades),
    }
    return "\t".join(str(values[column.name]) for column in ordered(BARS)).encode()


def total(numbers: Sequence[Number]) -> Number:
    """Return the sum, with as many decimal places as the number with the most."""
    places = max(one.places for one in numbers)
    return Number(sum(one.units * 10 ** (places - one.places) for one in numbers), places)


def product(one: Number, other: Number) -> Number:
    return Number(one.units * other.units, one.places + other.places)


def rounded(value: Fraction) -> str:
    """Return the value rounded half even to DIGITS significant digits, without zeros at its end."""
    if not value:
        return "0"
    places = DIGITS
    while abs(value) * Fraction(10) ** places >= 10**DIGITS:
        places -= 1
    while abs(value) * Fraction(10) ** places < 10 ** (DIGITS - 1):
        places += 1
    units = round(value * Fraction(10) ** places)
    while units % 10 == 0:
        units, places = units // 10, places - 1
    return format(Decimal(units).scaleb(-places), "f") if places <= 0 else str(Number(units, places))

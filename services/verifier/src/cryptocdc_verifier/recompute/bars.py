"""Computes bars from stored trades in a simple way, to compare the analyzer's results with. Pure.

It shares nothing with the analyzer: here trades come in any order, sums are of integers, and quotients are fractions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple, Protocol

from cryptocdc_core.catalogue import by_table
from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_verifier.comparing.canonical import NULL, ordered

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


class Fold(Protocol):
    """Folds the trades of one window, in any order, into its row: a window of a day has too many to keep."""

    def add(self, trade: Trade) -> None: ...

    def line(self, symbol: str, interval: str) -> bytes:
        """Return the line of the row. At least one trade was added."""
        ...


Compute = Callable[[int, int], Fold]
"""Returns the fold of a window without trades, given its open time and its length in milliseconds."""


class Sum:
    """An exact sum of decimals."""

    def __init__(self) -> None:
        self._units = {0: 0}
        """By number of decimal places."""

    def add(self, one: Number) -> None:
        self._units[one.places] = self._units.get(one.places, 0) + one.units

    def total(self) -> Number:
        return total([Number(units, places) for places, units in self._units.items()])


class Ends:
    """The first and the last trade, and the highest and the lowest price, of trades in any order."""

    def __init__(self, trade: Trade) -> None:
        self.first = self.last = trade
        self.high = self.low = trade.price

    def add(self, trade: Trade) -> None:
        self.first, self.last = min(self.first, trade), max(self.last, trade)
        self.high = _beyond(trade.price, self.high, 1)
        self.low = _beyond(trade.price, self.low, -1)


def _beyond(price: Number, before: Number, sign: int) -> Number:
    """Return the higher price, or with a `sign` of -1 the lower; of equal ones that with more decimal places."""
    one, other = price.units * 10**before.places, before.units * 10**price.places
    return max((one * sign, price.places, price), (other * sign, before.places, before))[2]


class BarFold:
    def __init__(self, open_ms: int, length_ms: int) -> None:
        self._open_ms, self._close_ms = open_ms, open_ms + length_ms - 1
        self._ends: Ends | None = None
        self._bought, self._sold, self._quote = Sum(), Sum(), Sum()
        self._count = self._received_ms = 0

    def add(self, trade: Trade) -> None:
        if self._ends is None:
            self._ends = Ends(trade)
        else:
            self._ends.add(trade)
        (self._bought if trade.bought else self._sold).add(trade.quantity)
        self._quote.add(product(trade.price, trade.quantity))
        self._count += 1
        self._received_ms = max(self._received_ms, trade.received_ms)

    def line(self, symbol: str, interval: str) -> bytes:
        assert self._ends is not None
        bought, sold, quote = self._bought.total(), self._sold.total(), self._quote.total()
        volume = total([bought, sold])
        values = {
            "symbol": symbol,
            "interval": interval,
            "open_time": self._open_ms,
            "close_time": self._close_ms,
            "open": self._ends.first.price,
            "high": self._ends.high,
            "low": self._ends.low,
            "close": self._ends.last.price,
            "volume": volume,
            "quote_volume": quote,
            "vwap": rounded(quote.value / volume.value) if volume.units else NULL,
            "trade_count": self._count,
            "buy_volume": bought,
            "sell_volume": sold,
            "imbalance": rounded((bought.value - sold.value) / volume.value) if volume.units else NULL,
            "event_time": self._ends.last.at_ms,
            "received_at": self._received_ms,
            "version": self._open_ms * 1000 + self._count,
        }
        return "\t".join(str(values[column.name]) for column in ordered(BARS)).encode()


def computed(compute: Compute, symbol: str, interval: str, length_ms: int, trades: Iterable[Trade]) -> dict[int, bytes]:
    """Return the line of each window by its open time in milliseconds, given all trades of these windows."""
    folds: dict[int, Fold] = {}
    for trade in trades:
        add(folds, compute, length_ms, trade)
    return {open_ms: fold.line(symbol, interval) for open_ms, fold in folds.items()}


def add(folds: dict[int, Fold], compute: Compute, length_ms: int, trade: Trade) -> None:
    """Add a trade to the fold of its window; `folds` are by open time in milliseconds."""
    open_ms = trade.at_ms - trade.at_ms % length_ms
    fold = folds.get(open_ms)
    if fold is None:
        fold = folds[open_ms] = compute(open_ms, length_ms)
    fold.add(trade)


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

"""One bar: the exact aggregate of a window's trades, in any order. Pure.

A bar depends on nothing but the set of its trades: any order gives the same bar. It holds sums, not trades; that a
repeated trade is not added twice is up to the caller. Its version grows with each trade, so that of two bars of one
window the one with more trades wins, whoever wrote it and when.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from cryptocdc_analyzer.exact import EXACT, ZERO, quotient, text
from cryptocdc_core.rows.versions import version


class Trade(NamedTuple):
    """A row of recent_trades. Times are in milliseconds, `committed_us` is PostgreSQL's commit in microseconds, 0 for a
    trade that was read from Cassandra."""

    symbol: str
    at_ms: int
    id: int
    price: Decimal
    quantity: Decimal
    bought: bool
    """Whether the taker bought."""
    received_ms: int
    committed_us: int


class Bar:
    """The bar of one window, while trades may still be added."""

    __slots__ = (
        "_close", "_first", "_high", "_last", "_low", "_open", "bought", "committed_us", "count", "quote",
        "received_ms", "sold",
    )  # fmt: skip

    def __init__(self, trade: Trade) -> None:
        self._first = self._last = trade.at_ms, trade.id
        self.count = 1
        self._open = self._close = self._high = self._low = trade.price
        self.bought = trade.quantity if trade.bought else ZERO
        self.sold = ZERO if trade.bought else trade.quantity
        self.quote = EXACT.multiply(trade.price, trade.quantity)
        self.received_ms = trade.received_ms
        self.committed_us = trade.committed_us

    def add(self, trade: Trade) -> None:
        """Add a trade that the bar does not have. Raises ArithmeticError for a number with so many digits that the sums
        would not be exact, which none that is `accepted` has; the bar is unchanged then."""
        at = trade.at_ms, trade.id  # an exchange may restart its ids
        quote = EXACT.add(self.quote, EXACT.multiply(trade.price, trade.quantity))
        if trade.bought:
            self.bought = EXACT.add(self.bought, trade.quantity)
        else:
            self.sold = EXACT.add(self.sold, trade.quantity)
        self.quote = quote
        self.count += 1
        if at < self._first:
            self._first, self._open = at, trade.price
        if at > self._last:
            self._last, self._close = at, trade.price
        if trade.price >= self._high:
            self._high = max(self._high, trade.price, key=_high_rank)
        if trade.price <= self._low:
            self._low = min(self._low, trade.price, key=_low_rank)
        self.received_ms = max(self.received_ms, trade.received_ms)
        self.committed_us = max(self.committed_us, trade.committed_us)

    def merge(self, other: Bar) -> None:
        """Add the trades of another bar of the same window, none of which this bar has. Raises as `add`."""
        quote = EXACT.add(self.quote, other.quote)
        bought, sold = EXACT.add(self.bought, other.bought), EXACT.add(self.sold, other.sold)
        self.quote, self.bought, self.sold = quote, bought, sold
        self.count += other.count
        if other._first < self._first:
            self._first, self._open = other._first, other._open
        if other._last > self._last:
            self._last, self._close = other._last, other._close
        self._high = max(self._high, other._high, key=_high_rank)
        self._low = min(self._low, other._low, key=_low_rank)
        self.received_ms = max(self.received_ms, other.received_ms)
        self.committed_us = max(self.committed_us, other.committed_us)

    @property
    def prices(self) -> tuple[Decimal, Decimal, Decimal, Decimal]:
        """Open, high, low and close."""
        return self._open, self._high, self._low, self._close

    @property
    def last_ms(self) -> int:
        return self._last[0]

    def row(self, key: Sequence[Any], end_ms: int) -> dict[str, Any]:
        """Return the row of `bars`: times in milliseconds, decimals as text. `key` is (symbol, interval, open_time),
        `end_ms` the first millisecond after the window."""
        symbol, interval, open_ms = key
        volume = EXACT.add(self.bought, self.sold)
        return {
            "symbol": symbol,
            "interval": interval,
            "open_time": open_ms,
            "close_time": end_ms - 1,
            "open": text(self._open),
            "high": text(self._high),
            "low": text(self._low),
            "close": text(self._close),
            "volume": text(volume),
            "quote_volume": text(self.quote),
            "vwap": quotient(self.quote, volume) if volume else None,
            "trade_count": self.count,
            "buy_volume": text(self.bought),
            "sell_volume": text(self.sold),
            "imbalance": quotient(EXACT.subtract(self.bought, self.sold), volume) if volume else None,
            "event_time": self._last[0],
            "received_at": self.received_ms,
            "version": version(open_ms) + self.count,
        }


# Of equal prices with different digits, such as 1.5 and 1.50, the one with more digits is shown, whatever the order.


def _high_rank(price: Decimal) -> tuple[Decimal, int]:
    return price, -int(price.as_tuple().exponent)


def _low_rank(price: Decimal) -> tuple[Decimal, int]:
    return price, int(price.as_tuple().exponent)

"""Sums of trades."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Bar(NamedTuple):
    """The sums of some trades. Prices in ticks, volumes in steps, quote volumes in ticks times steps.

    first..last are raw trade ids. A bar without trades has 0 trades, ids -1, and the previous price for all prices.
    """

    open: int
    high: int
    low: int
    close: int
    volume: int
    quote: int
    volume_taken: int
    quote_taken: int
    first: int
    last: int

    @property
    def trades(self) -> int:
        return self.last - self.first + 1 if self.volume else 0


def merged(bars: Iterable[Bar | None]) -> Bar | None:
    """Combine consecutive bars into one; None is a span without trades."""
    parts = [bar for bar in bars if bar is not None]
    if not parts:
        return None
    opens, highs, lows, closes, volumes, quotes, volumes_taken, quotes_taken, firsts, lasts = zip(*parts, strict=True)
    return Bar(
        opens[0],
        max(highs),
        min(lows),
        closes[-1],
        sum(volumes),
        sum(quotes),
        sum(volumes_taken),
        sum(quotes_taken),
        firsts[0],
        lasts[-1],
    )

"""Exact numbers: everything in the market is an integer of its smallest unit, and formatted only when sent."""

from __future__ import annotations

PRECISION = 8  # Binance writes every price and quantity of the spot market with eight decimals
_ONE = 10**PRECISION


def text(units: int, decimals: int) -> str:
    """`units` of 10^-decimals as the exchange writes it: text(6543210, 2) == "65432.10000000"."""
    scaled = units * 10 ** (PRECISION - decimals)
    sign = "-" if scaled < 0 else ""
    whole, rest = divmod(abs(scaled), _ONE)
    return f"{sign}{whole}.{rest:08d}"


def plain(units: int, decimals: int) -> str:
    """`units` of 10^-decimals with as many decimals: plain(6543210, 2) == "65432.10"."""
    sign = "-" if units < 0 else ""
    whole, rest = divmod(abs(units), 10**decimals)
    return f"{sign}{whole}.{rest:0{decimals}d}" if decimals else f"{sign}{whole}"


def trimmed(units: int, decimals: int) -> str:
    """As `plain`, without trailing zeros; `decimals` may be negative: trimmed(6543210, 2) == "65432.1"."""
    if decimals < 0:
        units, decimals = units * 10**-decimals, 0
    written = plain(units, decimals)
    return written.rstrip("0").rstrip(".") if decimals else written

"""Technical indicators of candles. Series are oldest first, with None where there are too few earlier candles."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal, localcontext
from itertools import pairwise

Series = list[Decimal | None]

WORKING = Context(prec=34)
SHOWN = Context(prec=12)
"""Significant digits of a computed figure: somewhat more than a price has."""

HUNDRED = Decimal(100)


def shown(value: Decimal | None) -> Decimal | None:
    """Round to the context's significant digits."""
    return None if value is None else SHOWN.plus(value)


def sma(values: Sequence[Decimal], length: int) -> Series:
    """The simple moving average of the last `length` values."""
    found: Series = []
    total = Decimal(0)
    with localcontext(WORKING):
        for at, value in enumerate(values):
            total += value
            if at >= length:
                total -= values[at - length]
            found.append(total / length if at >= length - 1 else None)
    return found


def ema(values: Sequence[Decimal], length: int) -> Series:
    """The exponential moving average with weight 2 / (length + 1), begun with the first simple one."""
    found: Series = []
    last: Decimal | None = None
    with localcontext(WORKING):
        weight = Decimal(2) / (length + 1)
        for at, value in enumerate(values):
            if last is not None:
                last += (value - last) * weight
            elif at == length - 1:
                last = sum(values[:length], Decimal(0)) / length
            found.append(last)
    return found


def rsi(closes: Sequence[Decimal], length: int = 14) -> Series:
    """The relative strength index, 0 to 100, smoothed as Wilder did; 50 where nothing moved."""
    found: Series = [None] * min(len(closes), length)
    gain = loss = Decimal(0)
    with localcontext(WORKING):
        for at in range(1, len(closes)):
            change = closes[at] - closes[at - 1]
            up, down = max(change, Decimal(0)), max(-change, Decimal(0))
            if at <= length:
                gain, loss = gain + up / length, loss + down / length
            else:
                gain, loss = (gain * (length - 1) + up) / length, (loss * (length - 1) + down) / length
            if at >= length:
                moved = gain + loss
                found.append(HUNDRED * gain / moved if moved else Decimal(50))
    return found


def vwap(quote_volumes: Sequence[Decimal | None], volumes: Sequence[Decimal], length: int) -> Series:
    """The price by volume of the last `length` candles: what was paid by what was traded, exact and not estimated from
    typical prices. None where nothing was traded, or the exchange reports no quote volume for one of the candles."""
    found: Series = []
    paid = traded = Decimal(0)
    unknown = 0
    with localcontext(WORKING):
        for at, (quote, base) in enumerate(zip(quote_volumes, volumes, strict=True)):
            paid, traded, unknown = paid + (quote or 0), traded + base, unknown + (quote is None)
            if at >= length:
                gone = quote_volumes[at - length]
                paid, traded, unknown = paid - (gone or 0), traded - volumes[at - length], unknown - (gone is None)
            found.append(paid / traded if at >= length - 1 and traded and not unknown else None)
    return found


def volatility(closes: Sequence[Decimal], length: int) -> Series:
    """The standard deviation of the last `length` logarithmic returns, in percent of the price."""
    with localcontext(WORKING):
        returns: list[Decimal] = [Decimal(0)]
        for before, close in pairwise(closes):
            returns.append((close / before).ln(SHOWN) if before > 0 and close > 0 else Decimal(0))
        found: Series = []
        total = squares = Decimal(0)
        for at, value in enumerate(returns[: len(closes)]):
            total, squares = total + value, squares + value * value
            if at > length:
                gone = returns[at - length]
                total, squares = total - gone, squares - gone * gone
            if at < length:
                found.append(None)
                continue
            variance = max(Decimal(0), (squares - total * total / length) / (length - 1))
            found.append(variance.sqrt() * HUNDRED)
    return found

"""An order book's quantities summed by price, for the heatmap."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal, localcontext
from typing import NamedTuple

SLOT_MS = 10_000
"""Order books whose bucket_time is a multiple of this are binned."""
BINS = 24
_STEPS = (Decimal(1), Decimal(2), Decimal(5))


class Bin(NamedTuple):
    bin: int
    price_low: Decimal
    price_high: Decimal
    bid_quantity: Decimal
    ask_quantity: Decimal


def bin_width(span: Decimal) -> Decimal:
    """Return the smallest of 1, 2, 5 × 10ⁿ of which BINS − 2 cover `span`, so that bins of consecutive books line
    up."""
    least = span / (BINS - 2)
    exponent = least.adjusted() if least else 0
    for power in (exponent, exponent + 1):
        for step in _STEPS:
            if step.scaleb(power) >= least:
                return step.scaleb(power)
    raise AssertionError("10 times the power of ten is never less")


def bins(
    bid_prices: Sequence[str], bid_quantities: Sequence[str], ask_prices: Sequence[str], ask_quantities: Sequence[str]
) -> list[Bin]:
    """Return the BINS bins of a book, lowest price first; none for an empty book. A price on an edge belongs to the
    upper bin."""
    bids = [(Decimal(p), Decimal(q)) for p, q in zip(bid_prices, bid_quantities, strict=True)]
    asks = [(Decimal(p), Decimal(q)) for p, q in zip(ask_prices, ask_quantities, strict=True)]
    prices = [price for price, _ in (*bids, *asks)]
    if not prices:
        return []
    with localcontext() as context:
        context.prec = 60
        width = bin_width(max(prices) - min(prices))
        low = (min(prices) / width).to_integral_value(ROUND_FLOOR) * width
        sums = [[Decimal(0), Decimal(0)] for _ in range(BINS)]
        for side, levels in enumerate((bids, asks)):
            for price, quantity in levels:
                sums[int((price - low) / width)][side] += quantity
        return [Bin(i, low + i * width, low + (i + 1) * width, bid, ask) for i, (bid, ask) in enumerate(sums)]

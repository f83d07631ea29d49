"""A transform that drops trades worth less than 10 in the quote asset (docs/guides/write-a-transform.md)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from cryptocdc_core.catalogue import Stream

LEAST_VALUE = Decimal(10)
"""In the quote asset: 10 USDT for BTCUSDT."""


def without_dust(stream: Stream, change: Any) -> Any:
    """Return the change to write, or None to leave it out. Decimals are strings, times milliseconds since the epoch."""
    if stream.table != "recent_trades" or change.op == "d":  # of a delete only the key's columns are meaningful
        return change
    value = Decimal(change.price) * Decimal(change.quantity)
    return change if value >= LEAST_VALUE else None

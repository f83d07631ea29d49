"""The figures of one order book. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from cryptocdc_analyzer.exact import EXACT, ZERO, quotient, text
from cryptocdc_core.catalogue.computed import DEPTHS

HALF = Decimal("0.5")


class StoredBook(NamedTuple):
    """A stored row of order_book, as far as its figures need it: times in milliseconds, sides best first."""

    symbol: str
    bucket_time: int
    bid_prices: Sequence[Decimal]
    bid_quantities: Sequence[Decimal]
    ask_prices: Sequence[Decimal]
    ask_quantities: Sequence[Decimal]
    event_time: int
    received_at: int
    version: int


def metrics(book: Any) -> dict[str, Any]:
    """Return the row of book_metrics for a row of order_book: times in milliseconds, decimals as text.

    Raises ArithmeticError for what is not a number, or has so many digits that a sum would not be exact, and for a best
    price without quantity.
    """
    bids, bid_quantities = _numbers(book.bid_prices), _numbers(book.bid_quantities)
    asks, ask_quantities = _numbers(book.ask_prices), _numbers(book.ask_quantities)
    row: dict[str, Any] = {
        "symbol": book.symbol, "bucket_time": book.bucket_time,
        "bid_price": text(bids[0]) if bids else None, "ask_price": text(asks[0]) if asks else None,
        "spread": None, "mid": None, "microprice": None,
    }  # fmt: skip
    if bids and asks:
        if not (bid_quantities and ask_quantities):
            raise ArithmeticError(f"{book.symbol} {book.bucket_time}: the best price has no quantity")
        bid, ask, wanted, offered = bids[0], asks[0], bid_quantities[0], ask_quantities[0]
        row["spread"] = text(EXACT.subtract(ask, bid))
        row["mid"] = text(EXACT.multiply(EXACT.add(bid, ask), HALF))
        both = EXACT.add(wanted, offered)
        weighted = EXACT.add(EXACT.multiply(bid, offered), EXACT.multiply(ask, wanted))
        row["microprice"] = quotient(weighted, both) if both else None
    for depth in DEPTHS:
        row[f"imbalance_{depth}"] = _imbalance(bid_quantities[:depth], ask_quantities[:depth])
    return {**row, "event_time": book.event_time, "received_at": book.received_at, "version": book.version}


def _imbalance(bids: Sequence[Decimal], asks: Sequence[Decimal]) -> str | None:
    if not bids or not asks:
        return None
    wanted, offered = _sum(bids), _sum(asks)
    both = EXACT.add(wanted, offered)
    return quotient(EXACT.subtract(wanted, offered), both) if both else None


def _sum(quantities: Sequence[Decimal]) -> Decimal:
    total = ZERO
    for quantity in quantities:
        total = EXACT.add(total, quantity)
    return total


def _numbers(given: Sequence[str | Decimal]) -> list[Decimal]:
    return [Decimal(number) for number in given]

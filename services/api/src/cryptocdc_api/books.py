"""What is read off an order book: the best prices, what lies between them, which side is heavier. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from cryptocdc_api.indicators import WORKING, shown
from cryptocdc_api.paging import Row
from cryptocdc_api.shapes import Json, digits, shaper
from cryptocdc_core.catalogue.streams import ORDER_BOOK

FIGURES = {
    "best_bid": "Highest price bid.",
    "best_ask": "Lowest price asked.",
    "spread": "best_ask less best_bid.",
    "mid": "Half-way between them.",
    "imbalance": "Bid less asked quantity by their sum, over all levels: -1 to 1.",
}
_SHAPE = shaper(ORDER_BOOK.columns)
_SIDES = [ORDER_BOOK.position(f"{side}_{what}") for side in ("bid", "ask") for what in ("prices", "quantities")]


def _sides(row: Row) -> list[Sequence[Decimal]]:
    return [row[at] or [] for at in _SIDES]


def shape(row: Row) -> Json:
    """A row with its arrays, and beside them the figures, null where a side is empty."""
    bids, bid_quantities, asks, ask_quantities = _sides(row)
    figures: dict[str, Decimal | None] = dict.fromkeys(FIGURES)
    if bids:
        figures["best_bid"] = bids[0]
    if asks:
        figures["best_ask"] = asks[0]
    if bids and asks:
        figures["spread"] = WORKING.subtract(asks[0], bids[0])
        figures["mid"] = WORKING.divide(WORKING.add(asks[0], bids[0]), Decimal(2))
        bid, ask = sum(bid_quantities, Decimal(0)), sum(ask_quantities, Decimal(0))
        figures["imbalance"] = shown(WORKING.divide(bid - ask, bid + ask)) if bid + ask else None
    return {**_SHAPE(row), **{name: None if v is None else digits(v) for name, v in figures.items()}}


def levels(row: Row) -> list[Json]:
    """A row for each level: both sides from the best price outwards; `total` is the quantity up to it."""
    bids, bid_quantities, asks, ask_quantities = _sides(row)
    head = {name: value for name, value in _SHAPE(row).items() if name in ("symbol", "bucket_time", "bucket_time_ms")}
    found: list[Json] = []
    for side, prices, quantities in (("bid", bids, bid_quantities), ("ask", asks, ask_quantities)):
        total: Any = Decimal(0)
        for level, (price, quantity) in enumerate(zip(prices, quantities, strict=True)):
            total += quantity
            found.append(
                {
                    **head, "side": side, "level": level, "price": digits(price), "quantity": digits(quantity),
                    "total": digits(total),
                }
            )  # fmt: skip
    return found

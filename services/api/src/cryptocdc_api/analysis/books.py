"""Figures of an order book: best prices, spread, mid, imbalance. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from cryptocdc_api.analysis.indicators import HUNDRED, WORKING, shown
from cryptocdc_api.reading.paging import Row
from cryptocdc_api.reading.tables import HEATMAP_TABLE
from cryptocdc_api.shapes import Json, digits, shaper
from cryptocdc_core.catalogue import Type
from cryptocdc_core.catalogue.streams import ORDER_BOOK

FIGURES = {
    "best_bid": "Best bid price.",
    "best_ask": "Best ask price.",
    "spread": "best_ask less best_bid.",
    "mid": "Mean of both.",
    "bid_total": "Bid quantity of all levels, in the base asset.",
    "ask_total": "Ask quantity of all levels, in the base asset.",
    "imbalance": "bid_total less ask_total by their sum: -1 to 1.",
}
SHARES = {
    "bid_percent": "bid_total in percent of the quantity bid and asked.",
    "ask_percent": "ask_total in percent of the same.",
}
BIN_FIGURES = {"quantity": "bid_quantity and ask_quantity together."}
_BIN_SHAPE = shaper(HEATMAP_TABLE.columns)
_BIN_SIDES = [HEATMAP_TABLE.column_names.index(f"{side}_quantity") for side in ("bid", "ask")]
_SHAPE = shaper(ORDER_BOOK.columns)
HEAD = [column for column in ORDER_BOOK.columns if column.type is not Type.DECIMALS]
_HEAD_SHAPE, _HEAD_PLACES = shaper(HEAD), [ORDER_BOOK.position(column.name) for column in HEAD]
_SIDES = [ORDER_BOOK.position(f"{side}_{what}") for side in ("bid", "ask") for what in ("prices", "quantities")]


def _sides(row: Row) -> list[Sequence[Decimal]]:
    return [row[at] or [] for at in _SIDES]


def shape(row: Row) -> Json:
    """Return a row with its arrays and the figures."""
    return {**_SHAPE(row), **_figures(row)}


def summary(row: Row) -> Json:
    """Return a row without its arrays, with the figures and each side's share."""
    return {**_HEAD_SHAPE([row[at] for at in _HEAD_PLACES]), **_figures(row), **_shares(row)}


def _shares(row: Row) -> Json:
    """Return the shares; null for a book without any quantity."""
    _, bid_quantities, _, ask_quantities = _sides(row)
    totals = sum(bid_quantities, Decimal(0)), sum(ask_quantities, Decimal(0))
    both = WORKING.add(*totals)
    if not both:
        return dict.fromkeys(SHARES)
    shares = (shown(WORKING.divide(WORKING.multiply(total, HUNDRED), both)) for total in totals)
    return {name: None if share is None else digits(share) for name, share in zip(SHARES, shares, strict=True)}


def _figures(row: Row) -> Json:
    """Return the figures; null where a side that one is computed from is empty."""
    bids, bid_quantities, asks, ask_quantities = _sides(row)
    bid, ask = sum(bid_quantities, Decimal(0)), sum(ask_quantities, Decimal(0))
    found: dict[str, Decimal | None] = dict.fromkeys(FIGURES)
    found |= {"bid_total": bid, "ask_total": ask}
    if bids:
        found["best_bid"] = bids[0]
    if asks:
        found["best_ask"] = asks[0]
    if bids and asks:
        found["spread"] = WORKING.subtract(asks[0], bids[0])
        found["mid"] = WORKING.divide(WORKING.add(asks[0], bids[0]), Decimal(2))
        found["imbalance"] = shown(WORKING.divide(bid - ask, bid + ask)) if bid + ask else None
    return {name: None if value is None else digits(value) for name, value in found.items()}


def bin_shape(row: Row) -> Json:
    """Return a row of the heatmap with the sum of both sides' quantities."""
    shaped = _BIN_SHAPE(row)
    bid, ask = (row[at] for at in _BIN_SIDES)
    return {**shaped, "quantity": digits(WORKING.add(bid, ask))}


def levels(row: Row) -> list[Json]:
    """Return a row per level, both sides from the best price outwards; `total` is the quantity up to that level."""
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

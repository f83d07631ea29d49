"""Figures of a best bid and ask: spread and mid. Pure."""

from __future__ import annotations

from decimal import Decimal

from cryptocdc_api.analysis.indicators import WORKING
from cryptocdc_api.reading.paging import Row
from cryptocdc_api.shapes import Json, digits, shaper
from cryptocdc_core.catalogue.streams import BEST_QUOTES

FIGURES = {"spread": "ask_price less bid_price.", "mid": "Mean of both."}
_SHAPE = shaper(BEST_QUOTES.columns)
_BID, _ASK = (BEST_QUOTES.position(f"{side}_price") for side in ("bid", "ask"))


def shape(row: Row) -> Json:
    """Return a row with the figures, which are null if a side is empty."""
    bid, ask = row[_BID], row[_ASK]
    found: dict[str, Decimal | None] = dict.fromkeys(FIGURES)
    if bid is not None and ask is not None:
        found["spread"] = WORKING.subtract(ask, bid)
        found["mid"] = WORKING.divide(WORKING.add(ask, bid), Decimal(2))
    return {**_SHAPE(row), **{name: None if value is None else digits(value) for name, value in found.items()}}

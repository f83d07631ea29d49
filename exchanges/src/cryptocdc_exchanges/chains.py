"""How updates of an order book follow each other: the rules that venues share."""

from __future__ import annotations

from cryptocdc_exchanges.port import BookUpdate, Place


def consecutive(last_id: int, update: BookUpdate) -> Place:
    """Every update says which ids it covers. One that follows and yet ends lower announces that ids begin again; one
    that ends where the last one ended says that nothing has changed."""
    if update.first_id > last_id + 1:
        return Place.AHEAD
    return Place.NEXT if update.last_id > last_id or update.first_id == last_id + 1 else Place.KNOWN


def in_order(last_id: int, update: BookUpdate) -> Place:
    """Updates have no ids but times, given as ids: what is missing is not seen, and only what is older is left out."""
    return Place.KNOWN if update.last_id < last_id else Place.NEXT

"""How updates of an order book follow each other: the rules that venues share."""

from __future__ import annotations

from cryptocdc_exchanges.port import BookUpdate, Place


def consecutive(last_id: int, update: BookUpdate) -> Place:
    """Every update says which ids it covers. One that follows and yet ends lower announces that ids begin again."""
    if update.first_id > last_id + 1:
        return Place.AHEAD
    announces_restart = update.first_id == last_id + 1 and update.last_id < last_id
    return Place.NEXT if update.last_id > last_id or announces_restart else Place.KNOWN


def in_order(last_id: int, update: BookUpdate) -> Place:
    """Updates have no ids but times, given as ids: what is missing is not seen, and only what is older is left out."""
    return Place.KNOWN if update.last_id < last_id else Place.NEXT

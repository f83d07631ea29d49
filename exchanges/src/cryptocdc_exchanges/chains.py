"""The rules shared by venues for how updates of an order book follow each other."""

from __future__ import annotations

from cryptocdc_exchanges.port import BookUpdate, Place


def consecutive(last_id: int, update: BookUpdate) -> Place:
    """Every update states the ids it covers. One that follows but ends lower announces that ids restart; one that ends
    where the last one ended contains no change."""
    if update.first_id > last_id + 1:
        return Place.AHEAD
    return Place.NEXT if update.last_id > last_id or update.first_id == last_id + 1 else Place.KNOWN


def in_order(last_id: int, update: BookUpdate) -> Place:
    """Updates have times instead of ids, used as ids: missing ones are not detected, only older ones are dropped."""
    return Place.KNOWN if update.last_id < last_id else Place.NEXT

"""Updates of an order book, and the settings with which tests keep it."""

from __future__ import annotations

from cryptocdc_exchanges.port import BookUpdate

Levels = list[tuple[str, str]]
INTERVAL = 1000
DEPTH = 5
START = 1_780_315_200_000


def depth(first: int, last: int, bids: Levels, asks: Levels, at: int = 0) -> BookUpdate:
    return BookUpdate(event_time=at, symbol="X", first_id=first, last_id=last, bids=bids, asks=asks)

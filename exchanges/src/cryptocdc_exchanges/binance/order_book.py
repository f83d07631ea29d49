"""The procedure for a local order book: a snapshot over REST, then the updates that follow it.

Source: "How to manage a local order book correctly" in the documentation of the WebSocket streams. The first update
applied holds the id after the snapshot's, `U <= lastUpdateId + 1 <= u`; each further one begins with the id after the
last one's end.
"""

from __future__ import annotations

from cryptocdc_exchanges.chains import consecutive
from cryptocdc_exchanges.port import OrderBook

PROCEDURE = OrderBook(
    snapshot_by="rest",
    levels=(100, 500, 1000),  # at weights of 5, 25 and 50
    place=consecutive,
)

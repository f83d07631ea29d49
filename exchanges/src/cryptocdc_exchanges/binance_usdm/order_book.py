"""The procedure for a local order book: a snapshot over REST, then the updates that follow it.

Source: "How to manage a local order book correctly" in the documentation of USDS-M futures. An update names the last id
of the one before (`pu`), since ids are shared by all markets. The first update applied is the one that the snapshot
falls into, `U <= lastUpdateId <= u`, or the one after it, whose `pu` is then `lastUpdateId` or less.
"""

from __future__ import annotations

from cryptocdc_exchanges.chains import consecutive
from cryptocdc_exchanges.port import OrderBook

PROCEDURE = OrderBook(
    snapshot_by="rest",
    levels=(50, 100, 500, 1000),  # at weights of 2, 5, 10 and 20
    place=consecutive,
)

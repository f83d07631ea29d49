"""How a local order book is kept: a snapshot that comes with the subscription, then the updates that follow it.

Source: the channel level2 in https://docs.cdp.coinbase.com/exchange/websocket-feed/channels. Updates have no ids, only
times: that one is missing can't be seen. The venue promises that a connection brings all of them.
"""

from __future__ import annotations

from cryptocdc_exchanges.chains import in_order
from cryptocdc_exchanges.port import OrderBook

PROCEDURE = OrderBook(
    snapshot_by="channel",
    levels=None,  # a snapshot is the whole book
    place=in_order,
)

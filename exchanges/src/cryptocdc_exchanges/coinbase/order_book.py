"""The procedure for a local order book: a snapshot sent on subscription, then the updates that follow it.

Source: the channel level2 in https://docs.cdp.coinbase.com/exchange/websocket-feed/channels. Updates have times but
no ids, so a missing one can't be detected. The venue guarantees that a connection delivers all of them.
"""

from __future__ import annotations

from cryptocdc_exchanges.chains import in_order
from cryptocdc_exchanges.port import OrderBook

PROCEDURE = OrderBook(
    snapshot_by="channel",
    levels=(),  # a snapshot is the whole book
    place=in_order,
)

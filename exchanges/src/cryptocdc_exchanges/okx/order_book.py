"""How a local order book is kept: a snapshot that comes with the subscription, then the updates that follow it.

Source: the channel `books` in https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel. An
update names the one before it (`prevSeqId`). Without changes for 60 s there is one that has the same id twice. After
maintenance the ids may begin again: an update that follows the last one, and has a lower id, says so.
"""

from __future__ import annotations

from cryptocdc_exchanges.chains import consecutive, in_order
from cryptocdc_exchanges.port import BookUpdate, OrderBook, Place


def place(last_id: int, update: BookUpdate) -> Place:
    """Frames recorded before there were ids are taken as they come."""
    return (consecutive if update.numbered else in_order)(last_id, update)


PROCEDURE = OrderBook(
    snapshot_by="channel",
    levels=(),  # the channel keeps the best 400: it also says which leave them, and which come in
    place=place,
)

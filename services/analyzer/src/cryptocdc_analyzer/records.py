"""Decodes trades from change records, and encodes rows of computed tables in the same form. Pure."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from cryptocdc_analyzer.bars import Trade
from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_core.changes import META, Decoder, Undecodable


class Trades:
    """Decodes changes of recent_trades."""

    def __init__(self) -> None:
        self._decoder = Decoder(RECENT_TRADES)

    def read(self, value: bytes | None) -> Trade | None:
        """Return the trade in a record's value; None for a delete. Raises Undecodable."""
        change: Any = self._decoder.decode(value)
        if change.op == "d":
            return None
        try:
            price, quantity = Decimal(change.price), Decimal(change.quantity)
        except InvalidOperation:
            raise Undecodable(f"price {change.price!r} or quantity {change.quantity!r} is not a decimal") from None
        if not price.is_finite() or not quantity.is_finite():
            raise Undecodable(f"price {change.price!r} or quantity {change.quantity!r} is not a finite number")
        return Trade(
            change.symbol, change.trade_time, change.trade_id, price, quantity, not change.buyer_is_maker,
            change.received_at, change.committed_us,
        )  # fmt: skip


def key_of(symbol: str) -> bytes:
    """Return a record's key, as the connector makes it."""
    return msgspec.json.encode({"symbol": symbol})


def value_of(row: dict[str, Any], committed_us: int) -> bytes:
    """Return a record's value as the connector forms it. `committed_us` is that of the newest trade in the row."""
    meta = {META["op"]: "c", META["lsn"]: None, META["committed_us"]: committed_us, META["deleted"]: "false"}
    return msgspec.json.encode({**row, **meta})

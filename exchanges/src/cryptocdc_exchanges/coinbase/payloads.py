"""What frames and responses have in common: times, trades, and levels of order books.

Shapes: https://docs.cdp.coinbase.com/exchange/websocket-feed/channels and
https://docs.cdp.coinbase.com/exchange/reference/exchangerestapi_getproducttrades
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from cryptocdc_core.rows.typed import RecentTradesRow
from cryptocdc_core.rows.versions import version
from cryptocdc_exchanges.checks import Id, Rejected, amounts, not_future

Moment = Annotated[datetime, Meta(tz=True)]
"""ISO 8601 with microseconds."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def milliseconds(at: datetime, now_ms: int) -> int:
    """Return a time of the exchange in full milliseconds since the epoch. Raises Rejected."""
    ms = (at - _EPOCH) // _MS
    if ms < 1:
        raise Rejected("wrong-field", f"time {at.isoformat()}; accepted: one after 1970")
    not_future(ms, now_ms)
    return ms


def trimmed(decimal: str) -> str:
    """Return a decimal without trailing zeros in its fraction.

    REST writes the size and price of a trade with eight decimals, WebSocket with as few as needed: this way a trade is
    the same row from either.
    """
    return decimal.rstrip("0").rstrip(".") if "." in decimal else decimal


class Trade(msgspec.Struct, gc=False, rename={"id": "trade_id"}):
    """The fields shared by a match over WebSocket and a trade over REST."""

    id: Id
    side: Literal["buy", "sell"]
    """The maker's."""
    size: str
    price: str
    time: Moment

    def row_of(self, symbol: str, now_ms: int) -> RecentTradesRow:
        amounts((self.price, self.size))
        time_ms = milliseconds(self.time, now_ms)
        return RecentTradesRow(
            symbol=symbol, trade_time=time_ms, trade_id=self.id, price=trimmed(self.price),
            quantity=trimmed(self.size), first_trade_id=self.id, last_trade_id=self.id,
            buyer_is_maker=self.side == "buy", received_at=now_ms, version=version(time_ms),
        )  # fmt: skip


class Level(msgspec.Struct, array_like=True, gc=False):
    """The third element over REST, the number of orders, is not stored."""

    price: str
    size: str


def levels(side: Iterable[Level]) -> list[tuple[str, str]]:
    """Return (price, quantity) by level. Raises Rejected."""
    found = [(level.price, level.size) for level in side]
    amounts([text for level in found for text in level])
    return found

"""Frames of the WebSocket streams, and the rows that they make: those that differ from the spot market's.

Shapes: https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from cryptocdc_core.catalogue.streams import CRYPTO_24H_STATS, ORDER_BOOK
from cryptocdc_core.feed import Streams
from cryptocdc_core.rows import Crypto24hStatsRow
from cryptocdc_core.versions import version
from cryptocdc_exchanges.binance.frames import AggregateTrade, Kline, MiniTicker, Shutdown, decoding
from cryptocdc_exchanges.checks import Id, IdOrNone, Rejected, Time, amounts, not_future, signed
from cryptocdc_exchanges.port import BookUpdate, Decode


class Ticker(
    msgspec.Struct, tag_field="e", tag="24hrTicker", gc=False,
    rename={"event_time": "E", "symbol": "s", "change": "p", "change_percent": "P", "average": "w", "last": "c",
            "last_quantity": "Q", "open": "o", "high": "h", "low": "l", "volume": "v", "quote_volume": "q",
            "open_time": "O", "close_time": "C", "trade_count": "n"},
):  # fmt: skip
    """Without the best bid and ask, which the venue does not report here."""

    event_time: Time
    symbol: str
    change: str
    change_percent: str
    average: str
    last: str
    last_quantity: str
    open: str
    high: str
    low: str
    volume: str
    quote_volume: str
    open_time: Time
    close_time: Time
    trade_count: Id

    table: ClassVar[str] = CRYPTO_24H_STATS.table

    def row(self, now_ms: int) -> Crypto24hStatsRow:
        signed((self.change, self.change_percent))
        amounts((self.average, self.open, self.high, self.low, self.last, self.last_quantity, self.volume,
                 self.quote_volume))  # fmt: skip
        not_future(max(self.event_time, self.close_time), now_ms)
        return Crypto24hStatsRow(
            symbol=self.symbol, event_time=self.event_time, price_change=self.change,
            price_change_percent=self.change_percent, weighted_avg_price=self.average, open_price=self.open,
            high_price=self.high, low_price=self.low, last_price=self.last, last_quantity=self.last_quantity,
            bid_price=None, bid_quantity=None, ask_price=None, ask_quantity=None, volume=self.volume,
            quote_volume=self.quote_volume, open_time=self.open_time, close_time=self.close_time,
            trade_count=self.trade_count, received_at=now_ms, version=version(self.event_time),
        )  # fmt: skip


class Depth(
    msgspec.Struct, tag_field="e", tag="depthUpdate",
    rename={"event_time": "E", "symbol": "s", "first_id": "U", "last_id": "u", "previous_id": "pu", "bids": "b",
            "asks": "a"},
):  # fmt: skip
    event_time: Time
    symbol: str
    first_id: Id
    last_id: Id
    previous_id: IdOrNone
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]

    table: ClassVar[str] = ORDER_BOOK.table

    def row(self, now_ms: int) -> BookUpdate:
        """Its first id is taken from the update before: that of its own skips the ids of other markets."""
        amounts([text for side in (self.bids, self.asks) for level in side for text in level])
        not_future(self.event_time, now_ms)
        if self.last_id < self.first_id:
            raise Rejected("wrong-field", f"update ids {self.first_id} to {self.last_id}")
        return BookUpdate(
            symbol=self.symbol, event_time=self.event_time, first_id=self.previous_id + 1, last_id=self.last_id,
            bids=self.bids, asks=self.asks,
        )  # fmt: skip


class _Frame(msgspec.Struct, gc=False):
    data: AggregateTrade | Kline | Ticker | MiniTicker | Depth | Shutdown


def decoder(_: Streams) -> Decode:
    return decoding(_Frame)

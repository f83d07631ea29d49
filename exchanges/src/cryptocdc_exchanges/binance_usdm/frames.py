"""Frames of the WebSocket streams that differ from the spot market's, and the rows in them.

Shapes: https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from cryptocdc_core.catalogue.streams import BEST_QUOTES, CRYPTO_24H_STATS, LIQUIDATIONS, MARK_PRICES, ORDER_BOOK
from cryptocdc_core.feed.streams import Streams
from cryptocdc_core.rows.typed import BestQuotesRow, Crypto24hStatsRow, LiquidationsRow, MarkPricesRow
from cryptocdc_core.rows.versions import version
from cryptocdc_exchanges.binance.frames import AggregateTrade, Kline, MiniTicker, Shutdown, best_quote, decoding
from cryptocdc_exchanges.checks import Id, IdOrNone, Rejected, Time, amounts, fingerprint, not_future, signed
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
        """`first_id` is derived from the previous update, since the update's own first id skips ids of other
        markets."""
        amounts([text for side in (self.bids, self.asks) for level in side for text in level])
        not_future(self.event_time, now_ms)
        if self.last_id < self.first_id:
            raise Rejected("wrong-field", f"update ids {self.first_id} to {self.last_id}")
        return BookUpdate(
            symbol=self.symbol, event_time=self.event_time, first_id=self.previous_id + 1, last_id=self.last_id,
            bids=self.bids, asks=self.asks,
        )  # fmt: skip


class BookTicker(
    msgspec.Struct, tag_field="e", tag="bookTicker", gc=False,
    rename={"event_time": "E", "symbol": "s", "update_id": "u", "bid": "b", "bid_quantity": "B", "ask": "a",
            "ask_quantity": "A"},
):  # fmt: skip
    """Unlike on the spot market, it has a kind and a time."""

    event_time: Time
    symbol: str
    update_id: Id
    bid: str
    bid_quantity: str
    ask: str
    ask_quantity: str

    table: ClassVar[str] = BEST_QUOTES.table

    def row(self, now_ms: int) -> BestQuotesRow:
        return best_quote(self, self.event_time, now_ms)


class MarkPrice(
    msgspec.Struct, tag_field="e", tag="markPriceUpdate", gc=False,
    rename={"event_time": "E", "symbol": "s", "mark": "p", "index": "i", "rate": "r", "next_funding": "T"},
):  # fmt: skip
    """For a contract with a delivery date the funding rate is empty and its time is 0."""

    event_time: Time
    symbol: str
    mark: str
    index: str
    rate: str
    next_funding: Annotated[int, Meta(ge=0, le=2**53)]

    table: ClassVar[str] = MARK_PRICES.table

    def row(self, now_ms: int) -> MarkPricesRow:
        amounts((self.mark, self.index))
        if self.rate:
            signed((self.rate,))
        not_future(self.event_time, now_ms)
        return MarkPricesRow(
            symbol=self.symbol, event_time=self.event_time, mark_price=self.mark, index_price=self.index,
            funding_rate=self.rate or None, next_funding_time=self.next_funding or None, received_at=now_ms,
            version=version(self.event_time),
        )  # fmt: skip


class ForcedOrder(
    msgspec.Struct, gc=False,
    rename={"symbol": "s", "side": "S", "quantity": "q", "price": "p", "average": "ap", "filled": "z", "time": "T"},
):  # fmt: skip
    symbol: str
    side: Literal["BUY", "SELL"]
    quantity: str
    price: str
    average: str
    filled: str
    time: Time


class Liquidation(
    msgspec.Struct, tag_field="e", tag="forceOrder", gc=False, rename={"event_time": "E", "order": "o"}
):  # fmt: skip
    """Only the latest of each symbol within 1,000 ms is sent, without an id."""

    event_time: Time
    order: ForcedOrder

    table: ClassVar[str] = LIQUIDATIONS.table

    @property
    def symbol(self) -> str:
        return self.order.symbol

    def row(self, now_ms: int) -> LiquidationsRow:
        it = self.order
        amounts((it.quantity, it.price, it.average, it.filled))
        not_future(max(it.time, self.event_time), now_ms)
        return LiquidationsRow(
            symbol=it.symbol, trade_time=it.time, side=it.side.lower(), price=it.price, quantity=it.quantity,
            liquidation_id=fingerprint(it.side, it.quantity, it.price, it.average, it.filled),
            average_price=it.average, filled_quantity=it.filled, received_at=now_ms, version=version(it.time),
        )  # fmt: skip


class _Frame(msgspec.Struct, gc=False):
    data: (
        AggregateTrade | Kline | Ticker | MiniTicker | Depth | BookTicker | MarkPrice | Liquidation | Shutdown
    )  # fmt: skip


def decoder(_: Streams) -> Decode:
    return decoding(_Frame)

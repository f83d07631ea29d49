"""Frames of Binance's WebSocket streams, and the rows in them.

Shapes: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams. Each kind of event is decoded in
one pass directly into its own structure; a frame that fits none is examined again to report why.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, ClassVar, Protocol, get_args

import msgspec

from cryptocdc_core.catalogue.streams import (
    BEST_QUOTES,
    CRYPTO_24H_STATS,
    KLINES,
    LATEST_PRICES,
    ORDER_BOOK,
    RECENT_TRADES,
)
from cryptocdc_core.feed.streams import Streams
from cryptocdc_core.rows.typed import BestQuotesRow, Crypto24hStatsRow, KlinesRow, LatestPricesRow, RecentTradesRow
from cryptocdc_core.rows.versions import Rank, kline_version, version
from cryptocdc_core.time import intervals
from cryptocdc_exchanges.checks import Id, IdOrNone, Rejected, Time, amounts, not_future, signed
from cryptocdc_exchanges.port import BookUpdate, Closing, Control, Decode, Event, Reply

MAX_FRAME_BYTES = 1024 * 1024
"""The largest frames (depth after a crash) have some tens of kilobytes."""
_QUOTES, _HEAD = b"@bookTicker", 256
"""Part of the channel's name, which is at the beginning of a frame."""


class _Event(msgspec.Struct, tag_field="e", gc=False):
    pass


class AggregateTrade(
    _Event, tag="aggTrade", gc=False,
    rename={"event_time": "E", "symbol": "s", "id": "a", "price": "p", "quantity": "q", "first": "f", "last": "l",
            "time": "T", "buyer_is_maker": "m"},
):  # fmt: skip
    event_time: Time
    symbol: str
    id: Id
    price: str
    quantity: str
    first: IdOrNone
    last: IdOrNone
    time: Time
    buyer_is_maker: bool

    table: ClassVar[str] = RECENT_TRADES.table

    def row(self, now_ms: int) -> RecentTradesRow:
        return _trade(self, self.first, self.last, now_ms)


class RawTrade(
    _Event, tag="trade", gc=False,
    rename={"event_time": "E", "symbol": "s", "id": "t", "price": "p", "quantity": "q", "time": "T",
            "buyer_is_maker": "m"},
):  # fmt: skip
    event_time: Time
    symbol: str
    id: Id
    price: str
    quantity: str
    time: Time
    buyer_is_maker: bool

    table: ClassVar[str] = RECENT_TRADES.table

    def row(self, now_ms: int) -> RecentTradesRow:
        return _trade(self, self.id, self.id, now_ms)


class Candle(
    msgspec.Struct, gc=False,
    rename={"open_time": "t", "close_time": "T", "interval": "i", "open": "o", "close": "c", "high": "h", "low": "l",
            "volume": "v", "trade_count": "n", "closed": "x", "quote_volume": "q", "taker_volume": "V",
            "taker_quote_volume": "Q"},
):  # fmt: skip
    open_time: Time
    close_time: Time
    interval: str
    open: str
    close: str
    high: str
    low: str
    volume: str
    trade_count: Id
    closed: bool
    quote_volume: str
    taker_volume: str
    taker_quote_volume: str


class Kline(_Event, tag="kline", gc=False, rename={"event_time": "E", "symbol": "s", "candle": "k"}):
    event_time: Time
    symbol: str
    candle: Candle

    table: ClassVar[str] = KLINES.table

    def row(self, now_ms: int) -> KlinesRow:
        candle = self.candle
        _check_interval(candle.interval)
        amounts((candle.open, candle.high, candle.low, candle.close, candle.volume, candle.quote_volume,
                 candle.taker_volume, candle.taker_quote_volume))  # fmt: skip
        not_future(max(candle.open_time, self.event_time), now_ms)
        rank = Rank.CLOSED if candle.closed else Rank.OPEN
        return KlinesRow(
            symbol=self.symbol, interval=candle.interval, open_time=candle.open_time, close_time=candle.close_time,
            open=candle.open, high=candle.high, low=candle.low, close=candle.close, volume=candle.volume,
            quote_volume=candle.quote_volume, trade_count=candle.trade_count, taker_buy_volume=candle.taker_volume,
            taker_buy_quote_volume=candle.taker_quote_volume, closed=candle.closed, event_time=self.event_time,
            received_at=now_ms,
            version=kline_version(self.event_time, intervals.end(candle.interval, candle.open_time), rank),
        )  # fmt: skip


class Ticker(
    _Event, tag="24hrTicker", gc=False,
    rename={"event_time": "E", "symbol": "s", "change": "p", "change_percent": "P", "average": "w", "last": "c",
            "last_quantity": "Q", "bid": "b", "bid_quantity": "B", "ask": "a", "ask_quantity": "A", "open": "o",
            "high": "h", "low": "l", "volume": "v", "quote_volume": "q", "open_time": "O", "close_time": "C",
            "trade_count": "n"},
):  # fmt: skip
    event_time: Time
    symbol: str
    change: str
    change_percent: str
    average: str
    last: str
    last_quantity: str
    bid: str
    bid_quantity: str
    ask: str
    ask_quantity: str
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
        amounts((self.average, self.open, self.high, self.low, self.last, self.last_quantity, self.bid,
                 self.bid_quantity, self.ask, self.ask_quantity, self.volume, self.quote_volume))  # fmt: skip
        not_future(max(self.event_time, self.close_time), now_ms)
        return Crypto24hStatsRow(
            symbol=self.symbol, event_time=self.event_time, price_change=self.change,
            price_change_percent=self.change_percent, weighted_avg_price=self.average, open_price=self.open,
            high_price=self.high, low_price=self.low, last_price=self.last, last_quantity=self.last_quantity,
            bid_price=self.bid, bid_quantity=self.bid_quantity, ask_price=self.ask, ask_quantity=self.ask_quantity,
            volume=self.volume, quote_volume=self.quote_volume, open_time=self.open_time, close_time=self.close_time,
            trade_count=self.trade_count, received_at=now_ms, version=version(self.event_time),
        )  # fmt: skip


class MiniTicker(
    _Event, tag="24hrMiniTicker", gc=False, rename={"event_time": "E", "symbol": "s", "last": "c"}
):  # fmt: skip
    event_time: Time
    symbol: str
    last: str

    table: ClassVar[str] = LATEST_PRICES.table

    def row(self, now_ms: int) -> LatestPricesRow:
        amounts((self.last,))
        not_future(self.event_time, now_ms)
        return LatestPricesRow(
            symbol=self.symbol, event_time=self.event_time, price=self.last, received_at=now_ms,
            version=version(self.event_time),
        )  # fmt: skip


class Depth(
    _Event, tag="depthUpdate",
    rename={"event_time": "E", "symbol": "s", "first_id": "U", "last_id": "u", "bids": "b", "asks": "a"},
):  # fmt: skip
    event_time: Time
    symbol: str
    first_id: Id
    last_id: Id
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]

    table: ClassVar[str] = ORDER_BOOK.table

    def row(self, now_ms: int) -> BookUpdate:
        amounts([text for side in (self.bids, self.asks) for level in side for text in level])
        not_future(self.event_time, now_ms)
        if self.last_id < self.first_id:
            raise Rejected("wrong-field", f"update ids {self.first_id} to {self.last_id}")
        return BookUpdate(
            symbol=self.symbol, event_time=self.event_time, first_id=self.first_id, last_id=self.last_id,
            bids=self.bids, asks=self.asks,
        )  # fmt: skip


class Quoted(Protocol):
    """A best bid and ask, with or without a time."""

    update_id: int
    symbol: str
    bid: str
    bid_quantity: str
    ask: str
    ask_quantity: str


class BookTicker(
    msgspec.Struct, gc=False,
    rename={"update_id": "u", "symbol": "s", "bid": "b", "bid_quantity": "B", "ask": "a", "ask_quantity": "A"},
):  # fmt: skip
    """The best bid and ask. It is the only event without a kind (`e`) and without a time, so the time of capture is
    used."""

    update_id: Id
    symbol: str
    bid: str
    bid_quantity: str
    ask: str
    ask_quantity: str

    table: ClassVar[str] = BEST_QUOTES.table

    def row(self, now_ms: int) -> BestQuotesRow:
        return best_quote(self, now_ms, now_ms)


class Shutdown(_Event, tag="serverShutdown", gc=False):
    """The exchange is about to close this connection."""


class _Frame(msgspec.Struct, gc=False):
    data: AggregateTrade | RawTrade | Kline | Ticker | MiniTicker | Depth | Shutdown


class _QuoteFrame(msgspec.Struct, gc=False):
    data: BookTicker


_quotes = msgspec.json.Decoder(_QuoteFrame)
_any = msgspec.json.Decoder()


def decoder(streams: Streams) -> Decode:
    """Aggregates and raw trades have separate ids: the kind that the feed does not capture is refused."""
    trades = streams.recent_trades
    unwanted = RawTrade if trades is None or trades.kind == "aggregate" else AggregateTrade
    return decoding(_Frame, unwanted, quotes=_quotes if streams.best_quotes is not None else None)


def decoding(frame: type[Any], *unwanted: type, quotes: msgspec.json.Decoder[Any] | None = None) -> Decode:
    """Return the decoder of combined frames: `frame` has the accepted kinds of `data`; `quotes` decodes best bids and
    asks, which have no kind."""
    typed = msgspec.json.Decoder(frame)
    not_rows: tuple[type, ...] = (Shutdown, *unwanted)
    (data,) = msgspec.structs.fields(frame)
    kinds = frozenset(str(kind.__struct_config__.tag) for kind in get_args(data.type))
    if quotes is not None:
        kinds |= {str(None)}

    def decode(frame: bytes) -> Sequence[Event] | Control:
        if len(frame) > MAX_FRAME_BYTES:
            raise Rejected("oversize", f"{len(frame)} bytes; {MAX_FRAME_BYTES} are accepted")
        try:
            # The channel's name identifies such a frame; only feeds with that stream check it.
            if quotes is not None and _QUOTES in frame[:_HEAD]:
                return (quotes.decode(frame).data,)
            event = typed.decode(frame).data
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return _look_again(frame, str(error), kinds)
        if isinstance(event, not_rows):
            if isinstance(event, Shutdown):
                return Closing()
            raise Rejected("unknown-event", f"{type(event).__name__} was not asked for")
        return (event,)

    return decode


def _look_again(frame: bytes, problem: str, kinds: Collection[object]) -> Reply:
    try:
        document = _any.decode(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Rejected("invalid-json", str(error)) from None
    if not isinstance(document, dict):
        raise Rejected("unknown-event", f"a {type(document).__name__} instead of an event")
    if "id" in document and ("result" in document or "error" in document):
        refusal, identifier = document.get("error"), document["id"]
        number = identifier if isinstance(identifier, int) else None
        return Reply("" if refusal is None else str(refusal), number)
    data = document.get("data")
    body = data if isinstance(data, dict) else document
    if "code" in body and "msg" in body:
        raise Rejected("error-body", f"{body['code']}: {body['msg']}")
    if not isinstance(data, dict) or str(data.get("e")) not in kinds:
        raise Rejected("unknown-event", problem)
    raise Rejected("wrong-field", problem)


def _trade(event: AggregateTrade | RawTrade, first: int, last: int, now_ms: int) -> RecentTradesRow:
    amounts((event.price, event.quantity))
    not_future(max(event.time, event.event_time), now_ms)
    return RecentTradesRow(
        symbol=event.symbol, trade_time=event.time, trade_id=event.id, price=event.price, quantity=event.quantity,
        first_trade_id=first, last_trade_id=last, buyer_is_maker=event.buyer_is_maker, received_at=now_ms,
        version=version(event.time),
    )  # fmt: skip


def best_quote(event: Quoted, event_ms: int, now_ms: int) -> BestQuotesRow:
    """Return the row of an event of `event_ms`. A side without orders has a price of zero: its values are null."""
    amounts((event.bid, event.bid_quantity, event.ask, event.ask_quantity))
    not_future(event_ms, now_ms)
    bid, ask = (event.bid, event.bid_quantity), (event.ask, event.ask_quantity)
    (bid_price, bid_quantity), (ask_price, ask_quantity) = (
        side if side[0].strip("0.") else (None, None) for side in (bid, ask)
    )
    return BestQuotesRow(
        symbol=event.symbol, event_time=event_ms, update_id=event.update_id, bid_price=bid_price,
        bid_quantity=bid_quantity, ask_price=ask_price, ask_quantity=ask_quantity, received_at=now_ms,
        version=version(event_ms),
    )  # fmt: skip


def _check_interval(interval: str) -> None:
    """Raise Rejected for an interval that is not one of the exchange's.

    The times of a kline are stored as the exchange reports them, even if they do not fit its interval: an outage of the
    exchange can cut a kline short.
    """
    if interval not in intervals.LENGTH_MS and interval != "1M":
        accepted = ", ".join([*intervals.LENGTH_MS, "1M"])
        raise Rejected("wrong-field", f"interval {interval[:20]!r} is unknown; accepted: {accepted}")

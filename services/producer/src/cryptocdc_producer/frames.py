"""Frames of the exchange's WebSocket streams, and the rows that they make. Pure.

Shapes: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams. Each kind of event is decoded in
one pass straight into its own structure; what fits none is looked at again to say why.
"""

from __future__ import annotations

import msgspec

from cryptocdc_core.rows import Crypto24hStatsRow, KlinesRow, LatestPricesRow, RecentTradesRow
from cryptocdc_core.versions import Rank, kline_version, version
from cryptocdc_producer import intervals
from cryptocdc_producer.checks import Id, IdOrNone, Rejected, Time, amounts, not_future, signed

MAX_FRAME_BYTES = 1024 * 1024
"""The exchange's largest frames (depth after a crash) are some tens of kilobytes."""


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


class MiniTicker(
    _Event, tag="24hrMiniTicker", gc=False, rename={"event_time": "E", "symbol": "s", "last": "c"}
):  # fmt: skip
    event_time: Time
    symbol: str
    last: str


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


class Shutdown(_Event, tag="serverShutdown", gc=False):
    """The exchange is about to cut this connection."""


class Reply(msgspec.Struct, gc=False):
    """The answer to a command; `error` is "" when it was obeyed."""

    id: int | None
    error: str


Market = AggregateTrade | RawTrade | Kline | Ticker | MiniTicker | Depth
Event = Market | Shutdown


class _Frame(msgspec.Struct, gc=False):
    data: Event


_typed = msgspec.json.Decoder(_Frame)
_any = msgspec.json.Decoder()


def decode(frame: bytes) -> Event | Reply:
    """The event in a frame of a combined stream. Raises Rejected."""
    if len(frame) > MAX_FRAME_BYTES:
        raise Rejected("oversize", f"{len(frame)} bytes; {MAX_FRAME_BYTES} are accepted")
    try:
        return _typed.decode(frame).data
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return _look_again(frame, str(error))


def _look_again(frame: bytes, problem: str) -> Reply:
    try:
        document = _any.decode(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Rejected("invalid-json", str(error)) from None
    if not isinstance(document, dict):
        raise Rejected("unknown-event", f"a {type(document).__name__} instead of an event")
    if "id" in document and ("result" in document or "error" in document):
        refusal, identifier = document.get("error"), document["id"]
        return Reply(identifier if isinstance(identifier, int) else None, "" if refusal is None else str(refusal))
    data = document.get("data")
    body = data if isinstance(data, dict) else document
    if "code" in body and "msg" in body:
        raise Rejected("error-body", f"{body['code']}: {body['msg']}")
    if not isinstance(data, dict) or data.get("e") not in _KINDS:
        raise Rejected("unknown-event", problem)
    raise Rejected("wrong-field", problem)


_KINDS = frozenset({"aggTrade", "trade", "kline", "24hrTicker", "24hrMiniTicker", "depthUpdate", "serverShutdown"})


def trade_row(event: AggregateTrade | RawTrade, now_ms: int) -> RecentTradesRow:
    """Raises Rejected, as every function below."""
    amounts((event.price, event.quantity))
    not_future(max(event.time, event.event_time), now_ms)
    if isinstance(event, AggregateTrade):
        first, last = event.first, event.last
    else:
        first = last = event.id
    return RecentTradesRow(
        symbol=event.symbol, trade_time=event.time, trade_id=event.id, price=event.price, quantity=event.quantity,
        first_trade_id=first, last_trade_id=last, buyer_is_maker=event.buyer_is_maker, received_at=now_ms,
        version=version(event.time),
    )  # fmt: skip


def kline_row(event: Kline, now_ms: int) -> KlinesRow:
    candle = event.candle
    check_interval(candle.interval)
    amounts((candle.open, candle.high, candle.low, candle.close, candle.volume, candle.quote_volume,
             candle.taker_volume, candle.taker_quote_volume))  # fmt: skip
    not_future(max(candle.open_time, event.event_time), now_ms)
    rank = Rank.CLOSED if candle.closed else Rank.OPEN
    return KlinesRow(
        symbol=event.symbol, interval=candle.interval, open_time=candle.open_time, close_time=candle.close_time,
        open=candle.open, high=candle.high, low=candle.low, close=candle.close, volume=candle.volume,
        quote_volume=candle.quote_volume, trade_count=candle.trade_count, taker_buy_volume=candle.taker_volume,
        taker_buy_quote_volume=candle.taker_quote_volume, closed=candle.closed, event_time=event.event_time,
        received_at=now_ms,
        version=kline_version(event.event_time, intervals.end(candle.interval, candle.open_time), rank),
    )  # fmt: skip


def check_interval(interval: str) -> None:
    """Raise Rejected for an interval that is not one of the exchange's.

    The times of a kline are stored as the exchange reports them, also where they do not fit its interval: an outage of
    the exchange can cut a kline short.
    """
    if interval not in intervals.LENGTH_MS and interval != "1M":
        accepted = ", ".join([*intervals.LENGTH_MS, "1M"])
        raise Rejected("wrong-field", f"interval {interval[:20]!r} is unknown; accepted: {accepted}")


def ticker_row(event: Ticker, now_ms: int) -> Crypto24hStatsRow:
    signed((event.change, event.change_percent))
    amounts((event.average, event.open, event.high, event.low, event.last, event.last_quantity, event.bid,
             event.bid_quantity, event.ask, event.ask_quantity, event.volume, event.quote_volume))  # fmt: skip
    not_future(max(event.event_time, event.close_time), now_ms)
    return Crypto24hStatsRow(
        symbol=event.symbol, event_time=event.event_time, price_change=event.change,
        price_change_percent=event.change_percent, weighted_avg_price=event.average, open_price=event.open,
        high_price=event.high, low_price=event.low, last_price=event.last, last_quantity=event.last_quantity,
        bid_price=event.bid, bid_quantity=event.bid_quantity, ask_price=event.ask, ask_quantity=event.ask_quantity,
        volume=event.volume, quote_volume=event.quote_volume, open_time=event.open_time, close_time=event.close_time,
        trade_count=event.trade_count, received_at=now_ms, version=version(event.event_time),
    )  # fmt: skip


def price_row(event: MiniTicker, now_ms: int) -> LatestPricesRow:
    amounts((event.last,))
    not_future(event.event_time, now_ms)
    return LatestPricesRow(
        symbol=event.symbol, event_time=event.event_time, price=event.last, received_at=now_ms,
        version=version(event.event_time),
    )  # fmt: skip


def check_depth(event: Depth, now_ms: int) -> None:
    """The levels must be decimals and the ids in order; the book itself makes the row."""
    amounts([text for side in (event.bids, event.asks) for level in side for text in level])
    not_future(event.event_time, now_ms)
    if event.last_id < event.first_id:
        raise Rejected("wrong-field", f"update ids {event.first_id} to {event.last_id}")

"""Answers of the exchange's REST API, and the rows that they make. Pure.

Shapes: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints. A row of an answer
that is wrong is refused alone; `Rows.rejected` says which and why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import msgspec

from cryptocdc_core.versions import FUTURE_TOLERANCE_MS, SETTLE_MS, Rank, kline_version, version
from cryptocdc_producer import intervals
from cryptocdc_producer.checks import Id, IdOrNone, Rejected, Time, amounts, not_future, signed
from cryptocdc_producer.frames import Row

_LAST_MS = 86_400_000
"""After its end: a kline that no other follows is closed."""
T = TypeVar("T")


class Rows(NamedTuple):
    rows: list[Row]
    rejected: list[tuple[Rejected, bytes]]
    """What was refused, and the part of the answer that holds it."""


def position(part: bytes) -> int | None:
    """Return the id of a refused trade or the open time in ms of a refused kline; None where it can't be read."""
    try:
        element = msgspec.json.decode(part)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if isinstance(element, list):
        found = element[0] if element else None
    elif isinstance(element, dict):
        found = element.get("a", element.get("id"))
    else:
        found = None
    return found if isinstance(found, int) and not isinstance(found, bool) else None


class AggregateTrade(
    msgspec.Struct, gc=False,
    rename={"id": "a", "price": "p", "quantity": "q", "first": "f", "last": "l", "time": "T", "buyer_is_maker": "m"},
):  # fmt: skip
    id: Id
    price: str
    quantity: str
    first: IdOrNone
    last: IdOrNone
    time: Time
    buyer_is_maker: bool


class RawTrade(
    msgspec.Struct, gc=False, rename={"quantity": "qty", "buyer_is_maker": "isBuyerMaker"}
):  # fmt: skip
    id: Id
    price: str
    quantity: str
    time: Time
    buyer_is_maker: bool


class Kline(msgspec.Struct, array_like=True, gc=False):
    """The twelfth element means nothing, by the exchange's own word."""

    open_time: Time
    open: str
    high: str
    low: str
    close: str
    volume: str
    close_time: Time
    quote_volume: str
    trade_count: Id
    taker_volume: str
    taker_quote_volume: str


class Ticker(msgspec.Struct, gc=False, rename="camel"):
    symbol: str
    price_change: str
    price_change_percent: str
    weighted_avg_price: str
    last_price: str
    last_qty: str
    bid_price: str
    bid_qty: str
    ask_price: str
    ask_qty: str
    open_price: str
    high_price: str
    low_price: str
    volume: str
    quote_volume: str
    open_time: Time
    close_time: Time
    count: Id


class Price(msgspec.Struct, gc=False):
    symbol: str
    price: str


class Snapshot(msgspec.Struct, rename={"last_id": "lastUpdateId"}):
    last_id: Id
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _look_again(body, str(error)) from None


def _look_again(body: bytes, problem: str) -> Rejected:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return Rejected("invalid-json", str(error))
    if isinstance(document, dict) and "code" in document and "msg" in document:
        return Rejected("error-body", f"{document['code']}: {document['msg']}")
    return Rejected("wrong-field", problem)


def _each(body: bytes, kind: type[T], make: Callable[[T], Row]) -> Rows:
    """Each element of the answer's list by itself. Raises Rejected when it is no list."""
    rows: list[Row] = []
    rejected: list[tuple[Rejected, bytes]] = []
    for part in _decode(body, list[msgspec.Raw]):
        try:
            rows.append(make(_decode(bytes(part), kind)))
        except Rejected as refusal:
            rejected.append((refusal, bytes(part)))
    return Rows(rows, rejected)


def aggregate_trades(symbol: str, body: bytes, now_ms: int) -> Rows:
    """/aggTrades. Raises Rejected when the answer is no list, as every function below."""

    def row(trade: AggregateTrade) -> Row:
        amounts((trade.price, trade.quantity))
        not_future(trade.time, now_ms)
        return (
            symbol, trade.time, trade.id, trade.price, trade.quantity, trade.first, trade.last, trade.buyer_is_maker,
            now_ms, version(trade.time),
        )  # fmt: skip

    return _each(body, AggregateTrade, row)


def raw_trades(symbol: str, body: bytes, now_ms: int) -> Rows:
    """/trades and /historicalTrades."""

    def row(trade: RawTrade) -> Row:
        amounts((trade.price, trade.quantity))
        not_future(trade.time, now_ms)
        return (
            symbol, trade.time, trade.id, trade.price, trade.quantity, trade.id, trade.id, trade.buyer_is_maker,
            now_ms, version(trade.time),
        )  # fmt: skip

    return _each(body, RawTrade, row)


def klines(symbol: str, interval: str, body: bytes, now_ms: int) -> Rows:
    """/klines. The answer has no flag for closed, and an exchange may revise a kline for some seconds after its end.

    A kline counts as closed when the next one has begun and it was requested at least SETTLE_MS after its end. Our
    clock alone decides only a day later: a market that is no longer traded has no next one. The times of a kline are
    stored as reported; its end is that of its interval.
    """
    parts = map(position, map(bytes, _decode(body, list[msgspec.Raw])))
    newest = max((at for at in parts if at is not None and at <= now_ms + FUTURE_TOLERANCE_MS), default=0)

    def row(kline: Kline) -> Row:
        amounts((kline.open, kline.high, kline.low, kline.close, kline.volume, kline.quote_volume,
                 kline.taker_volume, kline.taker_quote_volume))  # fmt: skip
        not_future(kline.open_time, now_ms)
        end = intervals.end(interval, kline.open_time)
        closed = now_ms >= end + (SETTLE_MS if kline.open_time < newest else _LAST_MS)
        return (
            symbol, interval, kline.open_time, kline.close_time, kline.open, kline.high, kline.low, kline.close,
            kline.volume, kline.quote_volume, kline.trade_count, kline.taker_volume, kline.taker_quote_volume, closed,
            now_ms, now_ms, kline_version(now_ms, end, Rank.FINAL if closed else Rank.OPEN),
        )  # fmt: skip

    return _each(body, Kline, row)


def tickers(body: bytes, now_ms: int) -> Rows:
    """/ticker/24hr of several symbols."""

    def row(ticker: Ticker) -> Row:
        signed((ticker.price_change, ticker.price_change_percent))
        amounts((ticker.weighted_avg_price, ticker.open_price, ticker.high_price, ticker.low_price, ticker.last_price,
                 ticker.last_qty, ticker.bid_price, ticker.bid_qty, ticker.ask_price, ticker.ask_qty, ticker.volume,
                 ticker.quote_volume))  # fmt: skip
        not_future(ticker.close_time, now_ms)
        return (
            ticker.symbol, ticker.close_time, ticker.price_change, ticker.price_change_percent,
            ticker.weighted_avg_price, ticker.open_price, ticker.high_price, ticker.low_price, ticker.last_price,
            ticker.last_qty, ticker.bid_price, ticker.bid_qty, ticker.ask_price, ticker.ask_qty, ticker.volume,
            ticker.quote_volume, ticker.open_time, ticker.close_time, ticker.count, now_ms, version(ticker.close_time),
        )  # fmt: skip

    return _each(body, Ticker, row)


def prices(body: bytes, now_ms: int) -> Rows:
    """/ticker/price of several symbols. It bears no time: capture dates it."""

    def row(price: Price) -> Row:
        amounts((price.price,))
        return (price.symbol, now_ms, price.price, now_ms, version(now_ms))

    return _each(body, Price, row)


def snapshot(body: bytes) -> Snapshot:
    """/depth. Raises Rejected."""
    found = _decode(body, Snapshot)
    amounts([text for side in (found.bids, found.asks) for level in side for text in level])
    return found


def book(symbol: str, depth: int, interval_ms: int, body: bytes, now_ms: int) -> Row:
    """/depth as a row of its own. It bears no time: capture dates it. Raises Rejected."""
    found = snapshot(body)
    bids, asks = found.bids[:depth], found.asks[:depth]
    row: list[Any] = [
        symbol, now_ms - now_ms % interval_ms, found.last_id,
        [price for price, _ in bids], [quantity for _, quantity in bids],
        [price for price, _ in asks], [quantity for _, quantity in asks],
        now_ms, now_ms, version(now_ms),
    ]  # fmt: skip
    return tuple(row)

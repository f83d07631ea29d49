"""Responses of Binance's REST API, and the rows in them.

Shapes: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints. An invalid row
is refused individually; `Rows.refused` has its position and the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from cryptocdc_core.rows.typed import Crypto24hStatsRow, KlinesRow, LatestPricesRow, RecentTradesRow, Row
from cryptocdc_core.rows.versions import FUTURE_TOLERANCE_MS, SETTLE_MS, Rank, kline_version, version
from cryptocdc_core.time import intervals
from cryptocdc_exchanges.checks import Id, IdOrNone, Rejected, Time, amounts, decoded, not_future, signed
from cryptocdc_exchanges.port import BookSnapshot, FirstTrade, Refused, Rows

_LAST_MS = 86_400_000
"""Time after its end at which a kline without a successor counts as closed."""
T = TypeVar("T")
R = TypeVar("R", bound=Row)


def position(part: bytes) -> int | None:
    """Return the id of a refused trade or the open time in ms of a refused kline; None if it can't be read."""
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
    """The exchange documents the twelfth element as unused."""

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


class Depth(msgspec.Struct, rename={"last_id": "lastUpdateId"}):
    last_id: Id
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


def decode(body: bytes, kind: type[T]) -> T:
    """Return a response as this type. Raises Rejected, also for an error response."""
    try:
        return decoded(body, kind)
    except Rejected as rejected:
        if rejected.reason == "wrong-field":
            document = msgspec.json.decode(body)
            if isinstance(document, dict) and "code" in document and "msg" in document:
                raise Rejected("error-body", f"{document['code']}: {document['msg']}") from None
        raise


def each(body: bytes, kind: type[T], make: Callable[[T], R]) -> Rows[R]:
    """Return the undecoded elements of the response's list. Raises Rejected if it is not a list."""
    rows: list[R] = []
    refused: list[Refused] = []
    for part in decode(body, list[msgspec.Raw]):
        try:
            rows.append(make(decode(bytes(part), kind)))
        except Rejected as rejected:
            refused.append(Refused(rejected, bytes(part), position(bytes(part))))
    return Rows(rows, refused)


def aggregate_trades(symbol: str, body: bytes, now_ms: int) -> Rows[RecentTradesRow]:
    """/aggTrades. Like every function below, raises Rejected if the response is not a list."""

    def row(trade: AggregateTrade) -> RecentTradesRow:
        amounts((trade.price, trade.quantity))
        not_future(trade.time, now_ms)
        return RecentTradesRow(
            symbol=symbol, trade_time=trade.time, trade_id=trade.id, price=trade.price, quantity=trade.quantity,
            first_trade_id=trade.first, last_trade_id=trade.last, buyer_is_maker=trade.buyer_is_maker,
            received_at=now_ms, version=version(trade.time),
        )  # fmt: skip

    return each(body, AggregateTrade, row)


def raw_trades(symbol: str, body: bytes, now_ms: int) -> Rows[RecentTradesRow]:
    """/trades and /historicalTrades."""

    def row(trade: RawTrade) -> RecentTradesRow:
        amounts((trade.price, trade.quantity))
        not_future(trade.time, now_ms)
        return RecentTradesRow(
            symbol=symbol, trade_time=trade.time, trade_id=trade.id, price=trade.price, quantity=trade.quantity,
            first_trade_id=trade.id, last_trade_id=trade.id, buyer_is_maker=trade.buyer_is_maker,
            received_at=now_ms, version=version(trade.time),
        )  # fmt: skip

    return each(body, RawTrade, row)


def first_trade(symbol: str, kind: str, body: bytes, now_ms: int) -> FirstTrade:
    """/aggTrades by time, for the first id of this kind of trade."""
    rows, refused = aggregate_trades(symbol, body, now_ms)
    if kind == "aggregate":
        return FirstTrade([row.trade_id for row in rows], refused)
    ids = [first for row in rows if (first := row.first_trade_id) is not None and first >= 0]
    return FirstTrade(ids, [it._replace(position=None) for it in refused])


def klines(symbol: str, interval: str, body: bytes, now_ms: int) -> Rows[KlinesRow]:
    """/klines. The response has no flag for closed klines, and an exchange may revise one for some seconds after its
    end.

    A kline counts as closed if the next one has begun and it was requested at least SETTLE_MS after its end. If there
    is no next one, as in a market that is no longer traded, our clock decides a day later. The times of a kline are
    stored as reported; its end is that of its interval.
    """
    parts = map(position, map(bytes, decode(body, list[msgspec.Raw])))
    newest = max((at for at in parts if at is not None and at <= now_ms + FUTURE_TOLERANCE_MS), default=0)

    def row(kline: Kline) -> KlinesRow:
        amounts((kline.open, kline.high, kline.low, kline.close, kline.volume, kline.quote_volume,
                 kline.taker_volume, kline.taker_quote_volume))  # fmt: skip
        not_future(kline.open_time, now_ms)
        end = intervals.end(interval, kline.open_time)
        closed = now_ms >= end + (SETTLE_MS if kline.open_time < newest else _LAST_MS)
        return KlinesRow(
            symbol=symbol, interval=interval, open_time=kline.open_time, close_time=kline.close_time, open=kline.open,
            high=kline.high, low=kline.low, close=kline.close, volume=kline.volume, quote_volume=kline.quote_volume,
            trade_count=kline.trade_count, taker_buy_volume=kline.taker_volume,
            taker_buy_quote_volume=kline.taker_quote_volume, closed=closed, event_time=now_ms, received_at=now_ms,
            version=kline_version(now_ms, end, Rank.FINAL if closed else Rank.OPEN),
        )  # fmt: skip

    return each(body, Kline, row)


def tickers(body: bytes, now_ms: int) -> Rows[Crypto24hStatsRow]:
    """/ticker/24hr of several symbols."""

    def row(ticker: Ticker) -> Crypto24hStatsRow:
        signed((ticker.price_change, ticker.price_change_percent))
        amounts((ticker.weighted_avg_price, ticker.open_price, ticker.high_price, ticker.low_price, ticker.last_price,
                 ticker.last_qty, ticker.bid_price, ticker.bid_qty, ticker.ask_price, ticker.ask_qty, ticker.volume,
                 ticker.quote_volume))  # fmt: skip
        not_future(ticker.close_time, now_ms)
        return Crypto24hStatsRow(
            symbol=ticker.symbol, event_time=ticker.close_time, price_change=ticker.price_change,
            price_change_percent=ticker.price_change_percent, weighted_avg_price=ticker.weighted_avg_price,
            open_price=ticker.open_price, high_price=ticker.high_price, low_price=ticker.low_price,
            last_price=ticker.last_price, last_quantity=ticker.last_qty, bid_price=ticker.bid_price,
            bid_quantity=ticker.bid_qty, ask_price=ticker.ask_price, ask_quantity=ticker.ask_qty,
            volume=ticker.volume, quote_volume=ticker.quote_volume, open_time=ticker.open_time,
            close_time=ticker.close_time, trade_count=ticker.count, received_at=now_ms,
            version=version(ticker.close_time),
        )  # fmt: skip

    return each(body, Ticker, row)


def prices(body: bytes, now_ms: int) -> Rows[LatestPricesRow]:
    """/ticker/price of several symbols. It contains no time, so the time of capture is used."""

    def row(price: Price) -> LatestPricesRow:
        amounts((price.price,))
        return LatestPricesRow(
            symbol=price.symbol, event_time=now_ms, price=price.price, received_at=now_ms, version=version(now_ms)
        )

    return each(body, Price, row)


def snapshot(body: bytes, _: int) -> BookSnapshot:
    """/depth."""
    found = decode(body, Depth)
    amounts([text for side in (found.bids, found.asks) for level in side for text in level])
    return BookSnapshot(found.last_id, found.bids, found.asks)

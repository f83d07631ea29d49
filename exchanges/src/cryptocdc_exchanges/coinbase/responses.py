"""Responses of Coinbase Exchange's REST API, and the rows in them. Invalid rows are refused individually.

Shapes: https://docs.cdp.coinbase.com/exchange/reference/exchangerestapi_getproducts and those that follow it
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from cryptocdc_core.rows.typed import Crypto24hStatsRow, KlinesRow, LatestPricesRow, RecentTradesRow, Row
from cryptocdc_core.rows.versions import FUTURE_TOLERANCE_MS, SETTLE_MS, Rank, kline_version, version
from cryptocdc_core.time import intervals
from cryptocdc_exchanges.checks import Id, Rejected, amounts, decoded, not_future
from cryptocdc_exchanges.coinbase.payloads import Level, Moment, Trade, levels, milliseconds
from cryptocdc_exchanges.port import BookSnapshot, Refused, Rows

T = TypeVar("T")
R = TypeVar("R", bound=Row)

_ALONE_MS = SETTLE_MS + FUTURE_TOLERANCE_MS
"""Time after its end, by our clock, at which a candle without a successor counts as closed."""


class Candle(msgspec.Struct, array_like=True, gc=False):
    """JSON numbers instead of strings, decoded as exact decimals."""

    open_s: Annotated[int, Meta(ge=1, le=2**43)]
    low: Decimal
    high: Decimal
    open: Decimal
    close: Decimal
    volume: Decimal


class Stats(msgspec.Struct, gc=False):
    open: str
    high: str
    low: str
    last: str
    volume: str


class Ticker(msgspec.Struct, gc=False):
    price: str
    time: Moment


class Book(msgspec.Struct):
    bids: list[Level]
    asks: list[Level]
    sequence: Id


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return decoded(body, kind)
    except Rejected as rejected:
        if rejected.reason == "wrong-field":
            document = msgspec.json.decode(body)
            if isinstance(document, dict) and set(document) == {"message"}:
                raise Rejected("error-body", str(document["message"])) from None
        raise


def position(part: bytes) -> int | None:
    """Return the id of a refused trade or the open time in ms of a refused candle; None if it can't be read."""
    try:
        element = msgspec.json.decode(part)
    except (msgspec.MsgspecError, UnicodeDecodeError):  # a number out of range, a text that is not UTF-8
        return None
    if isinstance(element, list):
        found, unit = (element[0] if element else None), 1000
    else:
        found, unit = (element.get("trade_id") if isinstance(element, dict) else None), 1
    return found * unit if isinstance(found, int) and not isinstance(found, bool) else None


def _each(body: bytes, kind: type[T], make: Callable[[T], R]) -> Rows[R]:
    rows: list[R] = []
    refused: list[Refused] = []
    for part in _decode(body, list[msgspec.Raw]):
        try:
            rows.append(make(_decode(bytes(part), kind)))
        except Rejected as rejected:
            refused.append(Refused(rejected, bytes(part), position(bytes(part))))
    return Rows(rows, refused)


def trades(symbol: str, body: bytes, now_ms: int) -> Rows[RecentTradesRow]:
    """/products/ID/trades."""
    return _each(body, Trade, lambda trade: trade.row_of(symbol, now_ms))


def klines(symbol: str, interval: str, limit: int, body: bytes, now_ms: int) -> Rows[KlinesRow]:
    """/products/ID/candles, newest first; the newest `limit` are used. There is no flag for closed candles.

    A candle is closed if a later one has begun and it was requested at least SETTLE_MS after its end, since the venue
    may revise it; without a later one, as in a market without trades, our clock decides a minute after that.
    """
    parts = _decode(body, list[msgspec.Raw])[:limit]
    opened = (position(bytes(part)) for part in parts)
    newest = max((at for at in opened if at is not None and at <= now_ms + FUTURE_TOLERANCE_MS), default=0)

    def row(candle: Candle) -> KlinesRow:
        numbers = (candle.open, candle.high, candle.low, candle.close, candle.volume)
        if not all(number.is_finite() and abs(number.adjusted()) < 200 for number in numbers):
            raise Rejected("wrong-decimal", f"{numbers} are not five decimals")
        texts = [format(number, "f") for number in numbers]
        amounts(texts)
        opened_ms = candle.open_s * 1000
        not_future(opened_ms, now_ms)
        end = intervals.end(interval, opened_ms)
        closed = now_ms >= end + (SETTLE_MS if opened_ms < newest else _ALONE_MS)
        return KlinesRow(
            symbol=symbol, interval=interval, open_time=opened_ms, close_time=end - 1, open=texts[0], high=texts[1],
            low=texts[2], close=texts[3], volume=texts[4], quote_volume=None, trade_count=None, taker_buy_volume=None,
            taker_buy_quote_volume=None, closed=closed, event_time=now_ms, received_at=now_ms,
            version=kline_version(now_ms, end, Rank.FINAL if closed else Rank.OPEN),
        )  # fmt: skip

    return _each(msgspec.json.encode(parts), Candle, row)


def stats(symbol: str, body: bytes, now_ms: int) -> Rows[Crypto24hStatsRow]:
    """/products/ID/stats. They contain no time, so the time of capture is used."""
    found = _decode(body, Stats)
    amounts((found.open, found.high, found.low, found.last, found.volume))
    row = Crypto24hStatsRow(
        symbol=symbol, event_time=now_ms, price_change=None, price_change_percent=None, weighted_avg_price=None,
        open_price=found.open, high_price=found.high, low_price=found.low, last_price=found.last, last_quantity=None,
        bid_price=None, bid_quantity=None, ask_price=None, ask_quantity=None, volume=found.volume, quote_volume=None,
        open_time=None, close_time=None, trade_count=None, received_at=now_ms, version=version(now_ms),
    )  # fmt: skip
    return Rows([row], [])


def prices(symbol: str, body: bytes, now_ms: int) -> Rows[LatestPricesRow]:
    """/products/ID/ticker, with the time of its trade."""
    found = _decode(body, Ticker)
    amounts((found.price,))
    at = milliseconds(found.time, now_ms)
    row = LatestPricesRow(symbol=symbol, event_time=at, price=found.price, received_at=now_ms, version=version(at))
    return Rows([row], [])


def snapshot(body: bytes, _: int) -> BookSnapshot:
    """/products/ID/book."""
    found = _decode(body, Book)
    return BookSnapshot(found.sequence, levels(found.bids), levels(found.asks))

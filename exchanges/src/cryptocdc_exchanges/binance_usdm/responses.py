"""Responses that differ from those of the spot market: tickers without best bid and ask, prices with times."""

from __future__ import annotations

import msgspec

from cryptocdc_core.rows.typed import Crypto24hStatsRow, LatestPricesRow, OpenInterestRow
from cryptocdc_core.rows.versions import version
from cryptocdc_exchanges.binance.responses import decode, each
from cryptocdc_exchanges.checks import Id, Time, amounts, not_future, signed
from cryptocdc_exchanges.port import Rows


class Ticker(msgspec.Struct, gc=False, rename="camel"):
    symbol: str
    price_change: str
    price_change_percent: str
    weighted_avg_price: str
    last_price: str
    last_qty: str
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
    time: Time


class OpenInterest(msgspec.Struct, gc=False, rename="camel"):
    symbol: str
    open_interest: str
    time: Time


def ticker(body: bytes, now_ms: int) -> Rows[Crypto24hStatsRow]:
    """/ticker/24hr of one symbol."""
    it = decode(body, Ticker)
    signed((it.price_change, it.price_change_percent))
    amounts((it.weighted_avg_price, it.open_price, it.high_price, it.low_price, it.last_price, it.last_qty, it.volume,
             it.quote_volume))  # fmt: skip
    not_future(it.close_time, now_ms)
    row = Crypto24hStatsRow(
        symbol=it.symbol, event_time=it.close_time, price_change=it.price_change,
        price_change_percent=it.price_change_percent, weighted_avg_price=it.weighted_avg_price,
        open_price=it.open_price, high_price=it.high_price, low_price=it.low_price, last_price=it.last_price,
        last_quantity=it.last_qty, bid_price=None, bid_quantity=None, ask_price=None, ask_quantity=None,
        volume=it.volume, quote_volume=it.quote_volume, open_time=it.open_time, close_time=it.close_time,
        trade_count=it.count, received_at=now_ms, version=version(it.close_time),
    )  # fmt: skip
    return Rows([row], [])


def price(body: bytes, now_ms: int) -> Rows[LatestPricesRow]:
    """/ticker/price of one symbol."""
    return Rows([_price(decode(body, Price), now_ms)], [])


def prices(body: bytes, now_ms: int) -> Rows[LatestPricesRow]:
    """/ticker/price of all symbols."""
    return each(body, Price, lambda found: _price(found, now_ms))


def _price(it: Price, now_ms: int) -> LatestPricesRow:
    """Unlike on the spot market, a price has the time of its trade."""
    amounts((it.price,))
    not_future(it.time, now_ms)
    return LatestPricesRow(
        symbol=it.symbol, event_time=it.time, price=it.price, received_at=now_ms, version=version(it.time)
    )


def open_interest(body: bytes, now_ms: int) -> Rows[OpenInterestRow]:
    """/openInterest of one symbol."""
    it = decode(body, OpenInterest)
    amounts((it.open_interest,))
    not_future(it.time, now_ms)
    row = OpenInterestRow(
        symbol=it.symbol, event_time=it.time, open_interest=it.open_interest, received_at=now_ms,
        version=version(it.time),
    )  # fmt: skip
    return Rows([row], [])

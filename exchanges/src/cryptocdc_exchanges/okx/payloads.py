"""What frames and answers have alike: trades, candles, tickers and levels of order books, and the rows that they make.

All numbers but the ids of order books are texts. A text that is empty says that there is no value. Shapes:
https://www.okx.com/docs-v5/en/#order-book-trading-market-data
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from cryptocdc_core.rows.typed import Crypto24hStatsRow, KlinesRow, LatestPricesRow, RecentTradesRow
from cryptocdc_core.rows.versions import SETTLE_MS, Rank, kline_version, version
from cryptocdc_core.time import intervals
from cryptocdc_exchanges.checks import Id, Rejected, Time, amounts, not_future

T = TypeVar("T")


def decode(decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw) -> T:
    """Return what a decoder that takes texts for numbers makes of JSON. Raises Rejected."""
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        try:
            msgspec.json.decode(body)  # a wrong type is reported before the end is reached
        except (msgspec.MsgspecError, UnicodeDecodeError) as invalid:
            raise Rejected("invalid-json", str(invalid)) from None
        raise Rejected("wrong-field", str(error)) from None


class Trade(
    msgspec.Struct, gc=False, rename={"symbol": "instId", "id": "tradeId", "price": "px", "size": "sz", "time": "ts"}
):  # fmt: skip
    symbol: str
    id: Id
    price: str
    size: str
    side: Literal["buy", "sell"]
    """The taker's."""
    time: Time

    def row(self, now_ms: int) -> RecentTradesRow:
        return self._row(self.id, now_ms)

    def _row(self, first_id: int | None, now_ms: int) -> RecentTradesRow:
        amounts((self.price, self.size))
        not_future(self.time, now_ms)
        return RecentTradesRow(
            symbol=self.symbol, trade_time=self.time, trade_id=self.id, price=self.price, quantity=self.size,
            first_trade_id=first_id, last_trade_id=self.id, buyer_is_maker=self.side == "sell", received_at=now_ms,
            version=version(self.time),
        )  # fmt: skip


class AggregateTrade(Trade, gc=False):
    """What one order took at one price. Its id is that of the last of `count` trades; OKX does not name the others."""

    count: Annotated[int, Meta(ge=1)] | None = None

    def row(self, now_ms: int) -> RecentTradesRow:
        return self._row(self.id if self.count == 1 else None, now_ms)


class Candle(msgspec.Struct, array_like=True, gc=False):
    """`volume` is in the base currency, of a swap in contracts."""

    open_time: Time
    open: str
    high: str
    low: str
    close: str
    volume: str
    volume_in_currency: str
    quote_volume: str
    confirm: Literal["0", "1"]

    def row(self, symbol: str, interval: str, now_ms: int, by_rest: bool) -> KlinesRow:
        """Candles bear no time but that of their opening: capture dates them. An answer's is final, and so closed, only
        some seconds after its end."""
        amounts((self.open, self.high, self.low, self.close, self.volume, self.quote_volume))
        not_future(self.open_time, now_ms)
        end = intervals.end(interval, self.open_time)
        closed = self.confirm == "1" and (not by_rest or now_ms >= end + SETTLE_MS)
        rank = (Rank.FINAL if by_rest else Rank.CLOSED) if closed else Rank.OPEN
        return KlinesRow(
            symbol=symbol, interval=interval, open_time=self.open_time, close_time=end - 1, open=self.open,
            high=self.high, low=self.low, close=self.close, volume=self.volume, quote_volume=self.quote_volume,
            trade_count=None, taker_buy_volume=None, taker_buy_quote_volume=None, closed=closed, event_time=now_ms,
            received_at=now_ms, version=kline_version(now_ms, end, rank),
        )  # fmt: skip


class Ticker(
    msgspec.Struct, gc=False,
    rename={"kind": "instType", "symbol": "instId", "last_size": "lastSz", "ask": "askPx", "ask_size": "askSz",
            "bid": "bidPx", "bid_size": "bidSz", "open": "open24h", "high": "high24h", "low": "low24h",
            "volume": "vol24h", "volume_in_currency": "volCcy24h", "time": "ts"},
):  # fmt: skip
    kind: str
    symbol: str
    last: str
    last_size: str
    ask: str
    ask_size: str
    bid: str
    bid_size: str
    open: str
    high: str
    low: str
    volume: str
    volume_in_currency: str
    """Of a spot market the quote currency, of a swap the base currency."""
    time: Time

    def stats(self, now_ms: int) -> Crypto24hStatsRow:
        optional = (self.last_size, self.ask, self.ask_size, self.bid, self.bid_size, self.volume_in_currency)
        amounts((self.last, self.open, self.high, self.low, self.volume, *filter(None, optional)))
        not_future(self.time, now_ms)
        return Crypto24hStatsRow(
            symbol=self.symbol, event_time=self.time, price_change=None, price_change_percent=None,
            weighted_avg_price=None, open_price=self.open, high_price=self.high, low_price=self.low,
            last_price=self.last, last_quantity=self.last_size or None, bid_price=self.bid or None,
            bid_quantity=self.bid_size or None, ask_price=self.ask or None, ask_quantity=self.ask_size or None,
            volume=self.volume, quote_volume=(self.volume_in_currency or None) if self.kind == "SPOT" else None,
            open_time=None, close_time=None, trade_count=None, received_at=now_ms, version=version(self.time),
        )  # fmt: skip

    def price(self, now_ms: int) -> LatestPricesRow:
        amounts((self.last,))
        not_future(self.time, now_ms)
        return LatestPricesRow(
            symbol=self.symbol, event_time=self.time, price=self.last, received_at=now_ms, version=version(self.time)
        )


class Level(msgspec.Struct, array_like=True, gc=False):
    """What follows, a deprecated "0" and the number of orders, is not stored."""

    price: str
    size: str


def levels(side: Iterable[Level]) -> list[tuple[str, str]]:
    return [(level.price, level.size) for level in side]

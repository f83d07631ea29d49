"""One row of each stream, generated from the catalogue by `make rows`: do not edit.

Times are milliseconds since the epoch, decimals the exchange's own digits, None is null. Fields are in the order of the
columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec

from cryptocdc_core.catalogue import STREAMS, Stream


class Row(msgspec.Struct, gc=False):
    """What the rows of all streams have in common."""

    stream: ClassVar[Stream]
    if TYPE_CHECKING:
        symbol: str
        received_at: int
        version: int


class RecentTradesRow(Row, kw_only=True, gc=False):
    """A row of `recent_trades`."""

    stream: ClassVar[Stream] = STREAMS["recentTrades"]
    symbol: str
    trade_time: int
    trade_id: int
    price: str
    quantity: str
    first_trade_id: int | None
    last_trade_id: int | None
    buyer_is_maker: bool
    received_at: int
    version: int


class KlinesRow(Row, kw_only=True, gc=False):
    """A row of `klines`."""

    stream: ClassVar[Stream] = STREAMS["klines"]
    symbol: str
    interval: str
    open_time: int
    close_time: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str | None
    trade_count: int | None
    taker_buy_volume: str | None
    taker_buy_quote_volume: str | None
    closed: bool
    event_time: int
    received_at: int
    version: int


class Crypto24hStatsRow(Row, kw_only=True, gc=False):
    """A row of `crypto_24h_stats`."""

    stream: ClassVar[Stream] = STREAMS["crypto24hStats"]
    symbol: str
    event_time: int
    price_change: str | None
    price_change_percent: str | None
    weighted_avg_price: str | None
    open_price: str
    high_price: str
    low_price: str
    last_price: str
    last_quantity: str | None
    bid_price: str | None
    bid_quantity: str | None
    ask_price: str | None
    ask_quantity: str | None
    volume: str
    quote_volume: str | None
    open_time: int | None
    close_time: int | None
    trade_count: int | None
    received_at: int
    version: int


class LatestPricesRow(Row, kw_only=True, gc=False):
    """A row of `latest_prices`."""

    stream: ClassVar[Stream] = STREAMS["latestPrices"]
    symbol: str
    event_time: int
    price: str
    received_at: int
    version: int


class OrderBookRow(Row, kw_only=True, gc=False):
    """A row of `order_book`."""

    stream: ClassVar[Stream] = STREAMS["orderBook"]
    symbol: str
    bucket_time: int
    last_update_id: int | None
    bid_prices: list[str]
    bid_quantities: list[str]
    ask_prices: list[str]
    ask_quantities: list[str]
    event_time: int
    received_at: int
    version: int


class BestQuotesRow(Row, kw_only=True, gc=False):
    """A row of `best_quotes`."""

    stream: ClassVar[Stream] = STREAMS["bestQuotes"]
    symbol: str
    event_time: int
    update_id: int | None
    bid_price: str | None
    bid_quantity: str | None
    ask_price: str | None
    ask_quantity: str | None
    received_at: int
    version: int


class MarkPricesRow(Row, kw_only=True, gc=False):
    """A row of `mark_prices`."""

    stream: ClassVar[Stream] = STREAMS["markPrices"]
    symbol: str
    event_time: int
    mark_price: str
    index_price: str | None
    funding_rate: str | None
    next_funding_time: int | None
    received_at: int
    version: int


class OpenInterestRow(Row, kw_only=True, gc=False):
    """A row of `open_interest`."""

    stream: ClassVar[Stream] = STREAMS["openInterest"]
    symbol: str
    event_time: int
    open_interest: str
    received_at: int
    version: int


class LiquidationsRow(Row, kw_only=True, gc=False):
    """A row of `liquidations`."""

    stream: ClassVar[Stream] = STREAMS["liquidations"]
    symbol: str
    trade_time: int
    liquidation_id: int
    side: str
    price: str
    quantity: str
    average_price: str | None
    filled_quantity: str | None
    received_at: int
    version: int

"""What a feed captures of each symbol: its streams and their settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from cryptocdc_core.feed.base import Broken, Duration, FeedModel, are_duplicated, duplicates

KlineInterval = Literal[
    "1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"
]
Transport = Literal["websocket", "rest"]


class RecentTrades(FeedModel):
    """Every trade, into the table `recent_trades`."""

    source: Transport = "websocket"
    """The API to use."""
    kind: Literal["aggregate", "trade"] = "aggregate"
    """Trades aggregated by taker order, or raw trades. Can't be changed later: their ids must not be mixed."""
    period: Duration = "5s"
    """Interval between two requests, with `source: rest`."""


class Klines(FeedModel):
    """Candles, into the table `klines`."""

    source: Transport = "websocket"
    """The API to use."""
    intervals: list[KlineInterval] = Field(
        default=["1m"], min_length=1, max_length=16, json_schema_extra={"uniqueItems": True}
    )
    """The lengths of the candles, each once."""
    period: Duration = "10s"
    """Interval between two requests, with `source: rest`."""

    @classmethod
    def broken_rules(cls, given: dict[str, Any]) -> Iterator[Broken]:
        if twice := duplicates(given.get("intervals")):
            yield ("intervals",), f"{are_duplicated(twice)}; each interval is accepted once"


class Crypto24hStats(FeedModel):
    """Statistics of the last 24 hours, into the table `crypto_24h_stats`."""

    source: Transport = "rest"
    """The API to use."""
    period: Duration = "60s"
    """Interval between two requests, with `source: rest`."""


class LatestPrices(FeedModel):
    """Last prices, into the table `latest_prices`."""

    source: Transport = "websocket"
    """The API to use."""
    period: Duration = "5s"
    """Interval between two requests, with `source: rest`."""


class OrderBook(FeedModel):
    """The best levels of the order book, into the table `order_book`."""

    source: Transport = "websocket"
    """Over WebSocket the book is maintained by the exchange's documented procedure; over REST it is requested every
    `interval`."""
    depth: Literal[5, 10, 20, 50, 100] = 20
    """Number of best levels per side in a row."""
    interval: Literal["1s", "2s", "5s", "10s", "30s", "1m", "5m"] = "1s"
    """One row per interval in which the book changed."""


class BestQuotes(FeedModel):
    """The best bid and ask, into the table `best_quotes`."""

    interval: Literal["100ms", "200ms", "500ms", "1s", "2s", "5s", "10s"] = "1s"
    """One row per interval in which the best bid or ask changed: the last one."""


class MarkPrices(FeedModel):
    """Mark price, index price and funding of perpetual contracts, into the table `mark_prices`."""

    interval: Literal["1s", "3s", "10s", "1m"] = "1s"
    """One row per interval in which the exchange sent one: the last one."""


class OpenInterest(FeedModel):
    """Open positions in perpetual contracts, into the table `open_interest`."""

    period: Duration = "30s"
    """Interval between two requests for each symbol."""


class Liquidations(FeedModel):
    """Positions that the exchange closed, into the table `liquidations`."""


class Streams(FeedModel):
    """What to capture of each symbol: at least one stream. One without settings is written `klines: {}`."""

    recent_trades: RecentTrades | None = Field(None, alias="recentTrades")
    klines: Klines | None = None
    crypto_24h_stats: Crypto24hStats | None = Field(None, alias="crypto24hStats")
    latest_prices: LatestPrices | None = Field(None, alias="latestPrices")
    order_book: OrderBook | None = Field(None, alias="orderBook")
    best_quotes: BestQuotes | None = Field(None, alias="bestQuotes")
    mark_prices: MarkPrices | None = Field(None, alias="markPrices")
    open_interest: OpenInterest | None = Field(None, alias="openInterest")
    liquidations: Liquidations | None = None

    @classmethod
    def broken_rules(cls, given: dict[str, Any]) -> Iterator[Broken]:
        names = [field.alias or name for name, field in _stream_fields()]
        if cls.lacks(given, names):
            yield (), f"at least one of {', '.join(names)} is accepted"

    @property
    def tables(self) -> tuple[str, ...]:
        """Return the tables of the feed's streams; a stream's field has the name of its table."""
        return tuple(name for name, _ in _stream_fields() if getattr(self, name) is not None)


def _stream_fields() -> list[tuple[str, Any]]:
    return list(Streams.model_fields.items())

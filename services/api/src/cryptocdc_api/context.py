"""What the endpoints share: the feed, its tables, how they are read, what is kept for a moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cryptocdc_api.reading.cache import Cache
from cryptocdc_api.reading.reader import Reader
from cryptocdc_api.reading.shared import Shared
from cryptocdc_api.refusals import Refused, choices
from cryptocdc_api.shapes import Json, shaper
from cryptocdc_core.catalogue import NEWEST_PRICES, NEWEST_STATS, Derived
from cryptocdc_core.feed import CryptoFeed
from cryptocdc_core.metrics import ApiMetrics
from cryptocdc_core.names import Source

PRICES_AGE_S, STATS_AGE_S = 0.5, 1.0

Newest = dict[str, Json]
"""The newest row of a table, by symbol, sorted."""


@dataclass
class Context:
    feed: CryptoFeed
    source: Source
    reader: Reader
    metrics: ApiMetrics
    shared: Shared | None = None

    def __post_init__(self) -> None:
        self.tables = self.feed.spec.streams.tables
        self._prices: Cache[Newest] = self.cache("newest_prices", PRICES_AGE_S)
        self._stats: Cache[Newest] = self.cache("newest_24h_stats", STATS_AGE_S)

    def cache(self, name: str, age_s: float, entries: int = 1) -> Cache[Any]:
        """Of that name in the metrics and in Redis."""
        return Cache(name, age_s, entries, self.metrics, self.shared)

    async def newest_prices(self) -> Newest:
        """At most PRICES_AGE_S old."""
        return await self._prices.get("", lambda: self._whole(NEWEST_PRICES))

    async def newest_stats(self) -> Newest:
        """At most STATS_AGE_S old."""
        return await self._stats.get("", lambda: self._whole(NEWEST_STATS))

    async def _whole(self, derived: Derived) -> Newest:
        shape = shaper(derived.columns[1:])  # without the shard
        rows = [shape(row[1:]) for row in await self.reader.whole(derived)]
        return {row["symbol"]: row for row in rows}

    async def symbols(self) -> list[str]:
        """All that have ever been captured, as far as the tables of the newest rows tell; none where the feed has
        neither prices nor statistics."""
        return sorted(set().union(*await self._by_symbol()))

    async def check_symbol(self, symbol: str) -> None:
        """Raises Refused (404) for a symbol that was never captured."""
        known = await self._by_symbol()
        if any(known) and not any(symbol in newest for newest in known):
            raise Refused("symbol", symbol, choices(await self.symbols(), symbol), 404)

    async def _by_symbol(self) -> list[Newest]:
        found = []
        if NEWEST_PRICES.source in self.tables:
            found.append(await self.newest_prices())
        if NEWEST_STATS.source in self.tables:
            found.append(await self.newest_stats())
        return found

    @property
    def intervals(self) -> list[str]:
        """Of the candles that the feed captures."""
        klines = self.feed.spec.streams.klines
        return [] if klines is None else [str(interval) for interval in klines.intervals]

    def interval(self, asked: str | None) -> str:
        """Raises Refused for an interval that the feed does not capture."""
        captured = self.intervals
        if asked is None and captured:
            return str(captured[0])
        if asked is None or asked not in captured:
            raise Refused("interval", asked or "", ", ".join(captured) or "none: the feed captures no klines", 404)
        return asked

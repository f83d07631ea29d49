"""What the endpoints share: the feed, its tables, the reader and the caches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cryptocdc_api.analysis import quotes
from cryptocdc_api.reading.cache import Cache
from cryptocdc_api.reading.reader import Reader
from cryptocdc_api.reading.shared import Shared
from cryptocdc_api.refusals import Refused, choices
from cryptocdc_api.shapes import Json, shaper
from cryptocdc_core.catalogue import NEWEST, Derived
from cryptocdc_core.catalogue.streams import BEST_QUOTES, CRYPTO_24H_STATS
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.names import Source
from cryptocdc_core.program.metrics import ApiMetrics

SHAPES = {BEST_QUOTES.table: quotes.shape}
"""For tables whose rows have computed figures in addition to their columns."""
AGES_S = {CRYPTO_24H_STATS.table: 1.0}
AGE_S = 0.5
"""Maximum age of cached newest rows, unless `AGES_S` has one for the table."""

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
        spec = self.feed.spec
        self.tables = (*spec.streams.tables, *(stream.table for stream in spec.computed))
        self._newest: dict[str, Cache[Newest]] = {
            table: self.cache(derived.table, AGES_S.get(table, AGE_S))
            for table, derived in NEWEST.items()
            if table in self.tables
        }

    def cache(self, name: str, age_s: float, entries: int = 1) -> Cache[Any]:
        """Return a new cache; `name` identifies it in the metrics and in Redis."""
        return Cache(name, age_s, entries, self.metrics, self.shared)

    async def newest(self, table: str) -> Newest:
        """Return the newest rows of a captured table of NEWEST, at most AGES_S old."""
        return await self._newest[table].get("", lambda: self._whole(NEWEST[table]))

    async def _whole(self, derived: Derived) -> Newest:
        shape = SHAPES.get(derived.source) or shaper(derived.columns[1:])  # without the shard
        rows = [shape(row[1:]) for row in await self.reader.whole(derived)]
        return {row["symbol"]: row for row in rows}

    async def symbols(self) -> list[str]:
        """Return every symbol that has a row in a table of newest rows; none if the feed has no stream with such a
        table."""
        return sorted(set().union(*await self._by_symbol()))

    async def check_symbol(self, symbol: str) -> None:
        """Raises Refused (404) for a symbol that was never captured."""
        known = await self._by_symbol()
        if any(known) and not any(symbol in newest for newest in known):
            raise Refused("symbol", symbol, choices(await self.symbols(), symbol), 404)

    async def _by_symbol(self) -> list[Newest]:
        return [await self.newest(table) for table in self._newest]

    @property
    def intervals(self) -> list[str]:
        """The candle intervals that the feed captures."""
        klines = self.feed.spec.streams.klines
        return [] if klines is None else [str(interval) for interval in klines.intervals]

    def interval(self, requested: str | None) -> str:
        """Return the requested interval, by default the first. Raises Refused for one that the feed does not
        capture."""
        return _one_of(self.intervals, requested, "the feed captures no klines")

    @property
    def bar_lengths(self) -> list[str]:
        """The lengths of the bars that the feed computes."""
        analytics = self.feed.spec.analytics
        return [] if analytics is None else list(analytics.bar_lengths)

    def bar_length(self, requested: str | None) -> str:
        """Return the requested length, by default the first. Raises Refused for one that the feed does not compute."""
        return _one_of(self.bar_lengths, requested, "the feed computes no bars")

    @property
    def anomaly_lengths(self) -> list[str]:
        """The lengths of the windows of which the feed finds anomalies."""
        analytics = self.feed.spec.analytics
        return [] if analytics is None else list(analytics.anomaly_lengths)

    def anomaly_length(self, requested: str | None) -> str:
        """Return the requested length, by default the first. Raises Refused for one that the feed does not compute."""
        return _one_of(self.anomaly_lengths, requested, "the feed computes no anomalies")

    @property
    def forecast_lengths(self) -> list[str]:
        """The lengths of the windows that the feed predicts."""
        analytics = self.feed.spec.analytics
        return [] if analytics is None else list(analytics.forecast_lengths)

    def forecast_length(self, requested: str | None) -> str:
        """Return the requested length, by default the first. Raises Refused for one that the feed does not compute."""
        return _one_of(self.forecast_lengths, requested, "the feed computes no forecasts")

    def volatility_length(self, requested: str | None) -> str:
        """Return the requested length, by default the first. Raises Refused for one that the feed does not compute."""
        analytics = self.feed.spec.analytics
        lengths = [] if analytics is None else list(analytics.volatility_lengths)
        return _one_of(lengths, requested, "the feed computes no volatility")


def _one_of(accepted: list[str], requested: str | None, none: str) -> str:
    found = accepted[0] if requested is None and accepted else requested
    if found is None or found not in accepted:
        raise Refused("interval", found or "", ", ".join(accepted) or f"none: {none}", 404)
    return found

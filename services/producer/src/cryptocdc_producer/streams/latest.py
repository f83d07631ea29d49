"""Streams for which only the newest row of a symbol matters: 24-hour statistics and latest prices."""

from __future__ import annotations

from cryptocdc_core.catalogue.streams import CRYPTO_24H_STATS, LATEST_PRICES
from cryptocdc_core.rows.typed import Crypto24hStatsRow, LatestPricesRow
from cryptocdc_producer.streams.handler import Handler, Round


class Stats(Handler[Crypto24hStatsRow]):
    stream = CRYPTO_24H_STATS

    def take(self, row: Crypto24hStatsRow, _: int = 0) -> None:
        self._write(row)

    async def poll(self, polling: Round) -> bool:
        size = self._venue.requests.stats_per_request
        return await polling.together(size, polling.requests.stats, self.take)


class Prices(Handler[LatestPricesRow]):
    stream = LATEST_PRICES

    def take(self, row: LatestPricesRow, _: int = 0) -> None:
        self._write(row)

    async def poll(self, polling: Round) -> bool:
        size = self._venue.requests.prices_per_request
        return await polling.together(size, polling.requests.prices, self.take)

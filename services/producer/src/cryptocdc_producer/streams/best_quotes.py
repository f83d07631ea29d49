"""Best bids and asks: the last ones of each interval are written, the others are conflated."""

from __future__ import annotations

import time
from typing import Any

from cryptocdc_core import durations
from cryptocdc_core.catalogue.streams import BEST_QUOTES
from cryptocdc_core.rows import BestQuotesRow
from cryptocdc_exchanges.port import Venue
from cryptocdc_producer.streams.handler import Handler, Outlets
from cryptocdc_producer.streams.last_quotes import LastQuotes


class BestQuotes(Handler[BestQuotesRow]):
    stream = BEST_QUOTES

    def __init__(self, settings: Any, venue: Venue, outlets: Outlets) -> None:
        super().__init__(settings, venue, outlets)
        self._quotes = LastQuotes(durations.milliseconds(settings.interval))
        self._conflated = outlets.metrics.conflated.labels(self.table)

    @property
    def pace_s(self) -> int:
        return durations.milliseconds(self._settings.interval) // 1000

    def take(self, row: BestQuotesRow, _: int) -> None:
        ended, overtaken = self._quotes.offer(row, time.monotonic())
        if ended is not None:
            self._write(ended)
        if overtaken:
            self._conflated.inc(overtaken)

    def tick(self, now: float) -> None:
        for row in self._quotes.due(now):
            self._write(row)

    def end(self, symbol: str) -> None:
        if (row := self._quotes.release(symbol)) is not None:
            self._write(row)

"""Streams for which the last row of each interval is written: best quotes, mark prices."""

from __future__ import annotations

import time
from typing import Any, TypeVar

from cryptocdc_core.catalogue.streams import BEST_QUOTES, MARK_PRICES
from cryptocdc_core.rows.typed import BestQuotesRow, MarkPricesRow
from cryptocdc_core.time import durations
from cryptocdc_exchanges.port import Venue
from cryptocdc_producer.streams.handler import Handler, Outlets
from cryptocdc_producer.streams.last_rows import LastRows

R = TypeVar("R", BestQuotesRow, MarkPricesRow)


class Conflated(Handler[R]):
    def __init__(self, settings: Any, venue: Venue, outlets: Outlets, past_ms: int = 0) -> None:
        super().__init__(settings, venue, outlets, past_ms)
        self._last: LastRows[R] = LastRows(durations.milliseconds(settings.interval))
        self._overtaken = outlets.metrics.conflated.labels(self.table)

    @property
    def pace_s(self) -> int:
        return durations.milliseconds(self._settings.interval) // 1000

    def take(self, row: R, _: int) -> None:
        ended, overtaken = self._last.offer(row, time.monotonic())
        if ended is not None:
            self._write(ended)
        if overtaken:
            self._overtaken.inc(overtaken)

    def tick(self, now: float) -> None:
        for row in self._last.due(now):
            self._write(row)

    def end(self, symbol: str) -> None:
        if (row := self._last.release(symbol)) is not None:
            self._write(row)


class BestQuotes(Conflated[BestQuotesRow]):
    stream = BEST_QUOTES


class MarkPrices(Conflated[MarkPricesRow]):
    stream = MARK_PRICES

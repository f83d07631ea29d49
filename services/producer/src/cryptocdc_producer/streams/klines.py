"""Klines: open ones are conflated, closed ones never. If every interval has a kline, missing ones are found by their
open time and refilled."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any

from cryptocdc_adapters.exchange.rest import SPARE
from cryptocdc_core.catalogue.streams import KLINES
from cryptocdc_core.rows.typed import KlinesRow
from cryptocdc_core.time import intervals
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.port import Venue
from cryptocdc_producer.rest.page import next_klines
from cryptocdc_producer.rest.requests import Requests
from cryptocdc_producer.storage.store import Stored
from cryptocdc_producer.streams.continuity import HISTORY, Closes, Gap, past_klines
from cryptocdc_producer.streams.handler import Filling, Handler, Outlets, Round, Unfinished
from cryptocdc_producer.streams.open_klines import OpenKlines

log = logging.getLogger(__name__)


class Klines(Handler[KlinesRow]):
    stream = KLINES

    def __init__(self, settings: Any, venue: Venue, outlets: Outlets, past_ms: int = 0) -> None:
        super().__init__(settings, venue, outlets, past_ms)
        self._closes: dict[str, dict[str, Closes]] = {}
        """By symbol and interval."""
        self._open = OpenKlines()

    def key(self, row: KlinesRow) -> tuple[str, ...] | None:
        return None if row.closed else (row.symbol, row.interval, str(row.open_time))

    def begin(self, symbol: str, stored: Stored) -> None:
        self._closes[symbol] = {it: Closes(it, stored.last_closes.get(it)) for it in self._settings.intervals}
        for interval, closes in self._closes[symbol].items():
            if closes.last is None:
                self._begin_with_past(symbol, interval, closes)

    def _begin_with_past(self, symbol: str, interval: str, closes: Closes) -> None:
        """Nothing is stored yet: record the past as a gap, before any row, so that a restart continues with it. Where
        gaps can't be recorded, polling begins at the start of the past."""
        past = past_klines(interval, self._past_ms, time.time_ns() // 1_000_000)
        if past is None:
            return
        if self.refillable:
            gap = Gap(self.table, symbol, interval, *past, HISTORY)
            log.info("%s: %d klines of %s are the past to start with", symbol, gap.size, interval)
            self._queue(gap)
            closes.last = past[1]
        elif not self.by_websocket:
            closes.last = intervals.preceding(interval, past[0])

    def end(self, symbol: str) -> None:
        del self._closes[symbol]
        self._write_open(self._open.release(symbol))

    def tick(self, now: float) -> None:
        self._write_open(self._open.due(now))

    def last(self, symbol: str, interval: str) -> int | None:
        """Return the open time in ms of the last closed kline known of a captured symbol."""
        return self._closes[symbol][interval].last if symbol in self._closes else None

    def take(self, row: KlinesRow, _: int) -> None:
        closes = self._closes[row.symbol].get(row.interval)
        if closes is None:
            raise Rejected("unknown-event", f"klines of {row.interval} were not asked for")
        self._take(row, closes.see(row.open_time, row.closed))

    def take_polled(self, symbol: str, rows: Iterable[KlinesRow]) -> None:
        """Handle klines from REST, in the order of their open times."""
        for row in rows if symbol in self._closes else ():
            # Here an open kline implies nothing about those before it: they may not be final yet.
            closes = self._closes[symbol][row.interval]
            closes.begin(row.open_time)
            self._take(row, closes.see(row.open_time, closed=True) if row.closed else None)

    def _take(self, row: KlinesRow, missing: tuple[int, int] | None) -> None:
        """`missing`: the gap that the kline reveals."""
        if missing is not None and self.refillable:
            self._found(Gap(self.table, row.symbol, row.interval, *missing))
        if row.closed:
            held = self._open.close(row)
            self._write_open(held[:-1])
            self._write(row)
        else:
            ready, overtaken = self._open.offer(row, time.monotonic())
            self._out.metrics.conflated.labels(self.table).inc(overtaken)
            self._write_open(ready)

    def _write_open(self, rows: Iterable[KlinesRow]) -> None:
        for row in rows:
            self._write(row)

    async def poll(self, polling: Round) -> bool:
        async def one(symbol: str) -> None:
            """Request klines from the last closed one on: an ended kline is requested again until the response is
            final."""
            for interval in self._settings.intervals:
                last = self.last(symbol, interval)
                start = None if last is None else intervals.following(interval, last)
                given = most = polling.requests.page
                while given >= most:
                    limit = 2 if start is None else most
                    page = await polling.requests.klines(symbol, interval, start, limit=limit)
                    await self._out.intake.room()
                    self.take_polled(symbol, page.rows)
                    if page.until is not None and symbol in self._closes:
                        self._closes[symbol][interval].reach(page.until)
                    given = 0 if start is None else most if page.until is not None else page.given
                    start = None if start is None else next_klines(interval, start, page)

        return await polling.each(one, self.has)

    async def fill(self, filling: Filling, requests: Requests) -> None:
        gap = filling.gap
        after = intervals.end(gap.interval, gap.last)
        while (at := filling.at) <= gap.last:
            limit = min(requests.page, intervals.count(gap.interval, at, gap.last) + 1)
            page = await requests.klines(gap.symbol, gap.interval, at, max(limit, 2), SPARE)
            # The newest kline of a response never counts as closed; one beyond the gap shows that the whole gap is.
            rows = [row for row in page.rows if row.open_time >= at]
            closed = [row for row in rows if row.closed]
            not_final = min((row.open_time for row in rows if not row.closed), default=page.last)
            refused = [at_ms for at_ms in page.refused if at_ms is not None and at <= at_ms <= (not_final or 0)]
            if gap.reason == HISTORY and filling.first is None and not page.given:
                # Before a market's listing there are none; a venue may return only those of the requested span.
                for _ in range(limit):
                    filling.at = intervals.following(gap.interval, filling.at)
                continue
            if not closed and not refused:
                raise Unfinished(f"the exchange returns no closed kline from {at} on")
            if filling.first is None:
                filling.first = min(refused + [row.open_time for row in closed])
            await self._put(filling, [row for row in closed if row.open_time < after])
            filling.refused += sum(1 for at_ms in refused if at_ms < after)
            filling.at = intervals.end(gap.interval, max(refused + [row.open_time for row in closed]))

"""Fetches a time range over REST on request: trades and closed klines, written as capture writes them.

A short page is not taken for the last one: a refused element, or the exchange itself, can make a page short.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from cryptocdc_adapters.exchange.rest import SPARE, ExchangeRefused
from cryptocdc_core.catalogue.streams import KLINES, RECENT_TRADES
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.time import intervals
from cryptocdc_exchanges.port import Venue
from cryptocdc_producer.rest.page import next_klines
from cryptocdc_producer.rest.requests import Requests
from cryptocdc_producer.storage.intake import Intake
from cryptocdc_producer.storage.store import Stored
from cryptocdc_producer.streams.continuity import Gap

Progress = Callable[[str, int, int], None]
"""Called with what is fetched (e.g. "klines 1m"), the rows so far, and the time in ms reached."""


class Fetched(NamedTuple):
    """What the exchange returned for a time range."""

    rows: int = 0
    refused: int = 0
    """Elements of its responses that were refused."""


@dataclass
class History:
    """One symbol of one feed. Each method returns what was fetched and raises ExchangeError, Rejected.

    `stored` is what PostgreSQL already has: if the range begins later, the rows in between are recorded as a gap, so
    that everything up to the last row is either stored or in a gap.
    """

    feed: CryptoFeed
    venue: Venue
    symbol: str
    stored: Stored
    requests: Requests
    intake: Intake
    progress: Progress

    async def trades(self, from_ms: int, to_ms: int) -> Fetched:
        """Trades with `from_ms` <= time < `to_ms`."""
        wanted = self.feed.spec.streams.recent_trades
        if wanted is None:
            return Fetched()
        if not self.venue.gives_by_id(wanted.kind):
            raise ExchangeRefused(0, "this exchange does not return these trades by id")
        at = await self.requests.first_trade(self.symbol, wanted.kind, from_ms, SPARE)
        if at is None:
            return Fetched()
        last = self.stored.last_trade
        if last is not None and at > last + 1:
            self.intake.put(Gap(RECENT_TRADES.table, self.symbol, "", last + 1, at - 1))
        taken, refused, through = 0, 0, from_ms
        while through < to_ms:
            page = await self.requests.trades(self.symbol, wanted.kind, at, None, SPARE)
            if not page.given or (page.last is not None and page.last < at):
                break  # older ones: at the end a venue that pages backwards returns its newest trades
            kept = [row for row in page.rows if from_ms <= row.trade_time < to_ms]
            await self.intake.room()
            self.intake.put_rows(kept, live=False)
            taken += len(kept)
            beyond = min((row.trade_id for row in page.rows if row.trade_time >= to_ms), default=None)
            refused += sum(1 for at_id in page.refused if at_id is None or beyond is None or at_id < beyond)
            at = at + page.given if page.last is None else max(at, page.last) + 1
            through = max([through] + [row.trade_time for row in page.rows])
            self.progress("trades", taken, min(through, to_ms))
        return Fetched(taken, refused)

    async def klines(self, interval: str, from_ms: int, to_ms: int) -> Fetched:
        """Closed klines with `from_ms` <= open time < `to_ms`, without one that the exchange may still revise."""
        at: int | None = from_ms
        to_ms = min(to_ms, time.time_ns() // 1_000_000)
        taken, refused = 0, 0
        each_interval_has_one = self.venue.offers[KLINES.table].refill is not None
        while at is not None and at < to_ms:
            page = await self.requests.klines(self.symbol, interval, at, None, SPARE)
            kept = [row for row in page.rows if row.closed and row.open_time < to_ms]
            last = self.stored.last_closes.get(interval) if each_interval_has_one else None
            if kept and not taken and last is not None and intervals.following(interval, last) < kept[0].open_time:
                hole = (intervals.following(interval, last), intervals.preceding(interval, kept[0].open_time))
                self.intake.put(Gap(KLINES.table, self.symbol, interval, *hole))
            await self.intake.room()
            self.intake.put_rows(kept, live=False)
            taken += len(kept)
            if page.given or taken:
                at = next_klines(interval, at, page)
            else:
                # Before a market's listing there are none; a venue may return only those of the requested span.
                for _ in range(self.requests.page):
                    at = intervals.following(interval, at)
            # Elements refused beyond the start of the next page are in that page too.
            beyond = to_ms if at is None else min(at, to_ms)
            refused += sum(1 for at_ms in page.refused if at_ms is None or at_ms < beyond)
            if at is not None:
                self.progress(f"klines {interval}", taken, min(at, to_ms))
        return Fetched(taken, refused)

"""Trades: never conflated. If their ids are consecutive, missing ones are found by id and refilled."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import msgspec

from cryptocdc_adapters.exchange.rest import SPARE
from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_core.rows.typed import RecentTradesRow
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.port import Venue
from cryptocdc_producer.rest.requests import Requests
from cryptocdc_producer.storage.store import Stored
from cryptocdc_producer.streams.continuity import HISTORY, Gap, Ids, Seen
from cryptocdc_producer.streams.handler import Filling, Handler, Outlets, Round, Unfinished

log = logging.getLogger(__name__)


class Trades(Handler[RecentTradesRow]):
    stream = RECENT_TRADES

    def __init__(self, settings: Any, venue: Venue, outlets: Outlets, past_ms: int = 0) -> None:
        super().__init__(settings, venue, outlets, past_ms)
        self._kind: str = settings.kind
        refill = venue.offers[self.table].refill
        self._first_id = 0 if refill is None else refill.first_id
        self._ids: dict[str, Ids] = {}

    def key(self, _: RecentTradesRow) -> None:
        """Return None: trades are never conflated."""

    def begin(self, symbol: str, stored: Stored) -> None:
        self._ids[symbol] = Ids(stored.last_trade, stored.last_trade_ms, self._first_id)

    def end(self, symbol: str) -> None:
        del self._ids[symbol]

    def expect_first(self, symbol: str, certain: bool) -> None:
        """Record that `symbol` is not listed yet: if its first trades are missed, they are a gap before the first one
        seen. `certain`: more than one answer lacks it."""
        if symbol in self._ids:
            self._ids[symbol].expect_first(certain)

    def last(self, symbol: str) -> int | None:
        """Return the last trade id known of a captured symbol."""
        return self._ids[symbol].last if symbol in self._ids else None

    def take(self, row: RecentTradesRow, _: int = 0) -> None:
        ids = self._ids[row.symbol]
        is_first = ids.last is None
        seen, missing = ids.see(row.trade_id, row.trade_time)
        if seen is Seen.DUPLICATE:
            return
        if seen is Seen.WILD:
            raise Rejected("wild-id", f"trade id {row.trade_id} after {ids.last}, and nothing that leads there")
        if missing is not None and self.refillable:
            self._found(Gap(self.table, row.symbol, "", *missing))
        elif is_first:
            self._begin_with_past(row)
        if seen is Seen.RESTART:
            log.warning("%s: trade ids restart at %d", row.symbol, row.trade_id)
            self._out.metrics.trade_id_restarts.inc()
        self._write(row)

    def _begin_with_past(self, first: RecentTradesRow) -> None:
        """Record the past of a symbol as a gap that is committed with its first trade, so that a restart continues
        with it."""
        if self._past_ms and self.refillable and self._venue.gives_by_id(self._kind):
            since_ms = first.trade_time - self._past_ms
            gap = Gap(self.table, first.symbol, "", -since_ms, first.trade_id - 1, HISTORY)
            log.info("%s: the past to start with", gap)
            self._queue(gap)

    def take_polled(self, symbol: str, rows: Iterable[RecentTradesRow]) -> None:
        """Handle trades from REST, in the order of their ids."""
        for row in rows if symbol in self._ids else ():
            try:
                self.take(row)
            except Rejected as rejected:
                self._out.refuse(rejected.reason, str(rejected), msgspec.json.encode(row), symbol)

    async def poll(self, polling: Round) -> bool:
        async def one(symbol: str) -> None:
            """Request page after page from the last known id on, so that no trade is missed between two rounds."""
            last, most = self.last(symbol), polling.requests.page
            if last is None or not self._venue.gives_by_id(self._kind):
                page = await polling.requests.trades(symbol, self._kind, None, limit=1 if last is None else most)
                await self._out.intake.room()
                self.take_polled(symbol, page.rows)
                return
            given = most
            while given >= most:
                page = await polling.requests.trades(symbol, self._kind, last + 1)
                await self._out.intake.room()
                self.take_polled(symbol, page.rows)
                given = page.given
                # Continue after a refused element: the next trade reveals it as a gap.
                last = last + given if page.last is None else max(last + 1, page.last)

        return await polling.each(one, self.has)

    def unfillable(self) -> str | None:
        gives = self._venue.gives_by_id(self._kind)
        return None if gives else "refused: this exchange does not return these trades by id"

    async def fill(self, filling: Filling, requests: Requests) -> None:
        gap = filling.gap
        if filling.at < 0:
            first = await requests.first_trade(gap.symbol, self._kind, -filling.at, SPARE)
            if first is None or first > gap.last:
                return
            filling.at = filling.first = first
        while (at := filling.at) <= gap.last:
            limit = min(requests.page, gap.last - at + 2)
            page = await requests.trades(gap.symbol, self._kind, at, limit, SPARE)
            if page.last is None or page.last < at:
                raise Unfinished(f"the exchange returns nothing from {at} on")
            await self._put(filling, [row for row in page.rows if at <= row.trade_id <= gap.last])
            filling.refused += sum(1 for refused in page.refused if refused is not None and at <= refused <= gap.last)
            filling.at = page.last + 1

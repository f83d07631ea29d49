"""The captured symbols: assigned, then looked up in PostgreSQL, then subscribed; and the reverse."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

import psycopg2

from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_exchanges.port import Channel, Venue
from cryptocdc_producer.capture import Capture
from cryptocdc_producer.connections.fleet import Fleet
from cryptocdc_producer.rest.backfill import Backfill
from cryptocdc_producer.storage.store import Store

log = logging.getLogger(__name__)

HAND_OVER_S = 5.0
"""How long a symbol that moved to another producer is still captured here, so that nothing is missed."""
_RETRY_S = 2.0


class Roster:
    """All of it runs on the event loop."""

    def __init__(
        self,
        feed: CryptoFeed,
        venue: Venue,
        store: Store,
        capture: Capture,
        fleet: Fleet,
        backfill: Backfill,
    ) -> None:
        self._streams, self._venue = feed.spec.streams, venue
        self._store, self._capture = store, capture
        self._fleet, self._backfill = fleet, backfill
        self._wanted: set[str] = set()
        """Symbols assigned to this producer."""
        self._changed = asyncio.Event()
        self._leaving: dict[str, asyncio.TimerHandle] = {}

    def channels(self, symbol: str) -> list[Channel]:
        """Return the channels that are subscribed to for `symbol`."""
        return self._venue.channels.of(self._streams, symbol)

    @property
    def wanted(self) -> set[str]:
        return set(self._wanted)

    def change(self, acquired: Iterable[str], moved: Iterable[str], removed: Iterable[str]) -> None:
        """Apply a change of the assignment; see Assignment."""
        for symbol in acquired:
            self._wanted.add(symbol)
            if (leaving := self._leaving.pop(symbol, None)) is not None:
                leaving.cancel()
        for symbol in moved:
            self._wanted.discard(symbol)
            # Its gaps are dropped only with it: if it returned earlier, nothing would report them again.
            if symbol not in self._leaving:
                self._leaving[symbol] = asyncio.get_running_loop().call_later(HAND_OVER_S, self._left, symbol)
        for symbol in removed:
            self._wanted.discard(symbol)
            self._end(symbol)
        self._changed.set()

    def _left(self, symbol: str) -> None:
        del self._leaving[symbol]
        self._end(symbol)

    def _end(self, symbol: str) -> None:
        if symbol in self._capture.symbols:
            log.info("%s: capture stopped", symbol)
            self._fleet.remove(self.channels(symbol))
            self._capture.remove(symbol)
        self._backfill.drop(symbol)

    def renew(self, symbol: str, table: str) -> None:
        """Resubscribe to the stream of `table`, which is silent while others of `symbol` are not."""
        self._fleet.renew([channel for channel in self.channels(symbol) if table in channel.tables])

    def renew_all(self, symbol: str) -> None:
        """Resubscribe to all streams of `symbol`, whose market trades again without any frame so far."""
        self._fleet.renew(self.channels(symbol))

    async def run(self) -> None:
        """Start capturing wanted symbols as soon as PostgreSQL has returned what is stored of them."""
        while True:
            self._changed.clear()
            fresh = sorted(self._wanted - self._capture.symbols)
            if fresh:
                try:
                    stored = await asyncio.to_thread(self._store.load, fresh)
                except psycopg2.Error as error:
                    log.warning("can't read from PostgreSQL what is stored: %s", str(error).strip())
                    await asyncio.sleep(_RETRY_S)
                    self._changed.set()
                else:
                    self._capture.resume(stored)
                    for symbol in fresh:
                        if symbol in self._wanted:
                            self._capture.add(symbol, stored[symbol])
                            self._backfill.add(stored[symbol].gaps)
                            if lacking := self._venue.lacking(self._streams, symbol):
                                log.info("%s: %s has no %s of it", symbol, self._venue.name, ", ".join(lacking))
                            self._fleet.add(self.channels(symbol))
                    log.info("capturing %s", ", ".join(sorted(self._capture.symbols)))
            await self._changed.wait()

"""Where the trades of a symbol begin that is captured for the first time: with as much of the past as the feed asks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import replace

from cryptocdc_adapters.exchange.rest import SPARE, ExchangeError
from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.port import Venue
from cryptocdc_producer.rest.requests import Requests
from cryptocdc_producer.storage.store import Stored

log = logging.getLogger(__name__)

_RETRIES_S = (1.0, 3.0)
"""Capture waits for the answer, so not for long."""


class PastTrades:
    def __init__(self, feed: CryptoFeed, venue: Venue, requests: Requests, wanted: bool) -> None:
        """`wanted`: whether the source has a past at all."""
        trades = feed.spec.streams.recent_trades
        self._kind = None if trades is None or not venue.gives_by_id(trades.kind) else trades.kind
        self._past_ms = feed.spec.past_ms(RECENT_TRADES.table) if wanted else 0
        self._requests = requests

    async def before(self, stored: Mapping[str, Stored]) -> dict[str, Stored]:
        """Return `stored` where the last stored trade of a symbol without any is the one before its past: the first
        trade captured then reveals that past as a gap, which is committed with it and filled like any other."""
        if self._kind is None or not self._past_ms:
            return dict(stored)
        since = time.time_ns() // 1_000_000 - self._past_ms
        return {
            symbol: known if known.last_trade is not None else await self._before(symbol, self._kind, known, since)
            for symbol, known in stored.items()
        }

    async def _before(self, symbol: str, kind: str, known: Stored, since: int) -> Stored:
        for wait in (*_RETRIES_S, None):
            try:
                first = await self._requests.first_trade(symbol, kind, since, SPARE)
            except (ExchangeError, Rejected) as problem:
                if wait is None:
                    log.warning("%s: the past of its trades is not fetched: %s", symbol, problem)
                    break
                await asyncio.sleep(wait)
            else:
                return known if first is None else replace(known, last_trade=first - 1, last_trade_ms=since)
        return known

"""What a take-over or a restart cost the streams that can't be filled later. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from cryptocdc_core import durations
from cryptocdc_core.catalogue.streams import CRYPTO_24H_STATS, LATEST_PRICES, ORDER_BOOK
from cryptocdc_core.feed import CryptoFeed
from cryptocdc_producer.store import Stored

_QUIET_MS = 5000
"""Between two rows of several symbols over WebSocket nothing unusual."""


class Outages:
    """By table, from the newest stored row of the symbols taken over to the first row captured of one of them."""

    def __init__(self, feed: CryptoFeed) -> None:
        streams = feed.spec.streams
        self._usual_ms: dict[str, int] = {}
        """By table how far apart rows may lie."""
        for stream, wanted, pace in (
            (CRYPTO_24H_STATS, streams.crypto_24h_stats, getattr(streams.crypto_24h_stats, "period", "")),
            (LATEST_PRICES, streams.latest_prices, getattr(streams.latest_prices, "period", "")),
            (ORDER_BOOK, streams.order_book, getattr(streams.order_book, "interval", "")),
        ):
            if wanted is not None:
                polled = wanted.source == "rest" or stream is ORDER_BOOK
                self._usual_ms[stream.table] = _QUIET_MS + (2000 * durations.seconds(pace) if polled else 0)
        self._open: dict[str, tuple[int, frozenset[str]]] = {}
        self._counted: dict[str, int] = {}
        """By table up to when time lost has been counted: symbols come in several lots, time is lost once."""

    def begin(self, taken_over: Mapping[str, Stored]) -> None:
        """Symbols whose capture begins now, and what is stored of them."""
        for table in self._usual_ms:
            newest = [stored.newest[table] for stored in taken_over.values() if table in stored.newest]
            if newest:
                self._open[table] = (max(newest), frozenset(taken_over))

    def end(self, table: str, symbol: str, event_ms: int) -> float:
        """Seconds that were lost up to a row of `symbol`; 0.0 unless it is the first one after a take-over."""
        since, symbols = self._open.get(table, (0, frozenset[str]()))
        if symbol not in symbols:
            return 0.0
        del self._open[table]
        lost_ms = event_ms - max(since, self._counted.get(table, 0))
        self._counted[table] = event_ms
        return lost_ms / 1000 if lost_ms > self._usual_ms[table] else 0.0

"""The table of handlers, one per stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_exchanges.port import Venue
from cryptocdc_producer.streams.conflated import BestQuotes, MarkPrices
from cryptocdc_producer.streams.handler import Handler, Outlets
from cryptocdc_producer.streams.klines import Klines
from cryptocdc_producer.streams.latest import Prices, Stats
from cryptocdc_producer.streams.order_books import OrderBooks
from cryptocdc_producer.streams.perpetuals import Liquidations, OpenInterest
from cryptocdc_producer.streams.trades import Trades

KINDS: tuple[type[Handler[Any]], ...] = (
    Trades, Klines, Stats, Prices, OrderBooks, BestQuotes, MarkPrices, OpenInterest, Liquidations,
)  # fmt: skip


class Handlers:
    """Return the handlers of the feed's streams."""

    def __init__(self, feed: CryptoFeed, venue: Venue, outlets: Outlets, has_past: bool = True) -> None:
        """`has_past`: whether the source has what happened before the start; a replayed capture has not."""
        streams = feed.spec.streams
        self.by_table: dict[str, Handler[Any]] = {
            kind.stream.table: kind(
                getattr(streams, kind.stream.table),
                venue,
                outlets,
                feed.spec.past_ms(kind.stream.table) if has_past else 0,
            )
            for kind in KINDS
            if kind.stream.table in streams.tables
        }

    def __iter__(self) -> Iterator[Handler[Any]]:
        return iter(self.by_table.values())

    @property
    def trades(self) -> Trades | None:
        found = self.by_table.get(Trades.stream.table)
        return found if isinstance(found, Trades) else None

    @property
    def order_books(self) -> OrderBooks | None:
        found = self.by_table.get(OrderBooks.stream.table)
        return found if isinstance(found, OrderBooks) else None

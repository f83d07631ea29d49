"""Extracts prices from change records. Pure."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

from cryptocdc_alerter.window import Point
from cryptocdc_core.catalogue.streams import KLINES
from cryptocdc_core.feed.alerts import price_source
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.rows.changes import Decoder, Undecodable


class Record(Protocol):
    """A record as Kafka's client returns it."""

    def topic(self) -> str: ...
    def partition(self) -> int: ...
    def offset(self) -> int: ...
    def value(self) -> bytes | None: ...
    def timestamp(self) -> tuple[int, int]: ...


class Prices:
    """Decodes prices of the stream that the feed's alerts watch."""

    def __init__(self, feed: CryptoFeed) -> None:
        self.stream, self._column = price_source(feed.spec.streams.tables)
        self._decoder = Decoder(self.stream)

    def read(self, value: bytes | None) -> tuple[str, Point] | None:
        """Return the symbol, and its price with the price's time; None for a delete. Raises Undecodable."""
        change: Any = self._decoder.decode(value)
        if change.op == "d":
            return None
        text = getattr(change, self._column)
        try:
            price = Decimal(text)
        except InvalidOperation:
            raise Undecodable(f"{self._column} {text!r} is not a decimal") from None
        if not price.is_finite() or price <= 0:
            raise Undecodable(f"{self._column} {text!r} is not a price")
        at_ms = getattr(change, self.stream.event)
        if self.stream is KLINES:
            # One fetched later, such as the past with which a feed starts, has the time of the request.
            at_ms = min(at_ms, change.close_time)
        return change.symbol, Point(at_ms, price)

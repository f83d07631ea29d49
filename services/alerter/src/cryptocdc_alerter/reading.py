"""Extracts prices from change records. Pure."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

from cryptocdc_alerter.window import Point
from cryptocdc_core.alerts import price_source
from cryptocdc_core.changes import Decoder, Undecodable
from cryptocdc_core.feed import CryptoFeed


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
        return change.symbol, Point(getattr(change, self.stream.event), price)

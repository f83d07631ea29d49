"""The markets of a venue: requests that list and rank them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from cryptocdc_core.planning.resolve import Market
from cryptocdc_exchanges.port.requests import Request


class Listing(NamedTuple):
    """What an answer says of the venue's markets, and of its own limits by their names."""

    markets: Mapping[str, Market]
    limits: Mapping[str, int] = {}


class Markets(Protocol):
    def listing(self, symbol: str | None) -> Sequence[Request[Listing]]:
        """Return the requests that together list every market, or only `symbol`. They are sent one after the other."""

    def quote_volumes(self) -> Sequence[Request[Mapping[str, float]]]:
        """Return the requests for what was traded of every market in 24 hours, in its quote asset: to rank by."""

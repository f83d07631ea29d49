"""REST: a request with its path, parameters and cost, and what its answer becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeVar

from cryptocdc_core.rows.typed import Crypto24hStatsRow, KlinesRow, LatestPricesRow, RecentTradesRow, Row
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.port.order_book import BookSnapshot

T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R", bound=Row)

MAX_BODY = 1024 * 1024
"""Bytes of an ordinary answer that are accepted."""
MAX_BODY_OF_ALL = 64 * 1024 * 1024
"""Bytes of an answer about every market of an exchange."""


@dataclass(frozen=True)
class Request(Generic[T_co]):
    """A GET request. `path` follows the base URL of REST. `read(body, now_ms)` returns what the answer says, or
    raises Rejected. It counts `cost` against the limit named `limit`.
    """

    path: str
    read: Callable[[bytes, int], T_co]
    params: Mapping[str, str | int] = field(default_factory=dict)
    cost: int = 1
    limit: str = ""
    max_bytes: int = MAX_BODY
    until: int | None = None
    """Of klines: once this time in ms has passed, the answer has all that open before it, however few. A venue says so
    that has none of intervals without a trade; elsewhere each kline shows that there is none before it."""


class Refused(NamedTuple):
    """An element of an answer that was refused: why, its bytes, and the id of its trade or the open time of its kline
    in ms, None where that can't be read."""

    rejected: Rejected
    part: bytes
    position: int | None


class Rows(NamedTuple, Generic[R]):
    """The rows of an answer, and what was refused of it alone."""

    rows: list[R]
    refused: list[Refused]


class FirstTrade(NamedTuple):
    """Ids of trades at or after a time, the first one among them; nothing at all when there is no such trade."""

    ids: list[int]
    refused: list[Refused]


class Requests(Protocol):
    """The requests for market data. Those for streams that the venue does not have over REST are never called."""

    page: int
    """Rows that the venue gives at most in one answer."""
    stats_per_request: int
    prices_per_request: int
    """Symbols that one request may name."""

    def ping(self) -> Request[object]:
        """The lightest request there is."""

    def trades(self, symbol: str, kind: str, from_id: int | None, limit: int) -> Request[Rows[RecentTradesRow]]:
        """Up to `limit` trades from `from_id` on, or the last ones. By id only what `Offer.refill` says."""

    def first_trade(self, symbol: str, kind: str, at_ms: int, limit: int) -> Request[FirstTrade] | None:
        """The first trade at or after `at_ms`, looked for among `limit`. None: the venue gives trades by id alone."""

    def klines(self, symbol: str, interval: str, start_ms: int | None, limit: int) -> Request[Rows[KlinesRow]]:
        """Up to `limit` klines whose open times are `start_ms` or later, or the last ones; of a venue that leaves some
        out those of `limit` intervals. Those that the venue may still change are not `closed`."""

    def stats(self, symbols: Sequence[str]) -> Request[Rows[Crypto24hStatsRow]]:
        """The 24-hour statistics of several symbols, of which one that is unknown may spoil the answer for all."""

    def prices(self, symbols: Sequence[str]) -> Request[Rows[LatestPricesRow]]:
        """The latest prices of several symbols, likewise."""

    def book(self, symbol: str, levels: int) -> Request[BookSnapshot]:
        """The best `levels` of each side, or more."""

"""The base of all stream handlers, which turn received events into rows for the writer. Each stream has one."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_core.rows.typed import Row
from cryptocdc_core.time import durations
from cryptocdc_exchanges.port import BookUpdate, Venue
from cryptocdc_producer.rest.requests import Requests
from cryptocdc_producer.storage.intake import Data, Intake
from cryptocdc_producer.storage.store import Stored
from cryptocdc_producer.streams.continuity import HISTORY, Gap
from cryptocdc_producer.streams.outage import Outage

log = logging.getLogger(__name__)

R = TypeVar("R", bound=Row | BookUpdate)
W = TypeVar("W", bound=Row)

Refuse = Callable[[str, str, bytes, str | None], None]
"""Called for each refusal: reason, detail, frame, symbol."""


@dataclass(frozen=True)
class Outlets:
    """Where handlers send their rows and gaps."""

    intake: Intake
    metrics: ProducerMetrics
    on_gap: Callable[[Gap], None]
    """Called once with each gap, after it was queued for the writer."""
    on_book_lost: Callable[[str, str], None]
    """Called with the symbol of a book that needs a snapshot, and why."""
    refuse: Refuse


@dataclass
class Filling:
    """The progress of filling a gap: where to continue, rows written so far, elements refused, attempts made.

    `first`: the position of the first element that the exchange returned, None while there is none.
    """

    gap: Gap
    at: int
    filled: int = 0
    refused: int = 0
    attempts: int = 0
    first: int | None = None

    @property
    def expected(self) -> int:
        """Return how many rows the gap has: of a symbol's past only those from the first one that exists on."""
        if self.gap.reason != HISTORY:
            return self.gap.size
        return 0 if self.first is None else max(0, self.gap._replace(first=self.first).size)


class Unfinished(Exception):
    """The exchange has not returned all rows of a gap, but may later."""


class Round(Protocol):
    """One round of polling, for the symbols that this producer has now."""

    requests: Requests

    async def each(self, poll: Callable[[str], Awaitable[None]], has: Callable[[str], bool]) -> bool:
        """Poll every symbol that `has` the stream separately, so that a failure affects only one. Returns whether any
        request was answered."""

    async def together(
        self, size: int, ask: Callable[[list[str]], Awaitable[list[W]]], take: Callable[[W], None]
    ) -> bool:
        """Request `size` symbols at once. Returns whether any request was answered."""


class Handler(ABC, Generic[R]):
    """One stream of a feed. All of it runs on the event loop.

    `refillable`: missed rows can be fetched later, so they are recorded as gaps; for other streams the time without
    rows is counted. `by_websocket`: rows arrive in frames; otherwise they are polled. `has`: whether a market has the
    stream.
    """

    stream: ClassVar[Stream]
    sporadic: ClassVar[bool] = False
    """Whether rows come only when something happens, so that silence does not indicate an outage."""

    def __init__(self, settings: Any, venue: Venue, outlets: Outlets, past_ms: int = 0) -> None:
        """`settings`: the stream's field of the feed; `past_ms`: how much of the past a symbol starts with."""
        self._past_ms = past_ms
        self._venue, self._out = venue, outlets
        self._settings = settings
        offer = venue.offers[self.table]
        self.refillable = offer.of(settings).refill is not None
        self.has = offer.covers
        self.by_websocket = offer.source(settings) == "websocket"
        self._event_ms: Callable[[Row], int] = attrgetter(self.stream.event)
        self._outage = Outage(self.pace_s)

    @property
    def table(self) -> str:
        return self.stream.table

    @property
    def period_s(self) -> int:
        """Seconds between two rounds of polling."""
        return durations.seconds(self._settings.period)

    @property
    def pace_s(self) -> int:
        """The longest normal time between two rows of one symbol, in seconds."""
        return 0 if self.by_websocket else self.period_s

    def resume(self, taken_over: Mapping[str, Stored]) -> None:
        """Record what is stored of symbols, before `begin`, so that the time without capture is counted."""
        if not self.refillable and not self.sporadic:
            self._outage.begin({symbol: stored.newest.get(self.table) for symbol, stored in taken_over.items()})

    def key(self, row: Any) -> tuple[str, ...] | None:
        """Return the key by which rows are conflated when the writer is behind; None if every row must be written."""
        return (row.symbol,)

    def begin(self, symbol: str, stored: Stored) -> None:
        """Start with `symbol`; `stored` is what PostgreSQL has of it."""

    def end(self, symbol: str) -> None:
        """Stop with `symbol` and write rows held back."""

    def tick(self, now: float) -> None:
        """Write rows held back long enough; called several times per second with the monotonic clock."""

    @abstractmethod
    def take(self, row: R, now_ms: int) -> None:
        """Handle an event from a frame, of a captured symbol. Raises Rejected."""

    async def poll(self, polling: Round) -> bool:
        """Poll once. Returns whether any request was answered."""
        raise NotImplementedError(f"{self.table} is not polled")

    def unfillable(self) -> str | None:
        """Return why no gap of this stream can be filled, None if they can."""
        return None

    async def fill(self, filling: Filling, requests: Requests) -> None:
        """Fetch the rows of a gap from `filling.at` on. Raises Unfinished, ExchangeError, Rejected."""
        raise NotImplementedError(f"{self.table} is not refillable")

    async def _put(self, filling: Filling, rows: Sequence[Row]) -> None:
        """Write rows of a gap."""
        await self._out.intake.room()
        self._out.intake.put_rows(rows, live=False)
        filling.filled += len(rows)

    def _found(self, gap: Gap) -> None:
        """Queue the gap before the row that revealed it, so that both are committed together."""
        log.info("%s: %d missing", gap, gap.size)
        self._out.metrics.gaps.labels(gap.table).inc()
        self._queue(gap)

    def _queue(self, gap: Gap) -> None:
        self._out.intake.put(gap)
        self._out.on_gap(gap)

    def _note(self, row: Row) -> None:
        """Count the outage that ends with this row, for a stream that can't be filled later."""
        if lost_s := self._outage.end(row.symbol, self._event_ms(row)):
            log.info("%s: nothing for %.1f s", self.table, lost_s)
            self._out.metrics.outage_seconds.labels(self.table).inc(lost_s)

    def _write(self, row: Row) -> None:
        """Write a row, which may replace a queued one with the same key if the writer is behind."""
        if not self.refillable:
            self._note(row)
        key = self.key(row)
        if key is None:
            self._out.intake.put(Data(row))
        else:
            self._out.intake.put_state(key, row)

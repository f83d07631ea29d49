"""What the handlers of all streams have in common: one for each stream of the feed, from what came to the writer."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from cryptocdc_core import durations
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.metrics import ProducerMetrics
from cryptocdc_core.rows import Row
from cryptocdc_exchanges.port import BookUpdate, Venue
from cryptocdc_producer.rest.requests import Requests
from cryptocdc_producer.storage.intake import Data, Intake
from cryptocdc_producer.storage.store import Stored
from cryptocdc_producer.streams.continuity import Gap
from cryptocdc_producer.streams.outage import Outage

log = logging.getLogger(__name__)

R = TypeVar("R", bound=Row | BookUpdate)
W = TypeVar("W", bound=Row)

Refuse = Callable[[str, str, bytes, str | None], None]
"""Called with what was refused: reason, detail, frame, symbol."""


@dataclass(frozen=True)
class Outlets:
    """Where handlers put what they make."""

    intake: Intake
    metrics: ProducerMetrics
    on_gap: Callable[[Gap], None]
    """Called with each gap once, which the writer has been given before."""
    on_book_lost: Callable[[str, str], None]
    """Called with the symbol of a book that needs a snapshot, and why."""
    refuse: Refuse


@dataclass
class Filling:
    """How far a gap is filled: where to go on, rows written so far, elements refused, attempts made."""

    gap: Gap
    at: int
    filled: int = 0
    refused: int = 0
    attempts: int = 0


class Unfinished(Exception):
    """The exchange has not given all of a gap, and may yet."""


class Round(Protocol):
    """One round of polling: for the symbols that this producer has now."""

    requests: Requests

    async def each(self, poll: Callable[[str], Awaitable[None]]) -> bool:
        """Poll every symbol by itself: what goes wrong with one is its own. Returns whether any was answered."""

    async def together(
        self, size: int, ask: Callable[[list[str]], Awaitable[list[W]]], take: Callable[[W], None]
    ) -> bool:
        """Request `size` symbols at once. Returns whether any request was answered."""


class Handler(ABC, Generic[R]):
    """One stream of a feed. All of it runs on the event loop.

    `refillable`: what is missed can be fetched later, so it is recorded as gaps; of other streams the time without rows
    is counted. `by_websocket`: its rows come in frames; else they are polled.
    """

    stream: ClassVar[Stream]
    sporadic: ClassVar[bool] = False
    """Whether rows come only when something happens: then silence says nothing, and no outage can be told from it."""

    def __init__(self, settings: Any, venue: Venue, outlets: Outlets) -> None:
        """`settings`: the stream's field of the feed."""
        self._venue, self._out = venue, outlets
        self._settings = settings
        offer = venue.offers[self.table]
        self.refillable = offer.of(settings).refill is not None
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
        """Seconds that may lie between two rows of one symbol without anything being wrong."""
        return 0 if self.by_websocket else self.period_s

    def resume(self, taken_over: Mapping[str, Stored]) -> None:
        """Take what is stored of symbols, before `begin`, so that the time without capture is counted."""
        if not self.refillable and not self.sporadic:
            self._outage.begin({symbol: stored.newest.get(self.table) for symbol, stored in taken_over.items()})

    def key(self, row: Any) -> tuple[str, ...] | None:
        """Return the key of which only the newest row matters when the writer is behind; None if every row matters."""
        return (row.symbol,)

    def begin(self, symbol: str, stored: Stored) -> None:
        """Begin with `symbol`, of which `stored` is in PostgreSQL."""

    def end(self, symbol: str) -> None:
        """End with `symbol`: write what is held back."""

    def tick(self, now: float) -> None:
        """Write what has been held back long enough; called several times a second with the monotonic clock."""

    @abstractmethod
    def take(self, row: R, now_ms: int) -> None:
        """Take what a frame held, of a symbol that is captured. Raises Rejected."""

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
        """The gap goes to the writer before the row that uncovered it: both are committed together."""
        log.info("%s %s %s: %d missing, %d to %d", gap.table, gap.symbol, gap.interval, gap.size, gap.first, gap.last)
        self._out.metrics.gaps.labels(gap.table).inc()
        self._out.intake.put(gap)
        self._out.on_gap(gap)

    def _note(self, row: Row) -> None:
        """Count an outage that ends with this row, of a stream that can't be filled later."""
        if lost_s := self._outage.end(row.symbol, self._event_ms(row)):
            log.info("%s: nothing for %.1f s", self.table, lost_s)
            self._out.metrics.outage_seconds.labels(self.table).inc(lost_s)

    def _write(self, row: Row) -> None:
        """Write a row, which may take the place of an older one with the same key if the writer is behind."""
        if not self.refillable:
            self._note(row)
        key = self.key(row)
        if key is None:
            self._out.intake.put(Data(row))
        else:
            self._out.intake.put_state(key, row)

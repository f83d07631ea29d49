"""A producer without connections: it is given the frames of a venue's dialect, and sends its requests to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_core.rows.typed import Row
from cryptocdc_producer.capture import Capture
from cryptocdc_producer.rest.backfill import Backfill
from cryptocdc_producer.rest.requests import Requests
from cryptocdc_producer.storage.intake import Data, GapEnd, Intake
from cryptocdc_producer.storage.store import Stored
from cryptocdc_producer.streams.continuity import Gap
from cryptocdc_producer.streams.handler import Outlets
from cryptocdc_producer.streams.handlers import Handlers

from .simulated import Simulated, SimulatedRest


@dataclass
class Producing:
    """A producer that receives frames, with access to the venue's REST API."""

    simulated: Simulated
    feed: CryptoFeed
    gaps: list[Gap] = field(default_factory=list)
    lost_books: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        metrics = ProducerMetrics("test")
        self.intake = Intake(metrics)

        def refuse(reason: str, detail: str, _: bytes, __: str | None) -> None:
            self.refused.append((reason, detail))

        outlets = Outlets(
            self.intake, metrics, self.gaps.append, lambda _, reason: self.lost_books.append(reason), refuse
        )  # fmt: skip
        venue = self.simulated.venue
        self.handlers = Handlers(self.feed, venue, outlets)
        self.capture = Capture(self.feed, venue, self.handlers, metrics, refuse)
        self.capture.add(self.simulated.symbol, Stored())
        self._requests: Callable[[], Requests] = lambda: Requests(SimulatedRest(self.simulated), metrics, refuse)
        self._metrics = metrics

    def receive(self, frames: Iterable[bytes]) -> None:
        for frame in frames:
            self.capture.receive(frame)

    def rows(self) -> list[Any]:
        """Return the rows for the writer, in order."""
        found: list[Row] = []
        while entries := self.intake.take(0.01):
            found += [entry.row for entry in entries if isinstance(entry, Data)]
        return found

    def fill(self) -> list[Any]:
        """Fill the gaps that were found; return the rows for the writer until all gaps have ended."""

        async def filled() -> list[Any]:
            requests = self._requests()
            backfill = Backfill(self.handlers.by_table, requests, self.intake, self._metrics)
            backfill.add(self.gaps)
            task = asyncio.create_task(backfill.run())
            entries: list[Any] = []
            async with asyncio.timeout(20):
                while sum(isinstance(entry, GapEnd) for entry in entries) < len(set(self.gaps)):
                    entries += self.intake.take(0.01)
                    await asyncio.sleep(0.01)
            task.cancel()
            requests.close()
            assert [entry.reason for entry in entries if isinstance(entry, GapEnd) and entry.reason] == []
            return [entry.row for entry in entries if isinstance(entry, Data)]

        return asyncio.run(filled())

    def snapshot(self) -> bool:
        """Fetch a snapshot over REST."""

        async def fetched() -> bool:
            requests = self._requests()
            levels = self.simulated.venue.order_book.levels[-1]
            try:
                found = await requests.snapshot(self.simulated.symbol, levels, 1.0)
            finally:
                requests.close()
            assert self.handlers.order_books is not None
            return self.handlers.order_books.take_snapshot(self.simulated.symbol, found, levels)

        return asyncio.run(fetched())

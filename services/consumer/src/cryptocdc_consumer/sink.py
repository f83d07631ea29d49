"""Writes batches to Cassandra: several in flight, retried after transient faults, halved after permanent ones.

The driver's callbacks run in its own thread and only record the outcome. Everything else happens in the thread that
calls `settle`.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from cassandra import InvalidRequest
from cassandra.protocol import ProtocolException, SyntaxException

from cryptocdc_consumer.intake import Batch, Entry
from cryptocdc_core.program.backoff import Backoff
from cryptocdc_core.program.metrics import ConsumerMetrics

log = logging.getLogger(__name__)

IN_FLIGHT = 32
"""Maximum number of batches sent or waiting for a retry, which bounds memory."""

BACKOFF = Backoff(0.1, 5.0)
LOG_EVERY_S = 10.0
STALLED_S = 5.0
"""After this long without a response, Cassandra counts as not writable; a write takes milliseconds, a long garbage
collection a second or two."""
ERROR_LENGTH = 300

_RECORDS_FAULT = (InvalidRequest, SyntaxException, ProtocolException)
# Also an InvalidRequest, but a missing table is not the record's fault: the batch is retried until the table exists.
_MISSING = ("unconfigured table", "does not exist", "doesn't exist", "unknown keyspace")


class Future(Protocol):
    def add_callbacks(self, callback: Callable[[Any], None], errback: Callable[[Exception], None]) -> None: ...


Send = Callable[[Batch], Future]
"""Sends a batch to Cassandra; may raise the driver's exceptions."""


@dataclass(slots=True)
class Settled:
    """The outcomes since the last call."""

    acknowledged: list[Batch] = field(default_factory=list)
    refused: list[tuple[Batch, Entry, str]] = field(default_factory=list)
    """Single rows that Cassandra refuses, with its message."""


class Sink:
    def __init__(
        self,
        send: Send,
        metrics: ConsumerMetrics,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._send = send
        self._metrics = metrics
        self._now = now
        self._wall = wall
        self._outcomes: deque[tuple[Batch, Exception | None, float]] = deque()
        self._came = threading.Event()
        self._retries: list[tuple[float, int, Batch]] = []
        self._order = itertools.count()
        self._sent = 0
        self._waiting_since: float | None = None
        """Since when Cassandra has not responded while batches wait for it."""
        self._last_error = ""
        self._logged_at = float("-inf")
        metrics.write_stalled_seconds.set_function(lambda: self.stalled_s)

    @property
    def unsettled(self) -> int:
        """Number of batches that are not acknowledged."""
        return self._sent + len(self._retries)

    @property
    def full(self) -> bool:
        return self.unsettled >= IN_FLIGHT

    @property
    def stalled_s(self) -> float:
        """Seconds since Cassandra's last response while batches wait for one, otherwise 0.0. Thread-safe."""
        since = self._waiting_since
        return 0.0 if since is None else max(0.0, self._now() - since)

    def obstacle(self) -> str | None:
        """Return why nothing can be written, None while Cassandra responds. Thread-safe."""
        stalled_s = self.stalled_s
        if stalled_s < STALLED_S:
            return None
        return f"Cassandra has acknowledged nothing for {stalled_s:.0f} s: {self._last_error or 'no response'}"

    def wait(self, timeout_s: float) -> None:
        """Wait for an outcome."""
        self._came.wait(timeout_s)

    def send(self, batch: Batch) -> None:
        batch.attempts += 1
        self._sent += 1
        started = self._now()
        if self._waiting_since is None:
            self._waiting_since = started
        try:
            self._send(batch).add_callbacks(
                lambda _: self._note(batch, None, started), lambda error: self._note(batch, error, started)
            )
        except Exception as error:  # from the driver itself: no host, a full connection
            self._note(batch, error, started)

    def settle(self) -> Settled:
        """Handle the outcomes, and send the retries that are due."""
        self._came.clear()
        settled = Settled()
        answered = False
        while self._outcomes:
            batch, error, seconds = self._outcomes.popleft()
            self._sent -= 1
            if error is None:
                answered = True
                self._metrics.batches.inc()
                self._metrics.write_seconds.observe(seconds)
                settled.acknowledged.append(batch)
            elif isinstance(error, _RECORDS_FAULT) and not any(word in str(error) for word in _MISSING):
                answered = True
                self._halve(batch, error, settled)
            else:
                self._retry_later(batch, error)
        now = self._now()
        if answered:
            self._waiting_since, self._last_error = now if self.unsettled else None, ""
        while self._retries and self._retries[0][0] <= now:
            self.send(heapq.heappop(self._retries)[2])
        return settled

    def _note(self, batch: Batch, error: Exception | None, started: float) -> None:
        batch.acknowledged_at = self._wall()
        self._outcomes.append((batch, error, self._now() - started))
        self._came.set()

    def _halve(self, batch: Batch, error: Exception, settled: Settled) -> None:
        """Send both halves, until the faulty row is isolated and all others are written."""
        if len(batch.entries) == 1:
            settled.refused.append((batch, batch.entries[0], str(error)))
            return
        self._metrics.retries.labels("halved").inc()
        batch.chunk.pending += 1
        for half in batch.halves():
            self.send(half)

    def _retry_later(self, batch: Batch, error: Exception) -> None:
        reason = type(error).__name__
        self._last_error = f"{reason}: {error}"[:ERROR_LENGTH]
        self._metrics.retries.labels(reason).inc()
        wait = BACKOFF.after(batch.attempts)
        heapq.heappush(self._retries, (self._now() + wait * random.uniform(0.5, 1), next(self._order), batch))
        if self._now() - self._logged_at > LOG_EVERY_S:
            self._logged_at = self._now()
            log.warning("Cassandra: %s: %s; batches are retried until it accepts them", reason, error)

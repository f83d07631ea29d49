"""The bounded queue between reading and writing, in the order of arrival.

Trades, closed klines and gaps are never dropped; when the queue is full, reading pauses (`room`). Of states (prices,
statistics, open klines, books) only the newest of each key is kept once the writer is behind.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_core.rows.typed import Row
from cryptocdc_producer.streams.continuity import Gap

CAPACITY_ROWS = 50_000
"""About 50 MB of Python, and some minutes of a busy feed."""
BEHIND_ROWS = 5_000
"""One full batch; beyond this size states are conflated."""

BATCH_ROWS = 5_000
BATCH_AGE_S = 0.02
"""Maximum time for which rows are gathered into a batch."""


class Data(NamedTuple):
    """A queued row. `live`: just captured, so that its latency is meaningful."""

    row: Row
    live: bool = True


class GapEnd(NamedTuple):
    """A gap that is no longer open: `state` is filled or unfillable."""

    gap: Gap
    state: str
    reason: str


class GapWait(NamedTuple):
    """A gap that stays open, and what it waits for."""

    gap: Gap
    reason: str


Entry = Data | Gap | GapEnd | GapWait


class Intake:
    """Filled by the event loop, emptied by the writer's thread."""

    def __init__(self, metrics: ProducerMetrics) -> None:
        self._metrics = metrics
        self._entries: deque[list[Entry]] = deque()
        self._states: dict[tuple[str, ...], list[Entry]] = {}
        """By key, the index of the newest state that has not been taken."""
        self._lock = threading.Lock()
        self._filled = threading.Event()
        self._closed = False
        metrics.queue_capacity.set(CAPACITY_ROWS)
        metrics.queue_rows.set_function(lambda: len(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, *entries: Entry) -> None:
        """Append an entry that must be written. The caller waits for `room` before it reads more."""
        with self._lock:
            for entry in entries:
                self._entries.append([entry])
        self._filled.set()

    def put_rows(self, rows: Iterable[Row], live: bool = True) -> None:
        self.put(*[Data(row, live) for row in rows])

    def put_state(self, key: tuple[str, ...], row: Row) -> None:
        """Append a state. If the writer is behind, it replaces a queued state with the same key."""
        table = row.stream.table
        key = (table, *key)
        with self._lock:
            slot = self._states.get(key)
            if slot is not None and len(self._entries) > BEHIND_ROWS:
                slot[0] = Data(row)
                self._metrics.conflated.labels(table).inc()
                return
            slot = [Data(row)]
            self._states[key] = slot
            self._entries.append(slot)
        self._filled.set()

    async def room(self) -> None:
        """Return when the queue is not full; until then reading pauses."""
        if len(self._entries) < CAPACITY_ROWS:
            return
        began = time.monotonic()
        while len(self._entries) >= CAPACITY_ROWS:  # noqa: ASYNC110 - it is another thread that makes room
            await asyncio.sleep(0.01)
        self._metrics.paused_seconds.inc(time.monotonic() - began)

    def take(self, timeout_s: float) -> list[Entry]:
        """Return the next batch in order, or nothing after `timeout_s`. For the writer's thread."""
        if not self._filled.wait(timeout_s):
            return []
        if len(self._entries) < BATCH_ROWS and not self._closed:
            time.sleep(BATCH_AGE_S)
        with self._lock:
            slots = [self._entries.popleft() for _ in range(min(BATCH_ROWS, len(self._entries)))]
            if not self._entries:
                self._states.clear()
                if not self._closed:
                    self._filled.clear()
            else:
                taken = {id(slot) for slot in slots}
                self._states = {key: slot for key, slot in self._states.items() if id(slot) not in taken}
        return [slot[0] for slot in slots]

    def close(self) -> None:
        """Accept no more entries: `take` no longer waits, and `done` becomes true once everything was taken."""
        self._closed = True
        self._filled.set()

    @property
    def done(self) -> bool:
        return self._closed and not self._entries

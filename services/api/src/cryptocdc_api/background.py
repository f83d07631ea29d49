"""The API's background work: connecting to Cassandra, reading Kafka, handing new rows to the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from cryptocdc_adapters.metrics.serving import Health
from cryptocdc_api.live.changes import Changes
from cryptocdc_api.live.subscriptions import Row, Subscriptions
from cryptocdc_api.reading.reader import Reader
from cryptocdc_api.reading.shared import Shared
from cryptocdc_core.program.metrics import ApiMetrics

TURN_S = 1.0
STOP_LIMIT_S = 5.0
SERVING, CASSANDRA, CHANGES = "serving", "cassandra", "changes"


class Loops:
    """Calls `beat` once every loop in `names` has completed a round since the last beat. `turned` is thread-safe."""

    def __init__(self, names: Iterable[str], beat: Callable[[], None]) -> None:
        self._names = frozenset(names)
        self._pending = set(self._names)
        self._beat = beat
        self._lock = threading.Lock()

    def turned(self, name: str) -> None:
        with self._lock:
            self._pending.discard(name)
            if not self._pending:
                self._pending.update(self._names)
                self._beat()


@dataclass
class Background:
    reader: Reader
    changes: Changes
    subscriptions: Subscriptions
    shared: Shared | None
    metrics: ApiMetrics
    health: Health

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Enter on the event loop that serves requests."""
        loop, stop = asyncio.get_running_loop(), threading.Event()
        loops = Loops((SERVING, CASSANDRA, CHANGES), self.health.beat)
        connected, read = partial(loops.turned, CASSANDRA), partial(loops.turned, CHANGES)

        def publish(rows: list[Row]) -> None:
            loop.call_soon_threadsafe(self._publish, rows)

        threads = [
            threading.Thread(target=self.reader.keep_connecting, args=(stop, connected), name=CASSANDRA, daemon=True),
            threading.Thread(target=self.changes.run, args=(stop, publish, read), name=CHANGES, daemon=True),
        ]
        for thread in threads:
            thread.start()
        turning = asyncio.create_task(self._turn(loops))
        try:
            yield
        finally:
            turning.cancel()
            stop.set()
            await asyncio.gather(*(asyncio.to_thread(thread.join, STOP_LIMIT_S) for thread in threads))
            self.reader.close()
            if self.shared is not None:
                await self.shared.close()

    def _publish(self, rows: list[Row]) -> None:
        for table, count in self.subscriptions.publish(rows).items():
            self.metrics.live_rows.labels(table).inc(count)

    async def _turn(self, loops: Loops) -> None:
        """Report a round of the event loop every TURN_S; one that hangs reports none."""
        while True:
            loops.turned(SERVING)
            await asyncio.sleep(TURN_S)

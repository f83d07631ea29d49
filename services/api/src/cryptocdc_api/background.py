"""What goes on while the API serves: Cassandra is connected, Kafka read, its rows handed to the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cryptocdc_adapters.serving import Health
from cryptocdc_api.changes import Changes
from cryptocdc_api.reader import Reader
from cryptocdc_api.shared import Shared
from cryptocdc_api.subscriptions import Row, Subscriptions
from cryptocdc_core.metrics import ApiMetrics

BEAT_S = 1.0
STOP_LIMIT_S = 5.0


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
        """Enter it on the event loop that serves."""
        loop, stop = asyncio.get_running_loop(), threading.Event()

        def hand_on(rows: list[Row]) -> None:
            loop.call_soon_threadsafe(self._publish, rows)

        threads = [
            threading.Thread(target=self.reader.keep_connecting, args=(stop,), name="cassandra", daemon=True),
            threading.Thread(target=self.changes.run, args=(stop, hand_on), name="changes", daemon=True),
        ]
        for thread in threads:
            thread.start()
        beating = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            beating.cancel()
            stop.set()
            await asyncio.gather(*(asyncio.to_thread(thread.join, STOP_LIMIT_S) for thread in threads))
            self.reader.close()
            if self.shared is not None:
                await self.shared.close()

    def _publish(self, rows: list[Row]) -> None:
        for table, count in self.subscriptions.publish(rows).items():
            self.metrics.live_rows.labels(table).inc(count)

    async def _beat(self) -> None:
        """An event loop that hangs does not beat."""
        while True:
            self.health.beat()
            await asyncio.sleep(BEAT_S)

"""The WebSocket connections: each channel always on one of them, or on two while one takes over from the other."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable

from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_exchanges.port import Channel, Control, Venue
from cryptocdc_producer.connections.line import Line

Receive = Callable[[bytes], Control | None]


class Fleet:
    """All connections. `receive` is called with each frame; `room` returns when more may be read."""

    def __init__(
        self,
        venue: Venue,
        receive: Receive,
        room: Callable[[], Awaitable[None]],
        metrics: ProducerMetrics,
        on_outage: Callable[[Iterable[Channel], float], None],
        sporadic: frozenset[str] = frozenset(),
    ) -> None:
        """`on_outage`: the channels that were without data, and for how many seconds. `sporadic`: the tables whose
        silence does not indicate an outage."""
        self.base_url, self.channels, self.limits = venue.hosts.websocket, venue.channels, venue.channels.limits
        self.receive, self.room, self.metrics, self.on_outage = receive, room, metrics, on_outage
        self.sporadic = sporadic
        self._lines: list[Line] = []
        self._users: Counter[Channel] = Counter()
        """By channel how often it was added: that of all markets is wanted by each of them."""
        self._attempts: deque[float] = deque()

    def add(self, channels: Iterable[Channel]) -> None:
        """Subscribe to `channels`, on connections that have room or on new ones."""
        for channel in channels:
            self._users[channel] += 1
            if self._users[channel] > 1:
                continue
            line = next((line for line in self._lines if line.has_room(channel)), None)
            if line is None:
                line = Line(self, channel.path)
                self._lines.append(line)
            line.channels[channel] = None
            line.change()

    def remove(self, channels: Iterable[Channel]) -> None:
        """End the subscriptions to `channels`, each of them once all who added it have removed it."""
        leaving = Counter(channels)
        self._users -= leaving
        gone = {channel for channel in leaving if not self._users[channel]}
        for line in list(self._lines):
            for channel in gone & line.channels.keys():
                del line.channels[channel]
                line.change()
            if not line.channels:
                self._lines.remove(line)
                line.task.cancel()

    def renew(self, channels: Iterable[Channel]) -> None:
        """Subscribe again to `channels`, which fell silent while others of their connection did not."""
        wanted = set(channels)
        for line in self._lines:
            line.renewed |= wanted & line.channels.keys()
            line.change()

    async def close(self) -> None:
        tasks = [line.task for line in self._lines]
        self._lines.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def attempt(self) -> None:
        """Return when another connection may be tried."""
        within_s = self.limits.attempts_s
        while True:
            now = time.monotonic()
            while self._attempts and now - self._attempts[0] >= within_s:
                self._attempts.popleft()
            if len(self._attempts) < self.limits.attempts:
                break
            # Looked at again afterwards: of all connections that wait, only some may be tried.
            await asyncio.sleep(within_s - (now - self._attempts[0]))
        self._attempts.append(now)

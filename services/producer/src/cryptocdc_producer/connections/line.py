"""Channels that flow over one connection after the other."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING

from cryptocdc_core.program.backoff import Backoff
from cryptocdc_exchanges.port import Channel
from cryptocdc_producer.connections.session import Session

if TYPE_CHECKING:
    from cryptocdc_producer.connections.fleet import Fleet

log = logging.getLogger(__name__)

SILENCE_S = 30.0
"""A connection without a frame for this long is replaced; the limit doubles each time that does not help."""
_TAKE_OVER_S = 15.0
"""How long the old connection waits for the first frame of the new one."""
_BACKOFF = Backoff(0.5, 30.0)


class Line:
    """A sequence of connections that carry the same channels."""

    def __init__(self, fleet: Fleet, path: str) -> None:
        self.fleet, self._path = fleet, path
        self.url = fleet.base_url + path
        self.channels: dict[Channel, None] = {}
        self.renewed: set[Channel] = set()
        self.changed = asyncio.Event()
        """Replaced at each change: while one connection takes over from another, both follow the channels."""
        self.silence_s = SILENCE_S
        self.heard = time.monotonic()
        self.down_since: float | None = None
        self.task = asyncio.create_task(self._run(), name="line")

    def has_room(self, channel: Channel) -> bool:
        return channel.path == self._path and len(self.channels) < self.fleet.limits.channels

    def change(self) -> None:
        """Notify the connections that `channels` or `renewed` has changed, also one that is busy with a command."""
        self.changed.set()
        self.changed = asyncio.Event()

    async def _run(self) -> None:
        """Run forever: without it the streams would never be reconnected."""
        while True:
            try:
                await self._connect()
            except Exception:
                log.exception("connection to %s failed unexpectedly, reconnecting", self.url)
                self.fleet.metrics.reconnects.labels("failed").inc()
                await asyncio.sleep(_BACKOFF.longest_s * random.uniform(0.5, 1.0))

    async def _connect(self) -> None:
        """One connection after the other."""
        current: Session | None = None
        failures = 0
        try:
            while True:
                try:
                    await self.fleet.attempt()
                    fresh = await Session.open(self)
                except Exception as error:  # any failure of address, resolver or proxy may be transient
                    failures += 1
                    delay, problem = _BACKOFF.after(failures), str(error) or type(error).__name__
                    log.warning("no connection to %s, retrying in %.1f s: %s", self.url, delay, problem)
                    self.fleet.metrics.reconnects.labels("failed").inc()
                    await asyncio.sleep(delay * random.uniform(0.5, 1.0))
                    continue
                before, current = current, fresh
                if before is not None:
                    if before.reader.done():  # it ended while no other one could be opened
                        self.down_since = self.down_since or self.heard
                    try:
                        await asyncio.wait(
                            [fresh.first, fresh.reader], timeout=_TAKE_OVER_S, return_when="FIRST_COMPLETED"
                        )
                    finally:
                        await before.close()
                reason = await current.over()
                if current.frames:
                    failures = 0
                self.fleet.metrics.reconnects.labels(reason).inc()
                log.info("connection with %d channels ended: %s", len(self.channels), reason)
                if reason == "silence" and self._expects_frames():
                    # What a dead connection was sent is lost, although it was never closed.
                    self.down_since = self.down_since or self.heard
                if current.reader.done():
                    self.down_since = self.down_since or self.heard
                    current = None
                    failures += 1
                    await asyncio.sleep(_BACKOFF.after(failures) * random.uniform(0.2, 1.0))
        finally:
            if current is not None:
                await current.close()

    def _expects_frames(self) -> bool:
        return any(set(channel.tables) - self.fleet.sporadic for channel in self.channels)

    def frame(self, session: Session) -> None:
        """Record that `session` received a data frame."""
        self.heard = time.monotonic()
        session.heard = self.heard
        session.frames += 1
        self.silence_s = SILENCE_S
        if not session.first.done():
            session.first.set_result(None)
        if self.down_since is not None:
            self.fleet.on_outage(self.channels, self.heard - self.down_since)
            self.down_since = None

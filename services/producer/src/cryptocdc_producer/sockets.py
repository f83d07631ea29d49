"""The WebSocket connections: each channel always on one of them, or on two while one takes over from the other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from cryptocdc_adapters.http_client import proxy_of
from cryptocdc_core.metrics import ProducerMetrics
from cryptocdc_exchanges.port import Alive, Channel, Closing, Control, Reply, Venue

log = logging.getLogger(__name__)

SILENCE_S = 30.0
"""Without a frame for so long a connection is replaced; twice as long each time that does not help."""
_LONGEST_SILENCE_S = 600.0
_MAX_BYTES = 16 * 1024 * 1024
"""A frame that is merely too big is refused and the connection lives on; one beyond this ends the connection."""
_REPLY_S = 15.0
_TAKE_OVER_S = 15.0
"""How long the old connection waits for the first frame of the new one."""
_BACKOFF_S = (0.5, 30.0)

Receive = Callable[[bytes], Control | None]


class Fleet:
    """All connections. `receive` is given each frame; `room` returns when more may be read."""

    def __init__(
        self,
        venue: Venue,
        receive: Receive,
        room: Callable[[], Awaitable[None]],
        metrics: ProducerMetrics,
        on_outage: Callable[[Iterable[Channel], float], None],
    ) -> None:
        """`on_outage`: the channels that were without data, and for how many seconds."""
        self.base_url, self.channels, self.limits = venue.hosts.websocket, venue.channels, venue.channels.limits
        self.receive, self.room, self.metrics, self.on_outage = receive, room, metrics, on_outage
        self._lines: list[_Line] = []
        self._attempts: deque[float] = deque()

    def add(self, channels: Iterable[Channel]) -> None:
        """Subscribe to `channels`, on connections that have room or on new ones."""
        for channel in channels:
            line = next((line for line in self._lines if line.has_room(channel)), None)
            if line is None:
                line = _Line(self, channel.path)
                self._lines.append(line)
            line.channels[channel] = None
            line.changed.set()

    def remove(self, channels: Iterable[Channel]) -> None:
        gone = set(channels)
        for line in list(self._lines):
            for channel in gone & line.channels.keys():
                del line.channels[channel]
                line.changed.set()
            if not line.channels:
                self._lines.remove(line)
                line.task.cancel()

    def renew(self, channels: Iterable[Channel]) -> None:
        """Subscribe again to `channels`, which fell silent while others of their connection did not."""
        wanted = set(channels)
        for line in self._lines:
            line.renewed |= wanted & line.channels.keys()
            line.changed.set()

    async def close(self) -> None:
        tasks = [line.task for line in self._lines]
        self._lines.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def attempt(self) -> None:
        """Return when another connection may be tried."""
        now, within_s = time.monotonic(), self.limits.attempts_s
        while self._attempts and now - self._attempts[0] > within_s:
            self._attempts.popleft()
        if len(self._attempts) >= self.limits.attempts:
            await asyncio.sleep(within_s - (now - self._attempts[0]))
        self._attempts.append(time.monotonic())


class _Line:
    """Channels that flow over one connection after the other."""

    def __init__(self, fleet: Fleet, path: str) -> None:
        self.fleet, self._path = fleet, path
        self.url = fleet.base_url + path
        self.channels: dict[Channel, None] = {}
        self.renewed: set[Channel] = set()
        self.changed = asyncio.Event()
        self.silence_s = SILENCE_S
        self.heard = time.monotonic()
        self.down_since: float | None = None
        self.task = asyncio.create_task(self._run(), name="line")

    def has_room(self, channel: Channel) -> bool:
        return channel.path == self._path and len(self.channels) < self.fleet.limits.channels

    async def _run(self) -> None:
        """Endless: without it the streams would never be connected again."""
        while True:
            try:
                await self._connect()
            except Exception:
                log.exception("connection to %s: ended by a fault, it is made again", self.url)
                self.fleet.metrics.reconnects.labels("failed").inc()
                await asyncio.sleep(_BACKOFF_S[1] * random.uniform(0.5, 1.0))

    async def _connect(self) -> None:
        """One connection after the other."""
        current: _Session | None = None
        delay = _BACKOFF_S[0]
        try:
            while True:
                try:
                    await self.fleet.attempt()
                    fresh = await _Session.open(self)
                except Exception as error:  # whatever an address, a resolver or a proxy makes of it: it may pass
                    problem = str(error) or type(error).__name__
                    log.warning("no connection to %s, again in %.1f s: %s", self.url, delay, problem)
                    self.fleet.metrics.reconnects.labels("failed").inc()
                    await asyncio.sleep(delay * random.uniform(0.5, 1.0))
                    delay = min(delay * 2, _BACKOFF_S[1])
                    continue
                if current is not None:
                    await asyncio.wait([fresh.first, fresh.reader], timeout=_TAKE_OVER_S, return_when="FIRST_COMPLETED")
                    await current.close()
                current = fresh
                reason = await current.over()
                if current.frames:
                    delay = _BACKOFF_S[0]
                self.fleet.metrics.reconnects.labels(reason).inc()
                log.info("connection of %d channels ends: %s", len(self.channels), reason)
                if current.reader.done():
                    self.down_since = self.down_since or self.heard
                    current = None
                    await asyncio.sleep(delay * random.uniform(0.2, 1.0))
                    delay = min(delay * 2, _BACKOFF_S[1])
        finally:
            if current is not None:
                await current.close()

    def frame(self, session: _Session) -> None:
        """Take note that `session` brought a frame of data."""
        self.heard = time.monotonic()
        session.heard = self.heard
        session.frames += 1
        self.silence_s = SILENCE_S
        if not session.first.done():
            session.first.set_result(None)
        if self.down_since is not None:
            self.fleet.on_outage(self.channels, self.heard - self.down_since)
            self.down_since = None


class _Session:
    """One connection from its opening to its end."""

    def __init__(self, line: _Line, socket: ClientConnection) -> None:
        self._line, self._socket = line, socket
        self._opened = self.heard = time.monotonic()
        self._max_age_s = (line.fleet.limits.max_age_s or float("inf")) * random.uniform(0.98, 1.0)
        self.frames = 0
        self._shutdown = False
        self._refused = ""
        self._command: _Command | None = None
        """The one that is in flight."""
        self.first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.reader = asyncio.create_task(self._read(), name="read")
        self._commander = asyncio.create_task(self._keep_subscribed(), name="command")
        self._pinger = asyncio.create_task(self._ping(), name="ping")

    @classmethod
    async def open(cls, line: _Line) -> _Session:
        url = line.url
        # Without compression: it would cost more of a core than all of decoding.
        socket = await connect(
            url, proxy=proxy_of(url), max_size=_MAX_BYTES, max_queue=256, compression=None, close_timeout=2
        )
        return cls(line, socket)

    async def over(self) -> str:
        """Return when this connection has ended or should be replaced, and why."""
        while True:
            await asyncio.wait([self.reader], timeout=1.0)
            now = time.monotonic()
            if self.reader.done():
                return self._refused or "closed"
            if self._shutdown:
                return "shutdown"
            if now - self._opened > self._max_age_s:
                return "age"
            if now - self.heard > self._line.silence_s:
                self._line.silence_s = min(self._line.silence_s * 2, _LONGEST_SILENCE_S)
                return "silence"

    async def close(self) -> None:
        tasks = (self._commander, self._pinger, self.reader)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._socket.close()

    async def _read(self) -> None:
        fleet, line, socket = self._line.fleet, self._line, self._socket
        try:
            while True:
                control = fleet.receive(await socket.recv(decode=False))
                if control is None:
                    line.frame(self)
                    await fleet.room()
                elif isinstance(control, Closing):
                    self._shutdown = True
                elif isinstance(control, Alive):
                    self.heard = time.monotonic()
                elif self._command is not None:
                    self._command.take(control)
        except ConnectionClosed as closed:
            if closed.sent is not None and closed.sent.code == CloseCode.MESSAGE_TOO_BIG:
                # Nothing of it was kept: it never came whole.
                fleet.metrics.rejected.labels("oversize").inc()
        except Exception:
            log.exception("reading from %s: ended by a fault, the connection is made again", line.url)
            self._refused = "failed"
        finally:
            self._commander.cancel()

    async def _ping(self) -> None:
        limits = self._line.fleet.limits
        if limits.ping is None:
            return
        with contextlib.suppress(ConnectionClosed):  # the reader says so
            while True:
                await asyncio.sleep(limits.ping_every_s)
                await self._socket.send(limits.ping)

    async def _keep_subscribed(self) -> None:
        """Keep the subscriptions equal to the line's channels. A connection where that fails is ended."""
        try:
            await self._follow()
        except Exception:
            log.exception("commands to %s: ended by a fault, the connection is made again", self._line.url)
            self._refused = "failed"
            await self._socket.close()

    async def _follow(self) -> None:
        channels, limits = self._line.fleet.channels, self._line.fleet.limits
        subscribed: set[Channel] = set()
        number = 0
        while True:
            self._line.changed.clear()
            wanted, renewed = set(self._line.channels), self._line.renewed
            self._line.renewed = set()
            for write in (channels.unsubscribe, channels.subscribe):
                going = subscribed - wanted | subscribed & renewed
                ordered = sorted(going if write == channels.unsubscribe else wanted - subscribed)
                for at in range(0, len(ordered), limits.channels_per_command):
                    number += 1
                    part = ordered[at : at + limits.channels_per_command]
                    names = [channel.name for channel in part]
                    if not await self._obeyed(_Command(number, names), write(number, names)):
                        return
                    subscribed.symmetric_difference_update(part)
                    await asyncio.sleep(limits.command_every_s)
            await self._line.changed.wait()

    async def _obeyed(self, command: _Command, message: str) -> bool:
        """Send a command and wait for its acknowledgement. Without one the connection is ended, to begin again."""
        self._command = command
        try:
            await self._socket.send(message)
            error = await asyncio.wait_for(command.done, _REPLY_S)
        except (ConnectionClosed, TimeoutError):
            error = "no answer"
        if error:
            log.warning("%.100s: %s", message, error)
            self._refused = "refused"
            await self._socket.close()
        return not error


class _Command:
    """A command in flight: done with the error, or with "" once all of its channels are acknowledged."""

    def __init__(self, number: int, names: Iterable[str]) -> None:
        self._number, self._open = number, set(names)
        self.done: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def take(self, reply: Reply) -> None:
        if self.done.done() or reply.number not in (None, self._number):
            return
        self._open -= self._open if reply.names is None else reply.names
        if reply.error or not self._open:
            self.done.set_result(reply.error)

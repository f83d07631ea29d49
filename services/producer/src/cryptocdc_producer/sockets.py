"""The WebSocket connections: each stream always on one of them, or on two while one takes over from the other.

Facts: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams (limits, life of a connection).
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from cryptocdc_adapters.http_client import proxy_of
from cryptocdc_core.metrics import ProducerMetrics
from cryptocdc_producer.frames import Reply, Shutdown

log = logging.getLogger(__name__)

STREAMS_A_CONNECTION = 200
"""The exchange takes 1,024; with fewer a cut hurts fewer."""
MAX_AGE_S = 23 * 3600 + 50 * 60.0
"""The exchange cuts at 24 hours."""
SILENCE_S = 30.0
"""Without a frame for so long a connection is replaced; twice as long each time that does not help."""
_LONGEST_SILENCE_S = 600.0
_MAX_BYTES = 16 * 1024 * 1024
"""A frame that is merely too big is refused and the connection lives on; one beyond this ends the connection."""
_ATTEMPTS, _ATTEMPTS_S = 250, 300.0
"""Of the 300 in five minutes that an address may make."""
_COMMAND_STREAMS, _COMMAND_EVERY_S, _REPLY_S = 100, 0.3, 15.0
"""Commands stay under five messages a second, pings included."""
_TAKE_OVER_S = 15.0
"""How long the old connection waits for the first frame of the new one."""
_BACKOFF_S = (0.5, 30.0)

Receive = Callable[[bytes], Shutdown | Reply | None]


class Fleet:
    """All connections. `receive` is given each frame; `room` returns when more may be read."""

    def __init__(
        self,
        url: str,
        receive: Receive,
        room: Callable[[], Awaitable[None]],
        metrics: ProducerMetrics,
        on_outage: Callable[[Iterable[str], float], None],
        max_age_s: float = MAX_AGE_S,
    ) -> None:
        """`on_outage`: the streams that were without data, and for how many seconds."""
        self.url = url.rstrip("/") + "/stream"
        self.receive, self.room, self.metrics, self.on_outage = receive, room, metrics, on_outage
        self.max_age_s = max_age_s
        self._lines: list[_Line] = []
        self._attempts: deque[float] = deque()

    def add(self, streams: Iterable[str]) -> None:
        """Subscribe to `streams`, on connections that have room or on new ones."""
        for stream in streams:
            line = next((line for line in self._lines if len(line.streams) < STREAMS_A_CONNECTION), None)
            if line is None:
                line = _Line(self)
                self._lines.append(line)
            line.streams[stream] = None
            line.changed.set()

    def remove(self, streams: Iterable[str]) -> None:
        gone = set(streams)
        for line in list(self._lines):
            for stream in gone & line.streams.keys():
                del line.streams[stream]
                line.changed.set()
            if not line.streams:
                self._lines.remove(line)
                line.task.cancel()

    def renew(self, streams: Iterable[str]) -> None:
        """Subscribe anew to `streams`, which fell silent while others of their connection did not."""
        wanted = set(streams)
        for line in self._lines:
            line.renewed |= wanted & line.streams.keys()
            line.changed.set()

    async def close(self) -> None:
        tasks = [line.task for line in self._lines]
        self._lines.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def attempt(self) -> None:
        """Return when another connection may be tried."""
        now = time.monotonic()
        while self._attempts and now - self._attempts[0] > _ATTEMPTS_S:
            self._attempts.popleft()
        if len(self._attempts) >= _ATTEMPTS:
            await asyncio.sleep(_ATTEMPTS_S - (now - self._attempts[0]))
        self._attempts.append(time.monotonic())


class _Line:
    """Streams that flow over one connection after the other."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.streams: dict[str, None] = {}
        self.renewed: set[str] = set()
        self.changed = asyncio.Event()
        self.silence_s = SILENCE_S
        self.heard = time.monotonic()
        self.down_since: float | None = None
        self.task = asyncio.create_task(self._run(), name="line")

    async def _run(self) -> None:
        """Endless: without it the streams would never be connected again."""
        while True:
            try:
                await self._connect()
            except Exception:
                log.exception("connection to %s: ended by a fault, it is made again", self.fleet.url)
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
                    log.warning("no connection to %s, again in %.1f s: %s", self.fleet.url, delay, problem)
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
                log.info("connection of %d streams ends: %s", len(self.streams), reason)
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
            self.fleet.on_outage(self.streams, self.heard - self.down_since)
            self.down_since = None


class _Session:
    """One connection from its opening to its end."""

    def __init__(self, line: _Line, socket: ClientConnection) -> None:
        self._line, self._socket = line, socket
        self._opened = self.heard = time.monotonic()
        self._max_age_s = line.fleet.max_age_s * random.uniform(0.98, 1.0)
        self.frames = 0
        self._shutdown = False
        self._refused = ""
        self._replies: dict[int, asyncio.Future[str]] = {}
        self.first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.reader = asyncio.create_task(self._read(), name="read")
        self._commander = asyncio.create_task(self._command(), name="command")

    @classmethod
    async def open(cls, line: _Line) -> _Session:
        url = line.fleet.url
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
        for task in (self._commander, self.reader):
            task.cancel()
        await asyncio.gather(self._commander, self.reader, return_exceptions=True)
        await self._socket.close()

    async def _read(self) -> None:
        fleet, line, socket = self._line.fleet, self._line, self._socket
        try:
            while True:
                control = fleet.receive(await socket.recv(decode=False))
                if control is None:
                    line.frame(self)
                    await fleet.room()
                elif isinstance(control, Shutdown):
                    self._shutdown = True
                elif (waiting := self._replies.pop(control.id or 0, None)) is not None and not waiting.done():
                    waiting.set_result(control.error)
        except ConnectionClosed as closed:
            if closed.sent is not None and closed.sent.code == CloseCode.MESSAGE_TOO_BIG:
                # Nothing of it was kept: it never came whole.
                fleet.metrics.rejected.labels("oversize").inc()
        except Exception:
            log.exception("reading from %s: ended by a fault, the connection is made again", fleet.url)
            self._refused = "failed"
        finally:
            self._commander.cancel()

    async def _command(self) -> None:
        """Keep the subscriptions equal to the line's streams. A connection where that fails is ended."""
        try:
            await self._follow()
        except Exception:
            log.exception("commands to %s: ended by a fault, the connection is made again", self._line.fleet.url)
            self._refused = "failed"
            await self._socket.close()

    async def _follow(self) -> None:
        subscribed: set[str] = set()
        number = 0
        while True:
            self._line.changed.clear()
            wanted, renewed = set(self._line.streams), self._line.renewed
            self._line.renewed = set()
            for method in ("UNSUBSCRIBE", "SUBSCRIBE"):
                going = subscribed - wanted | subscribed & renewed
                ordered = sorted(going if method == "UNSUBSCRIBE" else wanted - subscribed)
                for at in range(0, len(ordered), _COMMAND_STREAMS):
                    number += 1
                    part = ordered[at : at + _COMMAND_STREAMS]
                    if not await self._obeyed(number, method, part):
                        return
                    subscribed.symmetric_difference_update(part)
                    await asyncio.sleep(_COMMAND_EVERY_S)
            await self._line.changed.wait()

    async def _obeyed(self, number: int, method: str, streams: list[str]) -> bool:
        """Send a command and wait for its answer. Without a good one the connection is ended, to begin anew."""
        answer = self._replies[number] = asyncio.get_running_loop().create_future()
        message = msgspec.json.encode({"method": method, "params": streams, "id": number}).decode()
        try:
            await self._socket.send(message)
            error = await asyncio.wait_for(answer, _REPLY_S)
        except (ConnectionClosed, TimeoutError):
            error = "no answer"
        if error:
            log.warning("%s of %d streams: %s", method, len(streams), error)
            self._refused = "refused"
            await self._socket.close()
        return not error

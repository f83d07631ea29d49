"""One WebSocket connection, from opening to end, and the commands on it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from cryptocdc_adapters.http_client import proxy_of
from cryptocdc_exchanges.port import Alive, Channel, Closing, Reply

if TYPE_CHECKING:
    from cryptocdc_producer.connections.line import Line

log = logging.getLogger(__name__)

_LONGEST_SILENCE_S = 600.0
_MAX_BYTES = 16 * 1024 * 1024
"""A frame above the limit is refused and the connection stays open; a frame above this size ends the connection."""
_REPLY_S = 15.0
REFUSED_AGAIN_S = 60.0
"""Delay before channels refused by name are tried again: their market may be listed by then."""


class Session:
    """One connection from its opening to its end."""

    def __init__(self, line: Line, socket: ClientConnection) -> None:
        self._line, self._socket = line, socket
        self._opened = self.heard = time.monotonic()
        self._max_age_s = (line.fleet.limits.max_age_s or float("inf")) * random.uniform(0.98, 1.0)
        self.frames = 0
        self._commands = 0
        """Channels subscribed to on this connection."""
        self._shutdown = False
        self._refused = ""
        self._command: Command | None = None
        """The command in flight."""
        self.first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.reader = asyncio.create_task(self._read(), name="read")
        self._commander = asyncio.create_task(self._keep_subscribed(), name="command")
        self._pinger = asyncio.create_task(self._ping(), name="ping")

    @classmethod
    async def open(cls, line: Line) -> Session:
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
            if now - self._opened > self._max_age_s or self._commands >= self._line.fleet.limits.commands:
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
                # Nothing of it could be kept, since it was never received completely.
                fleet.metrics.rejected.labels("oversize").inc()
        except Exception:
            log.exception("reading from %s failed unexpectedly, reconnecting", line.url)
            self._refused = "failed"
        finally:
            self._commander.cancel()

    async def _ping(self) -> None:
        limits = self._line.fleet.limits
        if limits.ping is None:
            return
        with contextlib.suppress(ConnectionClosed):  # reported by the reader
            while True:
                await asyncio.sleep(limits.ping_every_s)
                await self._socket.send(limits.ping)

    async def _keep_subscribed(self) -> None:
        """Keep the subscriptions equal to the line's channels. A connection where that fails is ended."""
        try:
            await self._follow()
        except Exception:
            log.exception("sending commands to %s failed unexpectedly, reconnecting", self._line.url)
            self._refused = "failed"
            await self._socket.close()

    async def _follow(self) -> None:
        channels, limits = self._line.fleet.channels, self._line.fleet.limits
        subscribed: set[Channel] = set()
        refused: dict[Channel, float] = {}
        """When (monotonic) each may be tried again."""
        while True:
            changed = self._line.changed
            wanted, renewed, now = set(self._line.channels), self._line.renewed, time.monotonic()
            self._line.renewed = set()
            refused = {channel: at for channel, at in refused.items() if channel in wanted - renewed and at > now}
            for write in (channels.unsubscribe, channels.subscribe):
                going = subscribed - wanted | subscribed & renewed
                coming = wanted - subscribed - refused.keys()
                ordered = sorted(going if write == channels.unsubscribe else coming)
                for at in range(0, len(ordered), limits.channels_per_command):
                    self._commands += 1
                    part = ordered[at : at + limits.channels_per_command]
                    command = Command(self._commands, [channel.name for channel in part])
                    if not await self._obeyed(command, write(command.number, command.names)):
                        return
                    if write == channels.unsubscribe:
                        subscribed.difference_update(part)
                    else:
                        again_at = time.monotonic() + REFUSED_AGAIN_S
                        refused |= {channel: again_at for channel in part if channel.name in command.refused}
                        subscribed.update(channel for channel in part if channel not in refused)
                    await asyncio.sleep(limits.command_every_s)
            with contextlib.suppress(TimeoutError):
                soonest = min(refused.values(), default=None)
                timeout = None if soonest is None else max(0.0, soonest - time.monotonic())
                await asyncio.wait_for(changed.wait(), timeout)

    async def _obeyed(self, command: Command, message: str) -> bool:
        """Send a command and wait for its acknowledgement; without one, end the connection so that it is replaced."""
        self._command = command
        try:
            await self._socket.send(message)
            error = await asyncio.wait_for(command.done, _REPLY_S)
        except (ConnectionClosed, TimeoutError):
            error = "no answer"
        for name, problem in command.refused.items():
            log.warning("%s: %s, retrying in %.0f s", name, problem, REFUSED_AGAIN_S)
        if error:
            log.warning("%.100s: %s", message, error)
            self._refused = "refused"
            await self._socket.close()
        return not error


class Command:
    """A command in flight: done with the error, or with "" once each of its channels is acknowledged or refused."""

    def __init__(self, number: int, names: Sequence[str]) -> None:
        self.number, self.names = number, names
        self._open = set(names)
        self.refused: dict[str, str] = {}
        """Channels that the venue refused by name, with the reason."""
        self.done: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def take(self, reply: Reply) -> None:
        if self.done.done() or reply.number not in (None, self.number):
            return
        if reply.names is None:
            self.done.set_result(reply.error)
            return
        if reply.error:
            self.refused.update(dict.fromkeys(self._open & reply.names, reply.error))
        self._open -= reply.names
        if not self._open:
            self.done.set_result("")

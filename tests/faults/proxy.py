"""A TCP proxy whose links can be cut, hang, be slow, or lose connections.

Toxiproxy would do most of this, but it closes a hanging connection once the fault is lifted. One whose other end
vanished behind a load balancer never closes, and that is the case worth testing; and it would need Go.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")

LOOPBACK = "127.0.0.1"
_PIECE = 16 * 1024
_QUEUED_BYTES = 256 * 1024
"""Bytes on their way in one direction of a connection, beyond which the sender has to wait."""


@dataclass
class Behaviour:
    """How a link behaves now; the defaults are those of a healthy one."""

    cut: bool = False
    """Connections are reset, and new ones as soon as they are accepted."""
    hanging: bool = False
    """Nothing comes and nothing closes. A connection that ever hung does so for good, as if its other end had vanished;
    connections made later work."""
    delay_s: float = 0.0
    bytes_per_s: float = 0.0
    """In each direction, all connections together; 0: unlimited."""
    reset_share: float = 0.0
    """The probability with which each connection is reset when it is made, and in each second."""
    random: Random = field(default_factory=Random)
    """What decides on it."""

    def resets(self) -> bool:
        """Draw whether a connection is reset now."""
        return self.random.random() < self.reset_share


@dataclass(eq=False)
class _Direction:
    """Bytes from one end of a connection to the other, each piece with the time at which it is due."""

    pieces: deque[tuple[float, bytes]] = field(default_factory=deque)
    queued: int = 0
    ended: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(eq=False)
class _Connection:
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    dead: bool = False

    def reset(self) -> None:
        """Close with RST instead of FIN, as when a peer dies."""
        for writer in self.writers:
            end = writer.get_extra_info("socket")
            with contextlib.suppress(OSError, AttributeError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        for task in self.tasks:
            task.cancel()


class Link:
    """One proxied port. Its behaviour is set from any thread."""

    def __init__(self, name: str, listen: int, target: int) -> None:
        self.name, self.port, self.target = name, listen, target
        self.behaviour = Behaviour()
        self.forwarded = 0
        """Bytes, in both directions."""
        self.accepted = 0
        self.resets = 0
        """Connections that were reset because of the link's behaviour."""
        self._open: set[_Connection] = set()
        self._free_at = [0.0, 0.0]

    async def serve(self) -> None:
        server = await asyncio.start_server(self._accept, LOOPBACK, self.port)
        try:
            while True:
                await asyncio.sleep(1.0)
                for connection in list(self._open):
                    if self.behaviour.resets():
                        self._reset(connection)
        finally:
            server.close()
            for connection in list(self._open):
                connection.reset()

    def apply(self, behaviour: Behaviour) -> None:
        """To be called in the event loop."""
        self.behaviour = behaviour
        for connection in list(self._open):
            connection.dead = connection.dead or behaviour.hanging
            if behaviour.cut:
                self._reset(connection)

    def _reset(self, connection: _Connection) -> None:
        self.resets += 1
        self._drop(connection)

    def _drop(self, connection: _Connection) -> None:
        self._open.discard(connection)
        connection.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        connection = _Connection([writer], dead=self.behaviour.hanging)
        self._open.add(connection)
        if self.behaviour.cut or self.behaviour.resets():
            self._reset(connection)
            return
        try:
            onward = await asyncio.open_connection(LOOPBACK, self.target)
        except OSError:
            self._drop(connection)
            return
        connection.writers.append(onward[1])
        for end in connection.writers:
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, (source, sink) in enumerate(((reader, onward[1]), (onward[0], writer))):
            way = _Direction()
            connection.tasks.append(asyncio.create_task(self._receive(connection, source, way, number)))
            connection.tasks.append(asyncio.create_task(self._send(connection, sink, way)))
        await asyncio.gather(*connection.tasks, return_exceptions=True)
        if connection in self._open:
            self._open.discard(connection)
            for end in connection.writers:
                end.close()

    async def _receive(
        self, connection: _Connection, source: asyncio.StreamReader, way: _Direction, number: int
    ) -> None:
        try:
            while data := await source.read(_PIECE):
                now, slow = time.monotonic(), self.behaviour
                due = now + slow.delay_s
                if slow.bytes_per_s:
                    self._free_at[number] = max(self._free_at[number], now) + len(data) / slow.bytes_per_s
                    due = max(due, self._free_at[number])
                way.pieces.append((due, data))
                way.queued += len(data)
                way.changed.set()
                while way.queued > _QUEUED_BYTES or connection.dead:  # noqa: ASYNC110 - its end is a cancellation
                    await asyncio.sleep(0.02)
        except OSError:
            self._drop(connection)
        finally:
            way.ended = True
            way.changed.set()

    async def _send(self, connection: _Connection, sink: asyncio.StreamWriter, way: _Direction) -> None:
        try:
            while way.pieces or not way.ended:
                if not way.pieces or connection.dead:
                    way.changed.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(way.changed.wait(), 0.5)
                    if connection.dead:
                        await asyncio.sleep(0.5)
                    continue
                due, data = way.pieces[0]
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if connection.dead:
                    continue
                way.pieces.popleft()
                way.queued -= len(data)
                self.forwarded += len(data)
                sink.write(data)
                await sink.drain()
            if not connection.dead and sink.can_write_eof():
                sink.write_eof()
        except OSError:
            self._drop(connection)


class Proxy:
    """All links, in a thread of their own inside the block."""

    def __init__(self, links: Iterable[Link]) -> None:
        self.links = {link.name: link for link in links}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._serving = [
            asyncio.run_coroutine_threadsafe(link.serve(), self._loop) for link in self.links.values()
        ]  # fmt: skip
        deadline = time.monotonic() + 10
        for link, serving in zip(self.links.values(), self._serving, strict=True):
            while not _answers(link.port):
                if serving.done():
                    serving.result()
                assert time.monotonic() < deadline, f"the link to {link.name} does not listen at {link.port}"
                time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        for serving in self._serving:
            serving.cancel()
        self.call(lambda: asyncio.sleep(0.1))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def call(self, work: Callable[[], Awaitable[T]]) -> T:
        async def done() -> T:
            return await work()

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(30)

    def set(self, name: str, **behaviour: Any) -> None:
        """Have a link behave like this from now on; without arguments, healthily."""

        async def apply() -> None:
            self.links[name].apply(Behaviour(**behaviour))

        self.call(apply)


def _answers(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True

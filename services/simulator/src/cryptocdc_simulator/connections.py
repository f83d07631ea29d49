"""The WebSocket connections: subscriptions, and writing frames to subscribers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from cryptocdc_simulator.dialects.port import Dialect, Outgoing
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.malformed import KINDS

_BACKLOG_BYTES = 64 * 1024 * 1024  # a client that is further behind is disconnected, as the exchange does


class StreamProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol, with access to a connection's transport by its address.

    A frame is the same bytes for all subscribers and many frames are due at once, so they are encoded once and written
    together; and a fault must be able to reset a connection without a closing handshake. ASGI offers neither.
    """

    live: ClassVar[dict[tuple[str, int], StreamProtocol]] = {}

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if self.client is not None:
            self.live[self.client] = self

    def connection_lost(self, exc: Exception | None) -> None:
        if self.client is not None:
            self.live.pop(self.client, None)
        super().connection_lost(exc)


def text_frame(payload: bytes) -> bytes:
    """Return an unmasked, final text frame (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


class Connection:
    """One client. `wrap` turns a stream's payload into a frame; None if the payload is the frame."""

    def __init__(self, protocol: StreamProtocol, connections: Connections) -> None:
        self.protocol, self._connections = protocol, connections
        self.wrap: Callable[[str, bytes], bytes] | None = None
        self.streams: dict[str, None] = {}
        self.opened = self.active = time.monotonic()  # active: the last message in either direction
        self.silent_until = 0.0
        self.ends: float | None = None  # when it is closed after serverShutdown
        self._out: list[bytes] = []

    def unsubscribe(self, streams: Iterable[str]) -> None:
        self._connections.unsubscribe(self, streams)

    def framed(self, stream: str, payload: bytes) -> bytes:
        return text_frame(self.wrap(stream, payload) if self.wrap else payload)

    def push(self, frame: bytes) -> bool:
        """Queue a frame for the next flush; returns False while the connection is silenced."""
        now = time.monotonic()
        if now < self.silent_until:
            return False
        self.active = now
        self._out.append(frame)
        return True

    def flush(self) -> None:
        if not self._out:
            return
        transport = self.protocol.transport
        if not transport.is_closing() and not self.protocol.close_sent:
            transport.write(b"".join(self._out))
            if transport.get_write_buffer_size() > _BACKLOG_BYTES:
                transport.abort()
        self._out.clear()

    def cut(self) -> None:
        """Disconnect without a closing handshake: the client sees a reset."""
        self.protocol.transport.abort()

    def end(self) -> None:
        """Disconnect with a closing handshake."""
        self.protocol.shutdown()


class Connections:
    """All connections, and the subscriptions by stream."""

    def __init__(self, dialect: Dialect, faults: Faults, life_s: float, grace_s: float) -> None:
        """`life_s`: maximum lifetime of a connection; `grace_s`: time from the announcement of its end to the end."""
        self._dialect, self._source, self._faults = dialect, dialect.source, faults
        self._malformed = {**KINDS, **dialect.malformed}
        self._held: dict[str, Outgoing] = {}  # by stream, the frame that is sent after its successor
        self._life, self._grace = life_s, grace_s
        self._subscribers: dict[str, dict[Connection, None]] = {}
        self._last_payload: dict[str, bytes] = {}
        self.open: dict[Connection, None] = {}
        self.accepted = 0
        self.frames = 0
        self.last_pump = time.monotonic()

    def add(self, connection: Connection) -> None:
        self.open[connection] = None
        self.accepted += 1

    def remove(self, connection: Connection) -> None:
        self.open.pop(connection, None)
        self.unsubscribe(connection, list(connection.streams))

    async def subscribe(self, connection: Connection, streams: Iterable[str]) -> None:
        streams = list(streams)
        for stream in streams:
            await self._source.prepare(stream)
        if connection not in self.open:
            return
        for stream in streams:
            connection.streams[stream] = None
            subscribers = self._subscribers.setdefault(stream, {})
            if not subscribers:
                self._source.open(stream)
            subscribers[connection] = None
            self._welcome(connection, stream)

    def _welcome(self, connection: Connection, stream: str) -> None:
        for payload in self._source.welcome(stream):
            self._last_payload[stream] = payload
            if connection.push(connection.framed(stream, payload)):
                self.frames += 1

    def unsubscribe(self, connection: Connection, streams: Iterable[str]) -> None:
        for stream in streams:
            if stream not in connection.streams:
                continue
            del connection.streams[stream]
            del self._subscribers[stream][connection]
            if not self._subscribers[stream]:
                del self._subscribers[stream]
                self._last_payload.pop(stream, None)
                self._held.pop(stream, None)
                self._source.close(stream)

    def reopen(self, symbol: str) -> None:
        """Add the clients that subscribed to streams of a symbol before it was listed."""
        for stream, subscribers in self._subscribers.items():
            if self._source.symbol_of(stream) == symbol:
                self._source.open(stream)
                for connection in subscribers:
                    self._welcome(connection, stream)

    def pump(self) -> None:
        """Send what is due."""
        for stream, payload, wrapped in self._reordered(self._source.due()):
            self._last_payload[stream] = payload
            for _ in range(self._faults.repeats()):
                self._send(stream, payload, wrapped)
        now = time.monotonic()
        for connection in list(self.open):
            connection.flush()
            if connection.ends is None and now - connection.opened >= self._life:
                self.shut_down(connection, self._grace)
            elif connection.ends is not None and now >= connection.ends:
                connection.end()
        self.last_pump = now

    def _reordered(self, frames: Iterator[Outgoing]) -> Iterator[Outgoing]:
        for frame in frames:
            if frame.stream in self._held:
                yield frame
                yield self._held.pop(frame.stream)
            elif self._faults.reorders > 0:
                self._faults.reorders -= 1
                self._faults.counts["reordered_frames"] += 1
                self._held[frame.stream] = frame
            else:
                yield frame

    def _send(self, stream: str, payload: bytes, wrapped: bytes | None) -> None:
        frames: dict[Callable[[str, bytes], bytes] | None, bytes] = {}
        for connection in self._subscribers.get(stream, ()):
            frame = frames.get(connection.wrap)
            if frame is None:
                recorded = wrapped if connection.wrap else None
                frame = frames[connection.wrap] = (
                    text_frame(recorded) if recorded else connection.framed(stream, payload)
                )
            if connection.push(frame):
                self.frames += 1
            else:
                self._faults.counts["silenced_frames"] += 1

    def shut_down(self, connection: Connection, grace_s: float) -> None:
        """Announce the end of a connection, if the venue does, then close it after `grace_s`."""
        farewell = self._dialect.farewell(self._faults.clock())
        if farewell is not None:
            connection.push(connection.framed(*farewell))
            connection.flush()
        connection.ends = time.monotonic() + grace_s

    def malform(self, kind: str, stream: str | None) -> int:
        """Send each connection one malformed frame of `stream` or any of its streams; return how many were sent."""
        sent = 0
        for connection in self.open:
            for name in [stream] if stream else connection.streams:
                if name in connection.streams and name in self._last_payload:
                    payload = self._malformed[kind](self._last_payload[name].decode()).encode()
                    connection.push(connection.framed(name, payload))
                    connection.flush()
                    sent += 1
                    break
        return sent

"""A WebSocket connection: the client's messages are answered by the dialect's `Session`."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from starlette.websockets import WebSocket

from cryptocdc_simulator.connections import Connection, Connections, StreamProtocol, text_frame
from cryptocdc_simulator.dialects.port import Session

_POLICY_VIOLATION = 1008


class StreamEndpoint:
    """Reads a client's messages until it disconnects, one coroutine per connection; frames are sent elsewhere."""

    def __init__(self, connections: Connections, session: Session) -> None:
        self._connections, self._session = connections, session

    async def __call__(self, websocket: WebSocket) -> None:
        await websocket.accept()
        protocol = StreamProtocol.live.get(tuple(websocket.scope["client"]))
        if protocol is None:  # it has disconnected since the handshake
            return
        connection = Connection(protocol, self._connections)
        try:
            streams = self._session.begin(websocket, connection)
        except ValueError as reason:
            await websocket.close(_POLICY_VIOLATION, str(reason))
            return
        self._connections.add(connection)
        try:
            await self._connections.subscribe(connection, streams)
            await self._converse(websocket, connection)
        finally:
            self._connections.remove(connection)

    async def _converse(self, websocket: WebSocket, connection: Connection) -> None:
        recent: deque[float] = deque(maxlen=self._session.messages_a_second)
        while True:
            idle = self._session.idle(connection)
            left = None if idle is None else max(0.0, connection.active + idle.seconds - time.monotonic())
            try:
                message = await asyncio.wait_for(websocket.receive(), left)
            except TimeoutError:
                if idle is not None and time.monotonic() - connection.active >= idle.seconds:
                    await websocket.close(idle.code, idle.reason)
                    return
                continue
            if message["type"] == "websocket.disconnect":
                return
            now = connection.active = time.monotonic()
            if len(recent) == recent.maxlen and now - recent[0] < 1.0:
                await websocket.close(_POLICY_VIOLATION, "Too many requests")
                return
            recent.append(now)
            for reply in self._session.replies(connection, message.get("text") or ""):
                # The reply is sent before the first event.
                connection.push(text_frame(reply.message))
                connection.flush()
                await self._connections.subscribe(connection, reply.subscribe)

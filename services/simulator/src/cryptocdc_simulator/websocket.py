"""The WebSocket endpoints /ws, /ws/<stream>, /stream?streams=a/b, and the commands on an open connection."""

from __future__ import annotations

import json
import time
from collections import deque
from typing import Any

from starlette.websockets import WebSocket

from cryptocdc_simulator.connections import MAX_STREAMS, Connection, Connections, StreamProtocol, text_frame

_MESSAGES_A_SECOND = 5
_POLICY_VIOLATION = 1008


class StreamEndpoint:
    """One coroutine a connection: reads the client's commands until it leaves; the frames are pushed elsewhere."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def __call__(self, websocket: WebSocket) -> None:
        combined = websocket.url.path == "/stream"
        named = websocket.query_params.get("streams", "") if combined else websocket.path_params.get("streams", "")
        streams = [stream for stream in named.split("/") if stream]
        await websocket.accept()
        if len(streams) > MAX_STREAMS:
            await websocket.close(_POLICY_VIOLATION, f"More than {MAX_STREAMS} streams on one connection")
            return
        client = websocket.scope["client"]
        protocol = StreamProtocol.live.get(tuple(client))
        if protocol is None:  # it has left between the handshake and this line
            return
        connection = Connection(protocol, combined)
        self._connections.add(connection)
        try:
            await self._connections.subscribe(connection, streams)
            await self._commands(websocket, connection)
        finally:
            self._connections.remove(connection)

    async def _commands(self, websocket: WebSocket, connection: Connection) -> None:
        recent: deque[float] = deque(maxlen=_MESSAGES_A_SECOND)
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            now = time.monotonic()
            if len(recent) == _MESSAGES_A_SECOND and now - recent[0] < 1.0:
                await websocket.close(_POLICY_VIOLATION, "Too many requests")
                return
            recent.append(now)
            reply, streams = self._reply(connection, message.get("text") or "")
            # The answer comes before the first event.
            connection.push(text_frame(json.dumps(reply, separators=(",", ":")).encode()))
            connection.flush()
            await self._connections.subscribe(connection, streams)

    def _reply(self, connection: Connection, text: str) -> tuple[dict[str, Any], list[str]]:
        """The answer to a command, and the streams that it subscribes to."""
        try:
            command = json.loads(text)
        except ValueError:
            return _error(3, "Invalid JSON: expected value", None), []
        if not isinstance(command, dict):
            return _error(2, "Invalid request: request must be a JSON object", None), []
        id, method, params = command.get("id"), command.get("method"), command.get("params", [])
        if not isinstance(params, list) or not all(isinstance(param, str) for param in params):
            return _error(2, "Invalid request: params must be an array of strings", id), []
        match method:
            case "SUBSCRIBE" if len({*connection.streams, *params}) > MAX_STREAMS:
                return _error(2, f"Invalid request: no more than {MAX_STREAMS} streams on one connection", id), []
            case "SUBSCRIBE":
                return _result(None, id), params
            case "UNSUBSCRIBE":
                self._connections.unsubscribe(connection, params)
                return _result(None, id), []
            case "LIST_SUBSCRIPTIONS":
                return _result(list(connection.streams), id), []
            case _:
                return _error(2, f"Invalid request: unknown variant {method}", id), []


def _result(result: Any, id: Any) -> dict[str, Any]:
    return {"result": result, "id": id}


def _error(code: int, message: str, id: Any) -> dict[str, Any]:
    return {"error": {"code": code, "msg": message}, "id": id}

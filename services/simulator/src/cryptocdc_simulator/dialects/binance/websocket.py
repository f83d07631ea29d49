"""The WebSocket endpoints /ws, /ws/<stream>, /stream?streams=a/b, and the commands on an open connection."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.websockets import WebSocket

from cryptocdc_simulator.dialects.port import Client, Idle, Reply

MAX_STREAMS = 1024
_MESSAGES_A_SECOND = 5


class Commands:
    """SUBSCRIBE, UNSUBSCRIBE and LIST_SUBSCRIPTIONS. `combined`: frames are {"stream": …, "data": …}.

    `serves`: whether the path has a stream, None if it has all; one that it lacks is accepted but stays silent.
    """

    def __init__(
        self,
        combined: bool,
        messages_a_second: int = _MESSAGES_A_SECOND,
        serves: Callable[[str], bool] | None = None,
    ) -> None:
        self._combined, self._serves = combined, serves
        self.messages_a_second = messages_a_second

    def begin(self, websocket: WebSocket, client: Client) -> list[str]:
        query, path = websocket.query_params, websocket.path_params
        named = query.get("streams", "") if self._combined else path.get("streams", "")
        streams = [stream for stream in named.split("/") if stream]
        if len(streams) > MAX_STREAMS:
            raise ValueError(f"More than {MAX_STREAMS} streams on one connection")
        client.wrap = combined if self._combined else None
        return list(filter(self._serves, streams))

    def idle(self, _: Client) -> Idle | None:
        """Return None: the server pings, and a client may be silent."""
        return None

    def replies(self, client: Client, text: str) -> list[Reply]:
        answer, streams = self._reply(client, text)
        return [Reply(json.dumps(answer, separators=(",", ":")).encode(), filter(self._serves, streams))]

    def _reply(self, client: Client, text: str) -> tuple[dict[str, Any], list[str]]:
        """Return the reply to a command, and the streams that it subscribes to."""
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
            case "SUBSCRIBE" if len({*client.streams, *params}) > MAX_STREAMS:
                return _error(2, f"Invalid request: no more than {MAX_STREAMS} streams on one connection", id), []
            case "SUBSCRIBE":
                return _result(None, id), params
            case "UNSUBSCRIBE":
                client.unsubscribe(params)
                return _result(None, id), []
            case "LIST_SUBSCRIPTIONS":
                return _result(list(client.streams), id), []
            case _:
                return _error(2, f"Invalid request: unknown variant {method}", id), []


def combined(stream: str, payload: bytes) -> bytes:
    return b'{"stream":"%s","data":%s}' % (stream.encode(), payload)


def _result(result: Any, id: Any) -> dict[str, Any]:
    return {"result": result, "id": id}


def _error(code: int, message: str, id: Any) -> dict[str, Any]:
    return {"error": {"code": code, "msg": message}, "id": id}

"""The WebSocket paths /ws/v5/public and /ws/v5/business: subscriptions with an answer for each argument, text pings."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from starlette.websockets import WebSocket

from cryptocdc_simulator.dialects.okx.streams import Arg, named
from cryptocdc_simulator.dialects.port import Client, Idle, Reply, encode

_IDLE = Idle(30.0, 4004, "No data received in 30s.")
_REQUESTS_AN_HOUR = 480
_HOUR_MS = 3_600_000


class Subscriptions:
    """`serves`: whether the path has the channel and the market of an argument."""

    messages_a_second = 1000

    def __init__(self, serves: Callable[[Arg], bool], clock: Callable[[], int]) -> None:
        self._serves, self._clock = serves, clock
        self._requests: WeakKeyDictionary[Client, tuple[int, int]] = WeakKeyDictionary()  # (hour, how many)

    def begin(self, _: WebSocket, __: Client) -> list[str]:
        return []

    def idle(self, _: Client) -> Idle | None:
        return _IDLE

    def replies(self, client: Client, text: str) -> list[Reply]:
        if text == "ping":
            return [Reply(b"pong")]
        connection = {"connId": f"{id(client) & 0xFFFFFFFF:08x}"}
        try:
            request = json.loads(text)
            operation, args = request["op"], request["args"]
            valid = operation in ("subscribe", "unsubscribe") and all(map(_is_arg, args))
        except (ValueError, KeyError, TypeError):
            valid = False
        if not valid:
            return [Reply(encode(_error("60012", f"Invalid request: {text}") | connection))]
        if self._is_too_frequent(client):
            return [Reply(encode(_error("60014", "Requests too frequent") | connection))]
        echo = {"id": request["id"]} if "id" in request else {}
        return [self._reply(client, operation, arg, echo | connection) for arg in args]

    def _reply(self, client: Client, operation: str, arg: Arg, rest: dict[str, Any]) -> Reply:
        if named(arg) not in client.streams and not self._serves(arg):
            missing = ",".join(f"{name}:{value}" for name, value in arg.items())
            message = (
                f"Wrong URL or {missing} doesn't exist. Please use the correct URL, channel and parameters referring"
                " to API document."
            )
            return Reply(encode(_error("60018", message) | rest))
        acknowledged = encode({"event": operation, "arg": arg} | rest)
        if operation == "subscribe":
            return Reply(acknowledged, [named(arg)])
        client.unsubscribe([named(arg)])
        return Reply(acknowledged)

    def _is_too_frequent(self, client: Client) -> bool:
        hour = self._clock() // _HOUR_MS
        before, count = self._requests.get(client, (hour, 0))
        count = count + 1 if before == hour else 1
        self._requests[client] = hour, count
        return count > _REQUESTS_AN_HOUR


def _is_arg(arg: Any) -> bool:
    return isinstance(arg, dict) and all(isinstance(value, str) for value in arg.values())


def _error(code: str, message: str) -> dict[str, Any]:
    return {"event": "error", "code": code, "msg": message}


def notice(_: int) -> tuple[str, bytes]:
    """What announces that a connection is about to be closed."""
    message = "The connection will soon be closed for a service upgrade. Please reconnect."
    return "notice", encode({"event": "notice", "code": "64008", "msg": message, "connId": "00000000"})

"""Clients of a dialect without a network: REST by path and query, streams by a clock that a test moves."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.routing import Match, Route

from cryptocdc_simulator.dialects.port import Dialect, Reply
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.rest_endpoint import RestEndpoint

from .conftest import ManualClock

Answered = tuple[int, Any, dict[str, str]]
Ask = Callable[[str], Answered]
Events = dict[str, list[Any]]


def rest_client(dialect: Dialect, faults: Faults, base: str = "") -> Ask:
    """GET <base><path and query> -> (status, body, headers); a body that is not JSON is returned unchanged."""
    endpoint = RestEndpoint(dialect, faults)
    routes = [Route(path, endpoint.__call__) for path in dialect.rest_paths]

    def get(target: str) -> Answered:
        path, _, query = (base + target).partition("?")
        scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": []}
        for route in routes:
            match, found = route.matches(scope)
            if match is Match.FULL:
                response = asyncio.run(endpoint(Request({**scope, **found})))
                body = bytes(response.body)
                try:
                    return response.status_code, json.loads(body), dict(response.headers)
                except ValueError:
                    return response.status_code, body, dict(response.headers)
        raise AssertionError(f"no route for {path}")

    return get


class Listener:
    """Advances the clock in small strides and keeps the messages of each stream."""

    def __init__(self, dialect: Dialect, clock: ManualClock) -> None:
        self.streams = dialect.source
        self._clock = clock

    def run(self, milliseconds: int, stride: int = 20) -> Events:
        events: Events = defaultdict(list)
        end = self._clock.now + milliseconds
        while self._clock.now < end:
            self._clock.now = min(end, self._clock.now + stride)
            for outgoing in self.streams.due():
                events[outgoing.stream].append(json.loads(outgoing.payload))
        return events

    def welcome(self, stream: str) -> list[Any]:
        return [json.loads(payload) for payload in self.streams.welcome(stream)]


class FakeClient:
    """A connection as a session sees it."""

    def __init__(self) -> None:
        self.streams: dict[str, None] = {}
        self.wrap: Callable[[str, bytes], bytes] | None = None

    def unsubscribe(self, streams: Any) -> None:
        for stream in list(streams):
            self.streams.pop(stream, None)

    def takes(self, replies: list[Reply]) -> list[Any]:
        """Subscribe as the replies say; return the messages, decoded if they are JSON."""
        messages = []
        for reply in replies:
            self.streams.update(dict.fromkeys(reply.subscribe))
            messages.append(json.loads(reply.message) if reply.message[:1] in b"{[" else reply.message.decode())
        return messages


def shape(value: Any) -> Any:
    """Fields and JSON types of a value; of a list those of its first entry."""
    if isinstance(value, dict):
        return {name: shape(field) for name, field in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__

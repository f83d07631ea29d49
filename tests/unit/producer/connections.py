"""A small WebSocket server, and a client with the producer's connections to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from tests.unit.producer.conftest import BINANCE, make_feed
from websockets.asyncio.server import ServerConnection, serve

from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.port import Channel, Control, Reply, Venue
from cryptocdc_producer.connections.fleet import Fleet


class Server:
    """Obeys SUBSCRIBE and UNSUBSCRIBE; tests decide what it sends."""

    def __init__(self) -> None:
        self.open: dict[ServerConnection, set[str]] = {}
        self.accepted = 0
        self.commands: list[tuple[str, list[str]]] = []
        self.refuses: set[str] = set()
        """Channels that are refused by name, as those of a market that is not listed."""
        self.hold = ""
        """A channel: the command that subscribes to it is obeyed only once the event in `held` is set."""
        self.held: list[asyncio.Event] = []
        self.url = ""

    async def handle(self, connection: ServerConnection) -> None:
        self.accepted += 1
        self.open[connection] = set()
        try:
            async for message in connection:
                command = json.loads(message)
                self.commands.append((command["method"], command["params"]))
                if self.hold in command["params"]:
                    self.held.append(asyncio.Event())
                    await self.held[-1].wait()
                change = set(command["params"]) - self.refuses
                subscribed = self.open[connection]
                self.open[connection] = subscribed | change if command["method"] == "SUBSCRIBE" else subscribed - change
                for name in self.refuses & set(command["params"]):
                    await connection.send(json.dumps({"refused": name}))
                if change:
                    await connection.send(json.dumps({"result": None, "id": command["id"]}))
        finally:
            del self.open[connection]

    @property
    def streams(self) -> list[set[str]]:
        return sorted(self.open.values(), key=sorted)

    async def send(self, data: dict[str, Any]) -> None:
        for connection in list(self.open):
            await connection.send(json.dumps({"stream": "x", "data": data}))


def channels(*names: str) -> list[Channel]:
    return [Channel("latest_prices", name, "/stream") for name in names]


def limited(venue: Venue, **limits: Any) -> Venue:
    """The venue with other limits for connections."""
    found = venue.channels
    wanted = replace(found.limits, command_every_s=0.0, **limits)
    own = SimpleNamespace(of=found.of, subscribe=found.subscribe, unsubscribe=found.unsubscribe, limits=wanted)
    return replace(venue, channels=own)


class Client:
    def __init__(self, url: str, **limits: Any) -> None:
        self.frames: list[bytes] = []
        self.outages: list[tuple[list[str], float]] = []
        venue = limited(BINANCE.at(websocket=url), **limits)
        self._decode = venue.frames.decoder(make_feed().spec.streams)
        self.fleet = Fleet(
            venue, self._receive, self._room, ProducerMetrics("test"),
            lambda channels, seconds: self.outages.append((sorted(it.name for it in channels), seconds)),
        )  # fmt: skip

    def _receive(self, frame: bytes) -> Control | None:
        if frame.startswith(b'{"refused"'):
            return Reply("no such market", names=frozenset(json.loads(frame).values()))
        try:
            event = self._decode(frame)
        except Rejected:
            self.frames.append(frame)
            return None
        return event if isinstance(event, Control) else None

    async def _room(self) -> None:
        return


@asynccontextmanager
async def connected(streams: list[str], **limits: Any) -> AsyncIterator[tuple[Server, Client]]:
    server = Server()
    async with serve(server.handle, "127.0.0.1", 0) as listening:
        server.url = f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        client = Client(server.url, **limits)
        client.fleet.add(channels(*streams))
        try:
            await until(lambda: server.streams == [set(streams)])
            yield server, client
        finally:
            await client.fleet.close()


async def until(condition: Callable[[], Any], limit_s: float = 20) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def scenario(of: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(of())  # type: ignore[arg-type]

"""The connections, against a small server: subscriptions, cuts, take-overs without a hole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.producer.conftest import BINANCE, make_feed
from websockets.asyncio.server import ServerConnection, serve

from cryptocdc_core.metrics import ProducerMetrics
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.port import Channel, Control, Reply, Venue
from cryptocdc_producer.connections import line, session
from cryptocdc_producer.connections.fleet import Fleet


class Server:
    """Obeys SUBSCRIBE and UNSUBSCRIBE; what it sends, a test says."""

    def __init__(self) -> None:
        self.open: dict[ServerConnection, set[str]] = {}
        self.accepted = 0
        self.commands: list[tuple[str, list[str]]] = []
        self.refuses: set[str] = set()
        """Channels that are refused by name, as those of a market that is not listed."""
        self.url = ""

    async def handle(self, connection: ServerConnection) -> None:
        self.accepted += 1
        self.open[connection] = set()
        try:
            async for message in connection:
                command = json.loads(message)
                self.commands.append((command["method"], command["params"]))
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
    """The venue with other limits of its connections."""
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


def test_streams_come_and_go_on_a_live_connection() -> None:
    async def run() -> None:
        async with connected(["a", "b"]) as (server, client):
            client.fleet.add(channels("c"))
            client.fleet.remove(channels("a"))
            await until(lambda: server.streams == [{"b", "c"}])
            assert server.accepted == 1

    scenario(run)


def test_a_channel_that_several_symbols_share_is_subscribed_to_once_and_until_the_last_of_them_ends() -> None:
    async def run() -> None:
        async with connected(["a", "all"], channels=2) as (server, client):
            client.fleet.add(channels("b", "all"))
            await until(lambda: server.streams == [{"a", "all"}, {"b"}])
            client.fleet.remove(channels("a", "all"))
            await until(lambda: server.streams == [{"all"}, {"b"}])
            client.fleet.remove(channels("b", "all"))
            await until(lambda: server.streams == [])

    scenario(run)


def test_a_silent_stream_is_resubscribed() -> None:
    async def run() -> None:
        async with connected(["a", "b"]) as (server, client):
            commands = len(server.commands)
            client.fleet.renew(channels("b", "of another producer"))
            await until(lambda: len(server.commands) == commands + 2)
            assert server.commands[commands:] == [("UNSUBSCRIBE", ["b"]), ("SUBSCRIBE", ["b"])]
            assert server.accepted == 1

    scenario(run)


def test_a_channel_that_is_refused_by_name_costs_no_other_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(session, "REFUSED_AGAIN_S", 0.2)

    async def run() -> None:
        async with connected(["a"]) as (server, client):
            server.refuses = {"unlisted"}
            client.fleet.add(channels("b", "unlisted"))
            await until(lambda: server.streams == [{"a", "b"}] and server.commands.count(SUBSCRIBED) >= 2)
            server.refuses = set()
            await until(lambda: server.streams == [{"a", "b", "unlisted"}])
            assert server.accepted == 1
            count = len(server.commands)
            client.fleet.remove(channels("b"))
            await until(lambda: server.streams == [{"a", "unlisted"}])
            assert len(server.commands) == count + 1

    scenario(run)
    assert "unlisted: no such market, retrying in" in caplog.text


def test_a_refused_channel_is_not_tried_again_whenever_another_one_changes() -> None:
    async def run() -> None:
        async with connected(["a"]) as (server, client):
            server.refuses = {"unlisted"}
            client.fleet.add(channels("b", "unlisted"))
            await until(lambda: server.streams == [{"a", "b"}])
            client.fleet.add(channels("c"))
            await until(lambda: "c" in server.streams[0])
            client.fleet.add(channels("d"))
            await until(lambda: "d" in server.streams[0])
            assert sum("unlisted" in names for _, names in server.commands) == 1
            server.refuses = set()
            client.fleet.renew(channels("unlisted"))
            await until(lambda: "unlisted" in server.streams[0])

    scenario(run)


SUBSCRIBED = ("SUBSCRIBE", ["unlisted"])


def test_a_connection_that_has_taken_its_commands_is_replaced_without_a_hole() -> None:
    async def run() -> None:
        async with connected(["a"], commands=2) as (server, client):
            client.fleet.add(channels("b"))
            await until(lambda: server.accepted == 2 and {"a", "b"} in server.streams)
            await server.send({"n": 1})
            await until(lambda: server.streams == [{"a", "b"}])
            assert not client.outages

    scenario(run)


def test_streams_are_spread_over_connections() -> None:
    async def run() -> None:
        async with connected(["a", "b"], channels=2) as (server, client):
            client.fleet.add(channels("c", "d", "e"))
            await until(lambda: server.streams == [{"a", "b"}, {"c", "d"}, {"e"}])
            client.fleet.remove(channels("e"))
            await until(lambda: server.streams == [{"a", "b"}, {"c", "d"}])

    scenario(run)


def test_a_disconnect_is_followed_by_a_new_connection_and_its_duration_is_reported() -> None:
    async def run() -> None:
        async with connected(["a"]) as (server, client):
            await server.send({"n": 1})
            await until(lambda: client.frames)
            for connection in list(server.open):
                connection.transport.abort()
            await until(lambda: server.accepted == 2 and server.streams == [{"a"}])
            await server.send({"n": 2})
            await until(lambda: client.outages)
            assert client.outages[0][0] == ["a"]
            assert 0 < client.outages[0][1] < 20

    scenario(run)


@pytest.mark.parametrize("cause", ["age", "shutdown"])
def test_the_new_connection_is_open_before_the_old_one_closes(cause: str) -> None:
    async def run() -> None:
        more = {"max_age_s": 0.5} if cause == "age" else {}
        async with connected(["a"], **more) as (server, client):
            if cause == "shutdown":
                await server.send({"e": "serverShutdown", "E": 1})
            await until(lambda: server.streams == [{"a"}, {"a"}])
            await server.send({"n": 1})
            # Both bring it: what one of them lacks is never missed.
            await until(lambda: len(client.frames) >= 2)
            assert not client.outages

    scenario(run)


def test_silence_is_answered_by_a_new_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "SILENCE_S", 0.5)
    monkeypatch.setattr(line, "_TAKE_OVER_S", 0.2)

    async def run() -> None:
        async with connected(["a"]) as (server, _):
            await until(lambda: server.accepted >= 2 and server.streams == [{"a"}])

    scenario(run)


def test_a_frame_of_five_megabytes_costs_only_itself() -> None:
    async def run() -> None:
        async with connected(["a"]) as (server, client):
            await server.send({"e": "trade", "padding": "x" * 5 * 1024 * 1024})
            await server.send({"n": 2})
            await until(lambda: len(client.frames) == 2)
            assert server.accepted == 1

    scenario(run)


def test_a_frame_beyond_all_bounds_costs_the_connection_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_MAX_BYTES", 1000)

    async def run() -> None:
        async with connected(["a"]) as (server, client):
            await server.send({"padding": "x" * 2000})
            await until(lambda: server.accepted == 2 and server.streams == [{"a"}])
            assert client.fleet.metrics.rejected.labels("oversize")._value.get() == 1

    scenario(run)


def test_attempts_stay_below_the_exchange_s_limit() -> None:
    async def run() -> None:
        client = Client("ws://127.0.0.1:9", attempts=3, attempts_s=0.5)
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(7):
            await client.fleet.attempt()
        assert loop.time() - began >= 1.0

    scenario(run)


UNCONNECTABLE = {
    "a host that no resolver takes": (f"ws://{'a' * 64}.example", {}),
    "an empty label": ("ws://.example", {}),
    "an unsupported proxy": ("ws://exchange.example", {"HTTP_PROXY": "socks5://127.0.0.1:1080"}),
    "a proxy that is away, without a scheme": ("ws://exchange.example", {"HTTP_PROXY": "127.0.0.1:9"}),
    "nobody": ("ws://127.0.0.1:9", {}),
}


@pytest.mark.parametrize("case", UNCONNECTABLE)
def test_a_connection_that_can_not_be_made_is_logged_counted_and_tried_again(
    case: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url, environment = UNCONNECTABLE[case]
    monkeypatch.setattr(line, "_BACKOFF_S", (0.01, 0.02))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    async def run() -> None:
        client = Client(url)
        client.fleet.add(channels("a"))
        await until(lambda: client.fleet.metrics.reconnects.labels("failed")._value.get() >= 3)
        await client.fleet.close()

    scenario(run)
    assert caplog.text.count(f"no connection to {url}/stream, retrying in") >= 3


def test_an_unsupported_proxy_is_named_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")

    async def run() -> None:
        client = Client("wss://exchange.example")
        client.fleet.add(channels("a"))
        await until(lambda: "HTTPS_PROXY" in caplog.text)
        await client.fleet.close()

    scenario(run)
    assert "the proxy 'socks5://127.0.0.1:1080' is not supported; accepted: http://HOST:PORT" in caplog.text


def test_loopback_is_connected_to_without_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async def run() -> None:
        async with connected(["a"]) as (server, _):
            assert server.accepted == 1

    scenario(run)


async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


def test_a_proxy_without_a_scheme_works(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    async def run() -> None:
        server = Server()
        async with serve(server.handle, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]

            async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                asked.append(await reader.readuntil(b"\r\n\r\n"))
                inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                await asyncio.gather(forward(reader, inner_writer), forward(inner_reader, writer))

            async with await asyncio.start_server(tunnel, "127.0.0.1", 0) as proxy:
                monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
                client = Client("ws://exchange.example")
                client.fleet.add(channels("a"))
                await until(lambda: server.streams == [{"a"}])
                await client.fleet.close()

    scenario(run)
    assert asked[0].startswith(b"CONNECT exchange.example:80 ")


def test_a_fault_in_what_takes_the_frames_is_logged_and_the_connection_made_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(line, "_BACKOFF_S", (0.01, 0.02))

    async def run() -> None:
        async with connected(["a"]) as (server, client):
            client.fleet.receive = lambda _: 1 / 0  # type: ignore[assignment, return-value]
            for _ in range(2):  # the first one is awaited already, by what took the frames before
                await server.send({"a": 1})
            await until(lambda: server.accepted >= 2)

    scenario(run)
    assert "ZeroDivisionError" in caplog.text
    assert "failed unexpectedly, reconnecting" in caplog.text

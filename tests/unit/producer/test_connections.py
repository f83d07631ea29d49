"""The connections, against a small server: subscriptions, disconnects, handovers without a gap."""

from __future__ import annotations

import asyncio

import pytest
from tests.unit.producer.connections import Client, channels, connected, scenario, until

from cryptocdc_core.program.backoff import Backoff
from cryptocdc_producer.connections import line, session


def test_streams_are_added_and_removed_on_a_live_connection() -> None:
    async def run() -> None:
        async with connected(["a", "b"]) as (server, client):
            client.fleet.add(channels("c"))
            client.fleet.remove(channels("a"))
            await until(lambda: server.streams == [{"b", "c"}])
            assert server.accepted == 1

    scenario(run)


def test_a_shared_channel_is_subscribed_once_until_its_last_symbol_ends() -> None:
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


def test_a_channel_refused_by_name_is_retried_without_affecting_others(
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


def test_a_refused_channel_is_not_retried_on_every_change_of_others() -> None:
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


def test_a_connection_out_of_commands_is_replaced_without_an_outage() -> None:
    async def run() -> None:
        async with connected(["a"], commands=2) as (server, client):
            client.fleet.add(channels("b"))
            await until(lambda: server.accepted == 2 and {"a", "b"} in server.streams)
            await server.send({"n": 1})
            await until(lambda: server.streams == [{"a", "b"}])
            assert not client.outages

    scenario(run)


def test_a_stream_added_while_a_connection_takes_over_is_subscribed_to_on_the_new_one() -> None:
    async def run() -> None:
        async with connected(["a", "b"], channels_per_command=1) as (server, client):
            server.hold = "a"
            await server.send({"e": "serverShutdown", "E": 1})
            await until(lambda: server.held)
            client.fleet.add(channels("c"))
            await until(lambda: {"a", "b", "c"} in server.streams)  # the old connection
            server.held[0].set()
            await until(lambda: server.streams == [{"a", "b", "c"}, {"a", "b", "c"}])

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
            # Both deliver it: nothing is missed if one of them lacks it.
            await until(lambda: len(client.frames) >= 2)
            assert not client.outages

    scenario(run)


def test_no_connection_is_left_when_a_line_ends_during_a_take_over() -> None:
    async def run() -> None:
        async with connected(["a"]) as (server, client):
            await server.send({"e": "serverShutdown", "E": 1})
            await until(lambda: server.streams == [{"a"}, {"a"}])
            client.fleet.remove(channels("a"))
            await until(lambda: server.streams == [])

    scenario(run)


def test_an_outage_is_reported_if_the_old_connection_ends_before_a_new_one_is_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(line, "_BACKOFF", Backoff(0.01, 0.02))
    reachable = asyncio.Event()
    opened = session.Session.open

    async def open_when_reachable(of: line.Line) -> session.Session:
        if not reachable.is_set():
            raise OSError("no route to host")
        return await opened(of)

    async def run() -> None:
        async with connected(["a"]) as (server, client):
            await server.send({"n": 1})
            await until(lambda: client.frames)
            monkeypatch.setattr(session.Session, "open", open_when_reachable)
            await server.send({"e": "serverShutdown", "E": 1})
            await until(lambda: client.fleet.metrics.reconnects.labels("failed")._value.get() >= 2)
            for connection in list(server.open):
                connection.transport.abort()
            await until(lambda: not server.open)
            reachable.set()
            await until(lambda: server.streams == [{"a"}])
            await server.send({"n": 2})
            await until(lambda: client.outages)
            assert client.outages[0][0] == ["a"]

    scenario(run)


def test_a_silent_connection_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "SILENCE_S", 0.5)
    monkeypatch.setattr(line, "_TAKE_OVER_S", 0.2)

    async def run() -> None:
        async with connected(["a"]) as (server, _):
            await until(lambda: server.accepted >= 2 and server.streams == [{"a"}])

    scenario(run)


@pytest.mark.parametrize("sporadic", [False, True])
def test_the_silence_of_a_replaced_connection_is_an_outage_unless_its_streams_are_sporadic(
    sporadic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "SILENCE_S", 0.5)

    async def run() -> None:
        async with connected(["a"]) as (server, client):
            client.fleet.sporadic = frozenset({"latest_prices"} if sporadic else ())
            await server.send({"n": 1})
            await until(lambda: client.frames)
            await until(lambda: server.streams == [{"a"}, {"a"}])
            await server.send({"n": 2})
            await until(lambda: len(client.frames) > 1 and server.streams == [{"a"}])
            assert [names for names, _ in client.outages] == ([] if sporadic else [["a"]])
            assert all(0.5 <= seconds < 20 for _, seconds in client.outages)

    scenario(run)


def test_a_frame_of_five_megabytes_does_not_affect_others() -> None:
    async def run() -> None:
        async with connected(["a"]) as (server, client):
            await server.send({"e": "trade", "padding": "x" * 5 * 1024 * 1024})
            await server.send({"n": 2})
            await until(lambda: len(client.frames) == 2)
            assert server.accepted == 1

    scenario(run)


def test_a_frame_above_the_size_limit_is_counted_and_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_connections_that_wait_together_stay_below_the_exchange_s_limit() -> None:
    async def run() -> None:
        client = Client("ws://127.0.0.1:9", attempts=3, attempts_s=0.5)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(*(client.fleet.attempt() for _ in range(7)))
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
def test_a_failed_connection_attempt_is_logged_counted_and_retried(
    case: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url, environment = UNCONNECTABLE[case]
    monkeypatch.setattr(line, "_BACKOFF", Backoff(0.01, 0.02))
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


def test_an_error_in_the_frame_handler_is_logged_and_leads_to_a_reconnect(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(line, "_BACKOFF", Backoff(0.01, 0.02))

    async def run() -> None:
        async with connected(["a"]) as (server, client):
            client.fleet.receive = lambda _: 1 / 0  # type: ignore[assignment, return-value]
            for _ in range(2):  # the previous handler is already waiting for the first one
                await server.send({"a": 1})
            await until(lambda: server.accepted >= 2)

    scenario(run)
    assert "ZeroDivisionError" in caplog.text
    assert "failed unexpectedly, reconnecting" in caplog.text

"""Which connections use a proxy, and how an unsupported one is reported."""

from __future__ import annotations

import asyncio

import pytest
from tests.unit.producer.connections import Client, Server, channels, connected, scenario, until
from websockets.asyncio.server import serve


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


def test_connections_to_loopback_bypass_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
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

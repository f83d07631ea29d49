"""The venues of the simulator on bare sockets: what only a connection shows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import requests
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from .simulator import fault, running, state, subscribed, until


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with running("--seed", "5", "--rate", "3", "--symbols", "6") as port:
        yield port


async def received(socket: ClientConnection) -> Any:
    async with asyncio.timeout(30):
        return json.loads(await socket.recv())


def test_venues_have_connections_and_faults_of_their_own(port: int) -> None:
    async def cut() -> None:
        url = f"ws://127.0.0.1:{port}/binance-usdm/public/stream?streams=btcusdt@depth@100ms"
        async with connect(url) as futures, subscribed(port, "btcusdt@depth@100ms") as spot:
            assert "pu" in json.loads(await futures.recv())["data"]
            fault(port, "cut", venue="/binance-usdm")
            with pytest.raises(ConnectionClosedError):
                await until(futures, lambda _: False)
            for _ in range(5):
                assert "pu" not in json.loads(await spot.recv())["data"]

    asyncio.run(cut())


# --- OKX --------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def okx(port: int, *channels: str) -> AsyncIterator[ClientConnection]:
    async with connect(f"ws://127.0.0.1:{port}/okx/ws/v5/public", max_size=None, close_timeout=1) as socket:
        args = [{"channel": channel, "instId": "BTC-USDT"} for channel in channels]
        await socket.send(json.dumps({"op": "subscribe", "args": args}))
        yield socket


def test_an_acknowledgement_comes_first_then_the_snapshot_then_its_updates(port: int) -> None:
    async def follow() -> None:
        async with okx(port, "books") as first:
            assert (await received(first))["event"] == "subscribe"
            assert (await received(first))["action"] == "snapshot"
            async with okx(port, "books") as second:
                frames = [await received(second) for _ in range(4)]
                assert [frame.get("event", frame.get("action")) for frame in frames] == [
                    *("subscribe", "snapshot", "update", "update"),
                ]
                ids = [frame["data"][0] for frame in frames[1:]]
                assert [ids[0]["prevSeqId"], ids[1]["prevSeqId"]] == [-1, ids[0]["seqId"]]

    asyncio.run(follow())


def test_a_text_ping_gets_a_text_pong(port: int) -> None:
    async def ping() -> None:
        async with okx(port) as socket:
            await socket.send("ping")
            assert await socket.recv() == "pong"

    asyncio.run(ping())


def test_a_shutdown_is_announced_with_the_venues_message(port: int) -> None:
    async def wait() -> None:
        async with okx(port) as socket:
            await socket.send("ping")
            assert await socket.recv() == "pong"
            fault(port, "shutdown", venue="/okx", grace=0.5)
            assert (await received(socket))["code"] == "64008"
            with pytest.raises(ConnectionClosedError):
                await received(socket)

    asyncio.run(wait())


def test_faults_affect_only_one_venue(port: int) -> None:
    fault(port, "refuse", venue="/okx", status=429, seconds=60)
    assert requests.get(f"http://127.0.0.1:{port}/okx/api/v5/public/time", timeout=10).status_code == 429
    assert requests.get(f"http://127.0.0.1:{port}/api/v3/ping", timeout=10).status_code == 200
    fault(port, "clear", venue="/okx")
    answer = requests.get(f"http://127.0.0.1:{port}/okx/api/v5/public/time", timeout=10)
    assert (answer.status_code, answer.headers["x-simulated"]) == (200, "market")
    assert requests.get(f"http://127.0.0.1:{port}/okx/simulator/state", timeout=10).json()["dialect"] == "okx"
    assert state(port)["dialect"] == "binance"


# --- Coinbase Exchange ------------------------------------------------------------------------------------------------


def coinbase(port: int, path: str = "/coinbase") -> connect:
    return connect(f"ws://127.0.0.1:{port}{path}", max_size=None, close_timeout=1)


@pytest.mark.parametrize("path", ["/coinbase", "/coinbase/"])
def test_matches_continue_from_the_last_one_and_are_available_over_rest(port: int, path: str) -> None:
    async def follow() -> list[Any]:
        async with coinbase(port, path) as socket:
            await socket.send(json.dumps({"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["matches"]}))
            assert (await received(socket))["type"] == "subscriptions"
            return [await received(socket) for _ in range(20)]

    frames = asyncio.run(follow())
    assert [frame["type"] for frame in frames] == ["last_match"] + ["match"] * 19
    first, last = frames[0]["trade_id"], frames[-1]["trade_id"]
    url = f"http://127.0.0.1:{port}/coinbase/products/BTC-USD/trades"
    page = requests.get(url, params={"before": first - 1, "after": last + 1}, timeout=10)
    assert [row["trade_id"] for row in page.json()] == list(range(last, first - 1, -1))
    assert page.headers["cb-after"] == str(first)


def test_a_client_that_does_not_subscribe_is_disconnected(port: int) -> None:
    async def wait() -> None:
        async with coinbase(port) as socket:
            with pytest.raises(ConnectionClosedError) as closed:
                await received(socket)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008

    asyncio.run(wait())


def test_the_control_api_is_beside_the_venues_paths(port: int) -> None:
    answer = requests.get(f"http://127.0.0.1:{port}/coinbase/simulator/state", timeout=10).json()
    assert (answer["dialect"], answer["symbols"]["BTC-USD"]) == ("coinbase", "TRADING")
    fault(port, "delist", venue="/coinbase", symbol="ETH-USD")
    products = requests.get(f"http://127.0.0.1:{port}/coinbase/products", timeout=10).json()
    assert {it["id"]: it["status"] for it in products}["ETH-USD"] == "offline"
    fault(port, "resume", venue="/coinbase", symbol="ETH-USD")
    page = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    assert 'cryptocdc_simulator_faults_total{dialect="coinbase",fault="delist"} 1.0' in page

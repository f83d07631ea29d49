"""The simulator as clients see it: python-binance, which knows the exchange and not us, and bare sockets for faults."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
import requests
from binance import AsyncClient, BinanceSocketManager, Client
from binance.exceptions import BinanceAPIException
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from .simulator import fault, get, running, state, subscribed, until


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with running("--seed", "5", "--rate", "3") as port:
        yield port


# --- the independent client, REST -------------------------------------------------------------------------------------


@pytest.fixture
def client(port: int) -> Client:
    fault(port, "clear")
    client = Client(ping=False)
    client.API_URL = f"http://127.0.0.1:{port}/api"
    return client


def test_the_client_reads_everything_over_rest(client: Client) -> None:
    assert client.ping() == {}
    assert abs(client.get_server_time()["serverTime"] - time.time() * 1000) < 5_000
    assert client.get_exchange_info()["simulated"] is True
    info = client.get_symbol_info("BTCUSDT")
    assert (info["baseAsset"], info["status"]) == ("BTC", "TRADING")
    assert client.get_symbol_ticker(symbol="BTCUSDT")["symbol"] == "BTCUSDT"
    assert len(client.get_all_tickers()) == len(client.get_exchange_info()["symbols"]) == 65
    assert len(client.get_orderbook_tickers()) == 65
    assert client.get_ticker(symbol="ETHUSDT")["count"] > 0
    assert float(client.get_avg_price(symbol="BTCUSDT")["price"]) > 0
    book = client.get_order_book(symbol="BTCUSDT", limit=50)
    assert len(book["bids"]) == len(book["asks"]) == 50
    trades = client.get_recent_trades(symbol="BTCUSDT", limit=20)
    assert client.get_historical_trades(symbol="BTCUSDT", fromId=trades[0]["id"], limit=20) == trades


def test_the_client_reads_history_page_by_page(client: Client) -> None:
    klines = client.get_historical_klines("BTCUSDT", "1m", "3 hours ago UTC", "1 hour ago UTC")
    assert len(klines) in (120, 121)
    assert [b[0] - a[0] for a, b in pairwise(klines)] == [60_000] * (len(klines) - 1)
    end = klines[-1][0]
    trades = client.aggregate_trade_iter("NKNUSDT", start_str=end - 600_000)
    ids = [trade["a"] for trade, _ in zip(trades, range(200), strict=False)]
    assert ids == list(range(ids[0], ids[0] + 200))


def test_the_client_understands_the_errors(client: Client, port: int) -> None:
    with pytest.raises(BinanceAPIException) as unknown:
        client.get_klines(symbol="NOSUCH", interval="1m")
    assert (unknown.value.status_code, unknown.value.code) == (400, -1121)
    fault(port, "weight", used=6000)
    with pytest.raises(BinanceAPIException) as over:
        client.get_klines(symbol="BTCUSDT", interval="1m")
    assert (over.value.status_code, over.value.code) == (429, -1003)
    assert 1 <= int(over.value.response.headers["Retry-After"]) <= 60
    fault(port, "clear")
    fault(port, "refuse", status=418, seconds=30)
    with pytest.raises(BinanceAPIException) as banned:
        client.ping()
    assert banned.value.status_code == 418
    fault(port, "clear")
    assert client.ping() == {}


# --- the independent client, sockets ----------------------------------------------------------------------------------


@asynccontextmanager
async def manager(port: int) -> AsyncIterator[tuple[AsyncClient, BinanceSocketManager]]:
    client = AsyncClient()
    client.API_URL = f"http://127.0.0.1:{port}/api"
    sockets = BinanceSocketManager(client, max_queue_size=10_000)
    sockets.STREAM_URL = f"ws://127.0.0.1:{port}/"
    try:
        yield client, sockets
    finally:
        await client.close_connection()


def test_the_client_receives_live_trades_klines_and_books(port: int) -> None:
    async def listen() -> None:
        async with manager(port) as (client, sockets):
            async with sockets.aggtrade_socket("BTCUSDT") as stream:
                trades = [await stream.recv() for _ in range(30)]
            first, last = trades[0]["a"], trades[-1]["a"]
            assert [trade["a"] for trade in trades] == list(range(first, last + 1))
            rest = await client.get_aggregate_trades(symbol="BTCUSDT", fromId=first, limit=30)
            assert rest == [{name: trade[name] for name in rest[0]} for trade in trades]

            async with sockets.trade_socket("BTCUSDT") as stream:
                assert (await stream.recv())["e"] == "trade"
            async with sockets.kline_socket("BTCUSDT", "1s") as stream:
                kline = (await stream.recv())["k"]
            assert (kline["i"], kline["x"]) == ("1s", True)
            row = await client.get_klines(symbol="BTCUSDT", interval="1s", startTime=kline["t"], limit=1)
            assert row[0][:9] == [kline[name] for name in ("t", "o", "h", "l", "c", "v", "T", "q", "n")]

            async with sockets.depth_socket("ETHUSDT", depth="5") as stream:
                assert len((await stream.recv())["bids"]) == 5
            async with sockets.symbol_ticker_socket("ETHUSDT") as stream:
                assert (await stream.recv())["e"] == "24hrTicker"
            async with sockets.symbol_book_ticker_socket("ETHUSDT") as stream:
                assert (await stream.recv())["s"] == "ETHUSDT"
            async with sockets.miniticker_socket() as stream:
                assert {"BTCUSDT", "ETHUSDT"} <= {entry["s"] for entry in await stream.recv()}
            async with sockets.multiplex_socket(["btcusdt@aggTrade", "ethusdt@kline_1m"]) as stream:
                names: set[str] = set()
                while len(names) < 2:
                    names.add((await stream.recv())["stream"])
            assert names == {"btcusdt@aggTrade", "ethusdt@kline_1m"}

    asyncio.run(asyncio.wait_for(listen(), 60))


def test_the_clients_order_book_equals_the_simulators(port: int) -> None:
    async def follow() -> None:
        async with manager(port) as (client, sockets), sockets.depth_socket("SOLUSDT", interval=100) as stream:
            diffs = [await stream.recv()]
            book = await client.get_order_book(symbol="SOLUSDT", limit=1000)
            while diffs[-1]["u"] <= book["lastUpdateId"]:
                diffs.append(await stream.recv())
            for _ in range(20):
                diffs.append(await stream.recv())
            later = await client.get_order_book(symbol="SOLUSDT", limit=1000)
            while diffs[-1]["u"] < later["lastUpdateId"]:
                diffs.append(await stream.recv())
        sides = {"b": dict(book["bids"]), "a": dict(book["asks"])}
        for diff in diffs:
            if book["lastUpdateId"] < diff["u"] <= later["lastUpdateId"]:
                for side, levels in sides.items():
                    levels.update(dict(diff[side]))
        kept = {side: {p: q for p, q in levels.items() if float(q)} for side, levels in sides.items()}
        assert kept == {"b": dict(later["bids"]), "a": dict(later["asks"])}

    asyncio.run(asyncio.wait_for(follow(), 60))


def test_the_client_reads_futures(client: Client, port: int) -> None:
    client.FUTURES_URL = f"http://127.0.0.1:{port}/binance-usdm/fapi"
    assert client.futures_ping() == {}
    perpetual = {it["symbol"] for it in client.futures_exchange_info()["symbols"] if it["contractType"] == "PERPETUAL"}
    assert "BTCUSDT" in perpetual
    assert float(client.futures_mark_price(symbol="BTCUSDT")["markPrice"]) > 0
    assert float(client.futures_open_interest(symbol="BTCUSDT")["openInterest"]) > 0
    assert len(client.futures_klines(symbol="BTCUSDT", interval="1m", limit=3)) == 3
    assert client.futures_ticker(symbol="BTCUSDT")["count"] > 0


# --- commands and faults, on bare sockets -----------------------------------------------------------------------------


def test_subscriptions_change_on_a_live_connection(port: int) -> None:
    async def change() -> None:
        async with connect(f"ws://127.0.0.1:{port}/ws") as socket:

            async def command(method: str, id: int, *params: str) -> Any:
                await socket.send(json.dumps({"method": method, "params": params, "id": id}))
                return (await until(socket, lambda frame: frame.get("id") == id))[-1]

            assert await command("SUBSCRIBE", 1, "btcusdt@aggTrade", "btcusdt@trade") == {"result": None, "id": 1}
            assert (await until(socket, lambda frame: frame["e"] == "aggTrade"))[-1]["s"] == "BTCUSDT"
            assert (await command("UNSUBSCRIBE", 2, "btcusdt@trade"))["result"] is None
            assert (await command("LIST_SUBSCRIPTIONS", 3))["result"] == ["btcusdt@aggTrade"]
            assert (await command("DANCE", 4))["error"]["code"] == 2

    asyncio.run(change())


def test_more_than_five_messages_per_second_close_the_connection(port: int) -> None:
    async def hurry() -> None:
        async with connect(f"ws://127.0.0.1:{port}/ws") as socket:
            for id in range(7):
                await socket.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": id}))
            with pytest.raises(ConnectionClosedError) as closed:
                await until(socket, lambda _: False)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008

    asyncio.run(hurry())


def test_dropped_trades_leave_a_gap_that_rest_fills(port: int) -> None:
    async def gap() -> None:
        async with subscribed(port, "btcusdt@aggTrade") as socket:
            frames = await until(socket, lambda _: True)
            first, last = fault(port, "drop-trades", symbol="BTCUSDT", count=20)["aggregate_ids"]
            frames += await until(socket, lambda frame: frame["data"]["a"] > last)
        assert frames[-1]["data"]["a"] == last + 1
        assert frames[-2]["data"]["a"] == first - 1
        rows = get(port, f"aggTrades?symbol=BTCUSDT&fromId={first}&limit=20")
        assert [row["a"] for row in rows] == list(range(first, last + 1))
        assert {"symbol": "BTCUSDT", "aggregate_ids": [first, last]}.items() <= (
            state(port)["faults"]["dropped_trades"][-1].items()
        )

    asyncio.run(gap())


def test_a_cut_has_no_closing_handshake(port: int) -> None:
    async def cut() -> None:
        async with subscribed(port, "btcusdt@aggTrade") as socket:
            await socket.recv()
            assert fault(port, "cut")["connections"] == 1
            with pytest.raises(ConnectionClosedError) as closed:
                await until(socket, lambda _: False)
            assert closed.value.rcvd is None

    asyncio.run(cut())


def test_a_silenced_connection_stays_open_and_a_new_one_receives_frames(port: int) -> None:
    async def silence() -> None:
        async with subscribed(port, "btcusdt@aggTrade") as silent:
            await silent.recv()
            fault(port, "silence", seconds=3)
            begin = time.monotonic()
            async with subscribed(port, "btcusdt@aggTrade") as other:
                await other.recv()
                await (await silent.ping())
                last = json.loads(await silent.recv())
                while time.monotonic() - begin < 2.9:  # what was under way when the silence began
                    last = json.loads(await silent.recv())
                assert last["stream"] == "btcusdt@aggTrade"
        assert state(port)["faults"]["counts"]["silenced_frames"] > 0

    asyncio.run(silence())


def test_a_shutdown_is_announced_before_the_end(port: int) -> None:
    async def shutdown() -> None:
        async with subscribed(port, "btcusdt@aggTrade") as socket:
            await socket.recv()
            fault(port, "shutdown", grace=0.5)
            frames = await until(socket, lambda frame: frame["stream"] == "!serverShutdown")
            assert frames[-1]["data"]["e"] == "serverShutdown"
            with pytest.raises(ConnectionClosedError) as closed:
                await until(socket, lambda _: False)
            assert closed.value.rcvd is not None

    asyncio.run(shutdown())


def test_duplicates_and_a_gap_in_the_book_reach_the_client(port: int) -> None:
    async def both() -> None:
        async with subscribed(port, "btcusdt@depth@100ms") as socket:
            await socket.recv()
            fault(port, "duplicate", count=1)
            frames = [frame["data"] for frame in await until(socket, lambda _: True)]
            frames += [json.loads(await socket.recv())["data"] for _ in range(3)]
            assert sum(a == b for a, b in pairwise(frames)) == 1
            first, last = fault(port, "depth-gap", symbol="BTCUSDT", count=3)["update_ids"]
            frames += [frame["data"] for frame in await until(socket, lambda frame: frame["data"]["U"] > last)]
            assert frames[-1]["U"] == last + 1
            assert frames[-2]["u"] == first - 1

    asyncio.run(both())


def test_an_event_arrives_after_the_next_of_its_stream_on_request(port: int) -> None:
    async def reordered() -> None:
        async with subscribed(port, "btcusdt@depth@100ms") as socket:
            await socket.recv()
            fault(port, "reorder", count=1)
            begun = json.loads(await socket.recv())["data"]["U"]
            frames = await until(socket, lambda _: state(port)["faults"]["counts"].get("reordered_frames", 0) > 0)
            frames += [json.loads(await socket.recv()) for _ in range(3)]
            ids = [begun, *(frame["data"]["U"] for frame in frames)]
            assert sum(after < before for before, after in pairwise(ids)) == 1
            assert len(set(ids)) == len(ids)

    asyncio.run(reordered())


@pytest.mark.parametrize("kind", ["invalid-json", "unknown-event", "wrong-decimal", "error-body", "future", "oversize"])
def test_malformed_frames_reach_the_client(port: int, kind: str) -> None:
    async def bad() -> None:
        async with subscribed(port, "btcusdt@aggTrade") as socket:
            sound = str(await socket.recv())
            assert fault(port, "malformed", kind=kind)["frames"] == 1
            async with asyncio.timeout(30):
                while True:
                    frame = str(await socket.recv())
                    if is_bad(kind, frame):
                        break
            assert not is_bad(kind, sound)
            json.loads(await socket.recv())  # the stream goes on

    def is_bad(kind: str, frame: str) -> bool:
        try:
            data = json.loads(frame)["data"]
        except ValueError:
            return kind == "invalid-json"
        match kind:
            case "unknown-event":
                return bool(data.get("e") != "aggTrade")
            case "wrong-decimal":
                return bool(data["p"] == "1.2.3")
            case "error-body":
                return "code" in data
            case "future":
                return bool(data["E"] > (time.time() + 3_000) * 1000)
            case "oversize":
                return len(frame) > 5_000_000
            case _:
                return False

    asyncio.run(bad())


def test_listing_delisting_and_a_crash_occur_on_request(port: int) -> None:
    async def change() -> None:
        async with subscribed(port, "freshusdt@aggTrade", "solusdt@aggTrade", "uniusdt@aggTrade") as socket:
            price = float((await until(socket, lambda f: f["data"]["s"] == "SOLUSDT"))[-1]["data"]["p"])
            fault(port, "list", base="FRESH", quote="USDT")
            assert (await until(socket, lambda f: f["data"]["s"] == "FRESHUSDT"))[-1]["data"]["a"] == 0
            begins = fault(port, "crash", symbol="SOLUSDT", percent=30, seconds=5)["begins"]
            fallen = await until(socket, lambda f: f["data"]["s"] == "SOLUSDT" and f["data"]["T"] > begins)
            assert float(fallen[-1]["data"]["p"]) < 0.75 * price
            after = fault(port, "delist", symbol="UNIUSDT")["next_aggregate_id"]
            frames = [json.loads(await socket.recv()) for _ in range(100)]
            assert all(f["data"]["a"] < after for f in frames if f["data"]["s"] == "UNIUSDT")
        assert state(port)["symbols"]["UNIUSDT"] == "BREAK"

    asyncio.run(change())


def test_health_metrics_and_state_are_served(port: int) -> None:
    base = f"http://127.0.0.1:{port}"
    assert requests.get(f"{base}/healthz", timeout=10).text == "ok\n"
    assert "cryptocdc_simulator_frames_total" in requests.get(f"{base}/metrics", timeout=10).text
    assert state(port)["simulated"] is True
    assert requests.post(f"{base}/simulator/faults/nosuch", timeout=10).status_code == 404
    assert "symbol" in requests.post(f"{base}/simulator/faults/crash", timeout=10).json()["error"]

"""The simulator as a process: how long a connection lives, what a restart keeps, and the replay of a capture."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from .simulator import get, running, state, subscribed, until


def test_a_connection_ends_after_its_lifetime() -> None:
    async def live(port: int) -> None:
        async with subscribed(port, "btcusdt@aggTrade") as socket:
            await until(socket, lambda frame: frame["stream"] == "!serverShutdown")

    with running("--symbols", "2", "--connection-life", "1") as port:
        asyncio.run(live(port))


def test_a_restarted_simulator_has_the_same_history() -> None:
    begin = int(time.time() * 1000) - 3_600_000
    histories = []
    for _ in range(2):
        with running("--symbols", "3", "--seed", "9") as port:
            query = f"symbol=BNBUSDT&startTime={begin}&endTime={begin + 90_000}"
            trades = get(port, f"aggTrades?{query}")
            klines = get(port, f"klines?{query}&interval=1m")
            histories.append((trades, klines))
    assert histories[0] == histories[1]
    assert all(histories[0])


def test_a_capture_is_replayed_to_connections_that_share_it(spot_capture: Path) -> None:
    recorded = (spot_capture / "binance-websocket.capture").read_text().splitlines()[1:]
    frames = [line.split(": ", 1)[1] for line in recorded if line]
    names = sorted({json.loads(frame)["stream"] for frame in frames})
    halves = names[::2], names[1::2]

    async def replay(port: int) -> None:
        async with subscribed(port, *halves[0]) as one, subscribed(port, *halves[1]) as other:
            for socket, half in ((one, halves[0]), (other, halves[1])):
                expected = [frame for frame in frames if json.loads(frame)["stream"] in half]
                async with asyncio.timeout(30):
                    assert [str(await socket.recv()) for _ in expected] == expected
            progress = state(port)["capture"]
            assert progress == {
                "frames_total": len(frames),
                "frames_wanted": len(frames),
                "frames_sent": len(frames),
                "finished": True,
            }
            await (await one.ping())

    with running("--capture", str(spot_capture), "--speed", "100") as port:
        assert get(port, "depth?symbol=NKNUSDT&limit=1000")["lastUpdateId"] == 499869752
        assert len(get(port, "exchangeInfo")["symbols"]) == 1695
        assert get(port, "klines?symbol=NKNUSDT&interval=1m") == []
        assert get(port, "ticker/price")["code"] == -1000
        asyncio.run(replay(port))

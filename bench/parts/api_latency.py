"""Latency of the API's latest prices at a steady request rate, while everything is captured."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from bench.parts.first_row import FEED, capturing
from bench.pipeline.pipelines import PORTS, wait_until
from cryptocdc_local.platform import Platform

RATE = 500
SECONDS, WARM_UP_S = 20, 5
CONNECTIONS = 32
LIMIT_S = 10


def latest_prices(platform: Platform, folder: Path) -> tuple[list[float], float]:
    """Return milliseconds from when each request was due to the end of its response, and responses per second.

    The time that a request waits for a free connection counts, so that a pause of the API is part of the latency of
    every request that was due meanwhile (no coordinated omission).
    """
    with capturing(platform, folder, CRYPTOCDC_API_REQUESTS_PER_S="1000000"):
        wait_until("prices", lambda: asyncio.run(_symbols()), every_s=0.5)
        symbols = asyncio.run(_symbols())
        asyncio.run(_at_steady_rate(symbols, WARM_UP_S))
        began = time.monotonic()
        found = asyncio.run(_at_steady_rate(symbols, SECONDS))
        return found, len(found) / (time.monotonic() - began)


async def _symbols() -> list[str]:
    """Return the symbols that have prices; none while the API does not respond or lacks some."""
    try:
        body = await _Connection().get("/latest_prices")
    except (OSError, ValueError):
        return []
    found = [row["symbol"] for row in json.loads(body)]
    return found if len(found) == FEED["spec"]["symbols"]["top"]["count"] else []


class _Connection:
    """A persistent connection, for one request at a time. Raises OSError; ValueError for any status but 200."""

    def __init__(self) -> None:
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> bytes:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", PORTS.api)
        reader, writer = self._streams
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode().splitlines()
        if " 200 " not in status:
            raise ValueError(status)
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        return await reader.readexactly(int(headers["content-length"]))


async def _at_steady_rate(symbols: list[str], seconds: float) -> list[float]:
    """Return the latencies of RATE requests per second; of those unanswered LIMIT_S after the last, the time waited."""
    idle: asyncio.Queue[_Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        idle.put_nowait(_Connection())
    latencies: list[float] = []

    async def request(number: int, due: float) -> None:
        try:
            connection = await idle.get()
            await connection.get(f"/latest_prices?symbol={symbols[number % len(symbols)]}")
            idle.put_nowait(connection)
        finally:
            latencies.append((time.monotonic() - due) * 1000)

    began = time.monotonic()
    requests = []
    for number in range(int(seconds * RATE)):
        due = began + number / RATE
        await asyncio.sleep(due - time.monotonic())
        requests.append(asyncio.create_task(request(number, due)))
    _, late = await asyncio.wait(requests, timeout=LIMIT_S)
    for task in late:
        task.cancel()
    await asyncio.gather(*requests, return_exceptions=bool(late))
    return latencies

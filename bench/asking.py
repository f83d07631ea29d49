"""Latest prices, asked of the API at a steady rate while everything is captured."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from bench.first_row import FEED, capturing
from bench.stack import PORTS, wait_until
from cryptocdc_local.platform import Platform

RATE = 500
SECONDS, WARM_UP_S = 20, 5
CONNECTIONS = 32
LIMIT_S = 10


def latest_prices(platform: Platform, folder: Path) -> tuple[list[float], float]:
    """Milliseconds from the moment at which each request was due to the end of its answer, and answers a second.

    A request that must wait for the one before it is late by that as well: an API that stands still for a moment is
    slow for all who would have asked meanwhile.
    """
    with capturing(platform, folder, CRYPTOCDC_API_REQUESTS_PER_S="1000000"):
        wait_until("prices", lambda: asyncio.run(_symbols()), every_s=0.5)
        symbols = asyncio.run(_symbols())
        asyncio.run(_steadily(symbols, WARM_UP_S))
        began = time.monotonic()
        found = asyncio.run(_steadily(symbols, SECONDS))
        return found, len(found) / (time.monotonic() - began)


async def _symbols() -> list[str]:
    """Those that have prices; none while the API does not answer or lacks some."""
    try:
        answer = await _Connection().ask("/latest_prices")
    except (OSError, ValueError):
        return []
    found = [row["symbol"] for row in json.loads(answer)]
    return found if len(found) == FEED["spec"]["symbols"]["top"]["count"] else []  # type: ignore[index]


class _Connection:
    """One that is kept open, and asks one thing at a time. Raises OSError; ValueError for anything but 200."""

    def __init__(self) -> None:
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, path: str) -> bytes:
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


async def _steadily(symbols: list[str], seconds: float) -> list[float]:
    """The latencies of RATE requests a second; of what is not answered LIMIT_S after the last, how long it waited."""
    idle: asyncio.Queue[_Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        idle.put_nowait(_Connection())
    took: list[float] = []

    async def ask(number: int, due: float) -> None:
        try:
            connection = await idle.get()
            await connection.ask(f"/latest_prices?symbol={symbols[number % len(symbols)]}")
            idle.put_nowait(connection)
        finally:
            took.append((time.monotonic() - due) * 1000)

    began = time.monotonic()
    asked = []
    for number in range(int(seconds * RATE)):
        due = began + number / RATE
        await asyncio.sleep(due - time.monotonic())
        asked.append(asyncio.create_task(ask(number, due)))
    _, late = await asyncio.wait(asked, timeout=LIMIT_S)
    for task in late:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=bool(late))
    return took

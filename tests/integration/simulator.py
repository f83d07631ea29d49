"""A simulator of a test's own, its control API, and connections to its Binance."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import requests
from websockets.asyncio.client import ClientConnection, connect


@contextmanager
def running(*options: str) -> Iterator[int]:
    """A simulator of its own, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [sys.executable, "-m", "cryptocdc_simulator.main", "--port", str(port), *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, process.stderr and process.stderr.read().decode()
                assert time.monotonic() < deadline, "the simulator does not answer"
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=15)


def state(port: int) -> dict[str, Any]:
    answer: dict[str, Any] = requests.get(f"http://127.0.0.1:{port}/simulator/state", timeout=10).json()
    return answer


def fault(port: int, name: str, venue: str = "", **parameters: object) -> dict[str, Any]:
    url = f"http://127.0.0.1:{port}{venue}/simulator/faults/{name}"
    answer = requests.post(url, params=parameters, timeout=10)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def get(port: int, target: str) -> Any:
    return requests.get(f"http://127.0.0.1:{port}/api/v3/{target}", timeout=20).json()


@asynccontextmanager
async def subscribed(port: int, *streams: str) -> AsyncIterator[ClientConnection]:
    url = f"ws://127.0.0.1:{port}/stream?streams={'/'.join(streams)}"
    # Who stops reading while frames come in never sees the answer to its close, and need not wait for it.
    async with connect(url, max_size=None, close_timeout=1) as socket:
        yield socket


async def until(socket: ClientConnection, wanted: Callable[[Any], bool]) -> list[Any]:
    """Frames up to the first that is wanted, decoded."""
    frames = []
    async with asyncio.timeout(30):
        while True:
            frames.append(json.loads(await socket.recv()))
            if wanted(frames[-1]):
                return frames

"""Healthy while the event loop, the thread that connects to Cassandra and the one that reads Kafka make progress."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from cryptocdc_adapters.metrics.serving import Health
from cryptocdc_api import background as module
from cryptocdc_api.background import Background
from cryptocdc_api.live.subscriptions import Subscriptions
from cryptocdc_core.program.metrics import ApiMetrics

LIMIT_S = 0.5


class Loop:
    """Replaces the reader and the changes: loops until `broken`, whose error ends its thread."""

    def __init__(self) -> None:
        self.broken = threading.Event()

    def keep_connecting(self, stop: threading.Event, turned: Callable[[], None]) -> None:
        while not stop.wait(0.005) and not self.broken.is_set():
            turned()

    def run(self, stop: threading.Event, _: Any, turned: Callable[[], None]) -> None:
        self.keep_connecting(stop, turned)

    def close(self) -> None:
        pass


class Beaten(Health):
    """Remembers when it was last called."""

    beaten = 0.0

    def beat(self) -> None:
        super().beat()
        self.beaten = time.monotonic()


async def becomes(health: Health, well: bool) -> None:
    deadline = time.monotonic() + 10
    while (health.problem() is None) is not well:
        assert time.monotonic() < deadline, f"it never became {well}"
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("thread", ["reader", "changes"])
def test_a_thread_that_ended_makes_the_api_unhealthy(thread: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TURN_S", 0.005)

    async def test() -> None:
        health, loops = Beaten(LIMIT_S), {"reader": Loop(), "changes": Loop()}
        parts: Any = loops
        background = Background(**parts, subscriptions=Subscriptions(lambda _: None), shared=None,
                                metrics=ApiMetrics("0"), health=health)  # fmt: skip
        async with background.running():
            began = time.monotonic()
            while health.beaten < began + 2 * LIMIT_S:  # healthy for longer than the grace period of its start
                assert health.problem() is None
                await asyncio.sleep(0.005)
            loops[thread].broken.set()
            await becomes(health, False)
            assert "no progress" in (health.problem() or "")

    asyncio.run(test())


def test_a_hanging_event_loop_makes_the_api_unhealthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TURN_S", 0.005)

    async def test() -> None:
        health = Health(LIMIT_S)
        parts: Any = {"reader": Loop(), "changes": Loop()}
        background = Background(**parts, subscriptions=Subscriptions(lambda _: None), shared=None,
                                metrics=ApiMetrics("0"), health=health)  # fmt: skip
        async with background.running():
            await becomes(health, True)
            deadline = time.monotonic() + 10
            while health.problem() is None:  # nothing is awaited: the loop hangs
                assert time.monotonic() < deadline
                time.sleep(0.005)  # noqa: ASYNC251 - that is the point

    asyncio.run(test())

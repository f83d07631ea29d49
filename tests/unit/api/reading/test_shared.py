"""Values shared through Redis: a real one if the machine has it; none when it fails."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
import redis

from cryptocdc_api.reading import shared
from cryptocdc_api.reading.cache import Cache
from cryptocdc_api.reading.shared import TIMEOUT_S, Shared
from cryptocdc_core.program.metrics import ApiMetrics


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a Redis for this test only. It has time to respond, on a busy machine too."""
    monkeypatch.setattr(shared, "TIMEOUT_S", 10.0)
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        pytest.skip("no redis-server here; Debian's package redis-server has it")
    port = free_port()
    process = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
    )
    try:
        client, deadline = redis.Redis(port=port), time.monotonic() + 10
        while True:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                assert time.monotonic() < deadline, "redis-server does not answer"
                time.sleep(0.02)
        client.close()
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


class Process:
    """One process of the API: a cache over Redis, and the number of its loads. `now` is its own clock."""

    def __init__(self, url: str, age_s: float = 1.0) -> None:
        self.metrics, self.loads, self.at = ApiMetrics("test"), 0, 0.0
        self.shared = Shared(url, "cryptocdc:test", self.metrics)
        self.cache: Cache[dict[str, str]] = Cache("prices", age_s, 1, self.metrics, self.shared, lambda: self.at)

    async def ask(self, value: str = "1.10") -> str:
        async def load() -> dict[str, str]:
            self.loads += 1
            return {"price": value}

        found = (await self.cache.get("all", load))["price"]
        await asyncio.gather(*self.shared._keeping)
        return found

    def outcome(self, name: str) -> float:
        return self.metrics.registry.get_sample_value("cryptocdc_api_redis_total", {"outcome": name}) or 0.0


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


def test_a_value_loaded_by_one_process_is_shared_with_the_others(server: str) -> None:
    async def test() -> None:
        first, second = Process(server), Process(server)
        assert [await first.ask("1.10"), await second.ask("2.20")] == ["1.10", "1.10"]
        assert (first.loads, second.loads) == (1, 0)
        assert (first.outcome("miss"), second.outcome("hit")) == (1, 1)

    run(test)


def test_the_age_of_a_shared_value_counts_from_its_first_load(server: str) -> None:
    async def test() -> None:
        first, second = Process(server, age_s=4.0), Process(server, age_s=4.0)
        await first.ask("1.10")
        await asyncio.sleep(0.2)
        await second.ask()
        assert second.cache._kept["all"].at <= -0.2  # before it asked, by its own clock

    run(test)


def test_values_in_redis_expire_at_their_maximum_age(server: str) -> None:
    async def test() -> None:
        await Process(server, age_s=0.3).ask()
        client = redis.Redis.from_url(server)
        (key,) = client.keys()
        assert 0 < client.pttl(key) <= 300
        deadline = time.monotonic() + 5
        while client.exists(key):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        client.close()

    run(test)


def test_an_invalid_shared_value_is_loaded_again(server: str) -> None:
    async def test() -> None:
        client = redis.Redis.from_url(server)
        client.set("cryptocdc:test:prices:all", b"\xff not json", px=5000)
        client.close()
        process = Process(server)
        assert await process.ask("1.10") == "1.10"
        assert process.outcome("error") == 1

    run(test)


def test_when_redis_is_down_requests_succeed_and_it_is_not_retried_for_a_while() -> None:
    async def test() -> None:
        process = Process(f"redis://127.0.0.1:{free_port()}")
        for number in range(3):
            process.at = number * 10.0
            assert await process.ask(str(number)) == str(number)
        assert process.outcome("error") == 1

    run(test)


def test_a_silent_redis_delays_only_one_request_by_its_time_limit() -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            process = Process(f"redis://127.0.0.1:{silent.getsockname()[1]}")
            began = time.monotonic()
            for number in range(20):
                process.at = number * 10.0
                await process.ask()
            assert time.monotonic() - began < 10 * TIMEOUT_S
            assert process.loads == 20

    run(test)

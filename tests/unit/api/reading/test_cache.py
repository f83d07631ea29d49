"""The cache: bounded in age and size, one load for all concurrent requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from cryptocdc_api.reading.cache import Cache
from cryptocdc_core.program.metrics import ApiMetrics


class Source:
    """Returns 1, 2, 3…, or fails."""

    def __init__(self) -> None:
        self.loads = 0
        self.broken = False

    async def load(self) -> int:
        self.loads += 1
        await asyncio.sleep(0)
        if self.broken:
            raise ConnectionError
        return self.loads


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> Cache[int]:
    return Cache("test", 1.0, 2, ApiMetrics("test"), now=clock)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


def test_fresh_values_are_served_from_the_cache_and_expired_ones_are_reloaded(cache: Cache[int], clock: Clock) -> None:
    async def test() -> None:
        source = Source()
        assert await cache.get("a", source.load) == 1
        clock.at = 0.4
        assert await cache.get("a", source.load) == 1
        assert source.loads == 1
        clock.at = 1.0
        assert await cache.get("a", source.load) == 2

    run(test)


def test_past_half_its_age_a_value_is_returned_and_reloaded(cache: Cache[int], clock: Clock) -> None:
    async def test() -> None:
        source = Source()
        await cache.get("a", source.load)
        clock.at = 0.6
        assert await cache.get("a", source.load) == 1
        await settled()
        assert await cache.get("a", source.load) == 2
        assert source.loads == 2

    run(test)


def test_concurrent_requests_share_one_load(cache: Cache[int]) -> None:
    async def test() -> None:
        source = Source()
        assert await asyncio.gather(*(cache.get("a", source.load) for _ in range(10))) == [1] * 10

    run(test)


def test_a_failed_load_is_raised_only_if_no_recent_value_exists(cache: Cache[int], clock: Clock) -> None:
    async def test() -> None:
        source = Source()
        await cache.get("a", source.load)
        source.broken = True
        clock.at = 0.9
        assert await cache.get("a", source.load) == 1
        await settled()
        clock.at = 1.1
        with pytest.raises(ConnectionError):
            await cache.get("a", source.load)
        source.broken = False
        assert await cache.get("a", source.load) == source.loads

    run(test)


def test_the_least_recently_used_entry_is_evicted_first(cache: Cache[int]) -> None:
    async def test() -> None:
        source = Source()
        for key in ("a", "b", "a", "c"):
            await cache.get(key, source.load)
        assert source.loads == 3
        await cache.get("a", source.load)
        assert source.loads == 3
        await cache.get("b", source.load)
        assert source.loads == 4

    run(test)

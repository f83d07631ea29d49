"""Answers kept for a moment: never older than a bound, loaded once for all who wait."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cryptocdc_api.reading.shared import Shared
from cryptocdc_core.metrics import ApiMetrics

T = TypeVar("T")


@dataclass
class _Kept(Generic[T]):
    value: T
    at: float
    """When its load began: what it says may be as old as that."""


class Cache(Generic[T]):
    """By key, at most `entries` of them, the least recently used leaving first; values are what JSON can carry.

    No answer is older than `age_s`. One that is older than half of that is still given, while a new one is loaded: who
    asks often never waits. A load that fails leaves the old answer until its age is over; then the failure is told.
    With `shared`, what another process has loaded within half the age is taken instead of a load.
    """

    def __init__(
        self, name: str, age_s: float, entries: int, metrics: ApiMetrics, shared: Shared | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._name, self._age_s, self._entries, self._shared, self._now = name, age_s, entries, shared, now
        self._kept: OrderedDict[str, _Kept[T]] = OrderedDict()
        self._loading: dict[str, asyncio.Task[T]] = {}
        self._hits, self._misses = (metrics.cache.labels(name, outcome) for outcome in ("hit", "miss"))

    async def get(self, key: str, load: Callable[[], Awaitable[T]]) -> T:
        """Raises whatever `load` raises."""
        kept = self._kept.get(key)
        if kept is not None:
            age = self._now() - kept.at
            if age < self._age_s:
                self._kept.move_to_end(key)
                if age > self._age_s / 2:
                    self._load(key, load)
                self._hits.inc()
                return kept.value
        self._misses.inc()
        # Shielded: one who waits may leave, the others still want it.
        return await asyncio.shield(self._load(key, load))

    def _load(self, key: str, load: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        task = self._loading.get(key)
        if task is None:
            task = asyncio.create_task(self._fill(key, load))
            task.add_done_callback(lambda done: self._loaded(key, done))
            self._loading[key] = task
        return task

    async def _fill(self, key: str, load: Callable[[], Awaitable[T]]) -> T:
        value, at = await self._fetched(key, load)
        self._kept[key] = _Kept(value, at)
        self._kept.move_to_end(key)
        while len(self._kept) > self._entries:
            self._kept.popitem(last=False)
        return value

    async def _fetched(self, key: str, load: Callable[[], Awaitable[T]]) -> tuple[T, float]:
        """From the other processes or from the source, and from when it is."""
        began = self._now()
        if self._shared is None:
            return await load(), began
        name = f"{self._name}:{key}"
        shared = await self._shared.find(name, self._age_s)
        if shared is not None and shared.value is not None and shared.age_s < self._age_s / 2:
            return shared.value, began - shared.age_s
        began = self._now()
        value = await load()
        if shared is not None:
            self._shared.keep(name, value, shared.until_ms)
        return value, began

    def _loaded(self, key: str, task: asyncio.Task[T]) -> None:
        self._loading.pop(key, None)
        if not task.cancelled():
            task.exception()  # looked at, or asyncio complains of one that no one waited for

"""Answers kept for a moment, in this process: never older than a bound, loaded once for all who wait."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cryptocdc_core.metrics import ApiMetrics

T = TypeVar("T")


@dataclass
class _Kept(Generic[T]):
    value: T
    at: float
    """When its load began: what it says may be as old as that."""


class Cache(Generic[T]):
    """By key, at most `entries` of them, the least recently used leaving first.

    No answer is older than `age_s`. One that is older than half of that is still given, while a new one is loaded: who
    asks often never waits. A load that fails leaves the old answer until its age is over; then the failure is told.
    """

    def __init__(
        self, name: str, age_s: float, entries: int, metrics: ApiMetrics, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._age_s, self._entries, self._now = age_s, entries, now
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
        began = self._now()
        value = await load()
        self._kept[key] = _Kept(value, began)
        self._kept.move_to_end(key)
        while len(self._kept) > self._entries:
            self._kept.popitem(last=False)
        return value

    def _loaded(self, key: str, task: asyncio.Task[T]) -> None:
        self._loading.pop(key, None)
        if not task.cancelled():
            task.exception()  # looked at, or asyncio complains of one that no one waited for

"""A cache with a maximum age; concurrent misses of a key share one load."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cryptocdc_api.reading.shared import Shared
from cryptocdc_core.program.metrics import ApiMetrics

T = TypeVar("T")


@dataclass
class _Kept(Generic[T]):
    value: T
    at: float
    """When its load began, which is how old the value may be."""


class Cache(Generic[T]):
    """At most `entries` values by key, the least recently used evicted first. Values must be serializable as JSON.

    No value older than `age_s` is returned. One older than half of that is returned while a new one is loaded, so
    frequent callers never wait. If a load fails, the old value serves until it expires; then the failure is raised.
    With `shared`, a value that another process loaded within half the age replaces a load.
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
        # Shielded: one caller may be cancelled while others still wait for the load.
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
        """Return the value, from another process or from the source, and the time that its age counts from."""
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
            task.exception()  # retrieved, or asyncio logs that it never was

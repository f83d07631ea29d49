"""A cache in Redis, shared by all processes of the API. No request fails because Redis is slow or down."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from cryptocdc_core.program.metrics import ApiMetrics

log = logging.getLogger(__name__)

TIMEOUT_S = 0.1
"""How long a request waits for Redis at most; after a timeout Redis is not used for REST_S."""
REST_S = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    value: Any
    """None if there is no value."""
    age_s: float
    until_ms: int
    """When a value loaded from now on expires, by Redis's clock."""


class Shared:
    """Values by key, each until it expires. `prefix` separates feeds and versions.

    Only Redis's clock is used: a value's age counts from the look-up that missed, which is before its load began. So
    neither differing clocks nor a slow Redis make a value older than it seems.
    """

    def __init__(self, url: str, prefix: str, metrics: ApiMetrics) -> None:
        self._redis = Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0)
        )
        self._prefix = prefix
        self._outcomes = {name: metrics.redis.labels(name) for name in ("hit", "miss", "error")}
        self._rests_until = 0.0
        self._keeping: set[asyncio.Task[None]] = set()

    async def find(self, key: str, age_s: float) -> Answer | None:
        """Return the value, if any, and its age; None if Redis does not respond."""
        if time.monotonic() < self._rests_until:
            return None
        name = f"{self._prefix}:{key}"
        try:
            async with asyncio.timeout(TIMEOUT_S), self._redis.pipeline(transaction=False) as pipeline:
                pipeline.get(name)
                pipeline.pttl(name)
                pipeline.time()
                text, left_ms, (seconds, micros) = await pipeline.execute()
            hit = text is not None and left_ms > 0
            value = msgspec.json.decode(text) if hit else None
        except (RedisError, OSError, TimeoutError, msgspec.DecodeError) as error:
            self._rest(error)
            return None
        until_ms = seconds * 1000 + micros // 1000 + round(age_s * 1000)
        self._outcomes["hit" if hit else "miss"].inc()
        return Answer(value, age_s - left_ms / 1000, until_ms)

    def keep(self, key: str, value: Any, until_ms: int) -> None:
        """Store the value without waiting for Redis."""
        task = asyncio.create_task(self._keep(f"{self._prefix}:{key}", msgspec.json.encode(value), until_ms))
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)

    async def _keep(self, name: str, value: bytes, until_ms: int) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._redis.set(name, value, pxat=until_ms)
        except (RedisError, OSError, TimeoutError) as error:
            self._rest(error)

    def _rest(self, error: Exception) -> None:
        self._outcomes["error"].inc()
        self._rests_until = time.monotonic() + REST_S
        log.warning("Redis: %s: %s; not used for %.0f s", type(error).__name__, error, REST_S)

    async def close(self) -> None:
        await self._redis.aclose()

"""The rate limit: a token bucket for each client."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

CLIENTS = 10_000
"""Maximum number of buckets kept; the least recently used one is dropped first. A new client starts with a full one."""
BURST_S = 2.0


class RateLimit:
    """`per_s` requests a second for each client, and a burst of BURST_S seconds' worth."""

    def __init__(self, per_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._now = per_s, now
        self._burst = max(1.0, per_s * BURST_S)
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """Return 0 if the request is allowed, otherwise the seconds until one will be."""
        now = self._now()
        tokens, then = self._clients.pop(client, (self._burst, now))
        tokens = min(self._burst, tokens + (now - then) * self._per_s)
        if len(self._clients) >= CLIENTS:
            self._clients.popitem(last=False)
        allowed = tokens >= 1
        self._clients[client] = (tokens - 1 if allowed else tokens, now)
        return 0.0 if allowed else (1 - tokens) / self._per_s

"""The request budget of one address at an exchange, shared by everything behind that address."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from cryptocdc_exchanges.port import Limit

_CLOCKS_APART_S = 0.1
"""Extra wait for limits whose periods follow the exchange's clock."""


class Budget:
    """Thread-safe. The exchange's count, from its responses, overrides ours: it includes other programs."""

    def __init__(self, limits: Sequence[Limit], now: Callable[[], float] = time.time) -> None:
        """`now`: seconds since the epoch. A request that names none of the `limits` counts against the first."""
        self._now = now
        self._lock = threading.Lock()
        self._windows = {limit.name: _Window(limit) for limit in limits}
        self._usual = limits[0].name
        self._blocked_until = 0.0

    @property
    def used(self) -> int:
        """The known use of the limit that is closest to exhaustion."""
        return self._fullest()[0]

    @property
    def limit(self) -> int:
        """The total of that limit."""
        return self._fullest()[1]

    def _fullest(self) -> tuple[int, int]:
        with self._lock:
            now = self._now()
            known = [(window.used(now), window.amount) for window in self._windows.values()]
        return max(known, key=lambda it: it[0] / it[1])

    def take(self, cost: int, share: float, limit: str = "") -> float:
        """Spend `cost` and return 0, or spend nothing and return how many seconds to wait.

        `share`: the part of the limit that this request may use; what can wait leaves room for what can't.
        """
        with self._lock:
            now = self._now()
            if now < self._blocked_until:
                return self._blocked_until - now
            return self._windows.get(limit, self._windows[self._usual]).take(cost, share, now)

    def observe(self, used: Mapping[str, int]) -> None:
        """Apply the exchange's counts from a response."""
        with self._lock:
            for name, count in used.items():
                self._windows[name].observe(count, self._now())

    def resize(self, amounts: Mapping[str, int]) -> None:
        """Apply the exchange's limits from a response."""
        with self._lock:
            for name, amount in amounts.items():
                self._windows[name].amount = amount

    def block(self, seconds: float) -> None:
        """Block all requests for this long, whatever their limit."""
        with self._lock:
            self._blocked_until = max(self._blocked_until, self._now() + seconds)


class _Window:
    """One limit. Use expires after `per_s`, or at the end of the exchange's clock period."""

    def __init__(self, limit: Limit) -> None:
        self._limit, self.amount = limit, limit.amount
        self._used = 0
        self._spent: deque[tuple[float, int]] = deque()
        """Pairs of expiry time and amount."""

    def used(self, now: float) -> int:
        while self._spent and self._spent[0][0] <= now:
            self._used -= self._spent.popleft()[1]
        return self._used

    def take(self, cost: int, share: float, now: float) -> float:
        used, allowed = self.used(now), self.amount * share - cost
        # A request that exceeds its share by itself is allowed in an unused period; otherwise it would wait forever.
        if used <= max(allowed, 0):
            self._add(cost, now)
            return 0.0
        free_at = now
        for expires, part in self._spent:
            free_at = expires
            used -= part
            if used <= max(allowed, 0):
                break
        return free_at - now + _CLOCKS_APART_S

    def observe(self, count: int, now: float) -> None:
        self._add(max(0, count - self.used(now)), now)

    def _add(self, cost: int, now: float) -> None:
        per_s = self._limit.per_s
        expires = (now // per_s + 1) * per_s if self._limit.by_clock else now + per_s
        self._used += cost
        if self._spent and self._spent[-1][0] == expires:
            cost += self._spent.pop()[1]
        self._spent.append((expires, cost))

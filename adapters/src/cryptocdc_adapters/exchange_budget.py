"""What one address may ask of an exchange, shared by everything behind that address."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from cryptocdc_exchanges.port import Limit

_CLOCKS_APART_S = 0.1
"""What is counted by the exchange's clock is waited out a little longer."""


class Budget:
    """Thread-safe. The exchange's count, from its responses, overrides ours: it includes other programs."""

    def __init__(self, limits: Sequence[Limit], now: Callable[[], float] = time.time) -> None:
        """`now`: seconds since the epoch. The first of the `limits` is taken where a request names none of them."""
        self._now = now
        self._lock = threading.Lock()
        self._windows = {limit.name: _Window(limit) for limit in limits}
        self._usual = limits[0].name
        self._blocked_until = 0.0

    @property
    def used(self) -> int:
        """What is used of the limit that is closest to its end, as far as is known."""
        return self._fullest()[0]

    @property
    def limit(self) -> int:
        """How much that limit is in all."""
        return self._fullest()[1]

    def _fullest(self) -> tuple[int, int]:
        with self._lock:
            now = self._now()
            known = [(window.used(now), window.amount) for window in self._windows.values()]
        return max(known, key=lambda it: it[0] / it[1])

    def take(self, cost: int, share: float, limit: str = "") -> float:
        """Take `cost` and return 0, or take nothing and return for how many seconds to wait.

        `share`: of the limit, up to which this request may go; what can wait leaves room for what can't.
        """
        with self._lock:
            now = self._now()
            if now < self._blocked_until:
                return self._blocked_until - now
            return self._windows.get(limit, self._windows[self._usual]).take(cost, share, now)

    def observe(self, used: Mapping[str, int]) -> None:
        """The exchange's counts, from an answer."""
        with self._lock:
            for name, count in used.items():
                self._windows[name].observe(count, self._now())

    def resize(self, amounts: Mapping[str, int]) -> None:
        """The exchange's limits, from an answer."""
        with self._lock:
            for name, amount in amounts.items():
                self._windows[name].amount = amount

    def block(self, seconds: float) -> None:
        """No request may be sent for so long, whatever its limit."""
        with self._lock:
            self._blocked_until = max(self._blocked_until, self._now() + seconds)


class _Window:
    """One limit. What was used expires `per_s` after it was used, or with the exchange's period of the clock."""

    def __init__(self, limit: Limit) -> None:
        self._limit, self.amount = limit, limit.amount
        self._used = 0
        self._spent: deque[tuple[float, int]] = deque()
        """When it expires, how much."""

    def used(self, now: float) -> int:
        while self._spent and self._spent[0][0] <= now:
            self._used -= self._spent.popleft()[1]
        return self._used

    def take(self, cost: int, share: float, now: float) -> float:
        used, allowed = self.used(now), self.amount * share - cost
        # What alone exceeds its share is let through in an unused period, or it would wait forever.
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

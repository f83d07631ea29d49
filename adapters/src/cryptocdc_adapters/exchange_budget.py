"""The request weight that one address may use in a minute, shared by everything behind that address."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

MINUTE_S = 60.0
DEFAULT_LIMIT = 6000
"""Until exchangeInfo says otherwise."""


class Budget:
    """Thread-safe. The exchange's own count, from its answers, wins over ours: it sees the other programs too."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        """`now`: seconds since the epoch; the exchange counts by the minute of the clock."""
        self._now = now
        self._lock = threading.Lock()
        self._minute = 0
        self._used = 0
        self._blocked_until = 0.0
        self.limit = DEFAULT_LIMIT

    @property
    def used(self) -> int:
        """Weight used in the running minute, as far as is known."""
        with self._lock:
            self._turn()
            return self._used

    def take(self, weight: int, share: float) -> float:
        """Take `weight` and return 0, or take nothing and return for how many seconds to wait.

        `share`: of the limit, up to which this request may go; what can wait leaves room for what can't.
        """
        with self._lock:
            self._turn()
            now = self._now()
            if now < self._blocked_until:
                return self._blocked_until - now
            # What alone exceeds its share is let through in an unused minute, or it would wait for ever.
            if self._used + weight > self.limit * share and self._used > 0:
                return MINUTE_S - now % MINUTE_S + 0.1
            self._used += weight
            return 0.0

    def told(self, used: int) -> None:
        """The exchange's count, from the header of an answer."""
        with self._lock:
            self._turn()
            self._used = max(self._used, used)

    def block(self, seconds: float) -> None:
        """Nothing may be asked for so long: 429 and 418 go for the whole address."""
        with self._lock:
            self._blocked_until = max(self._blocked_until, self._now() + seconds)

    def _turn(self) -> None:
        minute = int(self._now() // MINUTE_S)
        if minute != self._minute:
            self._minute, self._used = minute, 0

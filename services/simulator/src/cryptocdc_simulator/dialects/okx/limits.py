"""The limits of an address, by endpoint and two seconds."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable

_WINDOW_MS = 2_000

LIMITS = {
    "public/time": 10,
    "public/instruments": 20,
    "public/mark-price": 10,
    "public/funding-rate": 10,
    "public/open-interest": 20,
    "market/books": 40,
    "market/trades": 100,
    "market/history-trades": 20,
    "market/candles": 40,
    "market/history-candles": 20,
    "market/tickers": 20,
    "market/ticker": 20,
}
"""Requests in two seconds."""


class Limits:
    """One address: everything that runs on loopback shares it, as processes behind one address do."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._sent: defaultdict[str, deque[int]] = defaultdict(deque)

    def charge(self, endpoint: str) -> bool:
        """Whether a request is within the limit; it then counts."""
        sent, now = self._recent(endpoint), self._clock()
        if len(sent) >= LIMITS[endpoint]:
            return False
        sent.append(now)
        return True

    def use(self, amount: int) -> None:
        """Count so many requests to every endpoint."""
        for endpoint in LIMITS:
            self._sent[endpoint].extend([self._clock()] * amount)

    def used(self) -> int:
        """Of the endpoint that was asked most."""
        return max(len(self._recent(endpoint)) for endpoint in LIMITS)

    def clear(self) -> None:
        self._sent.clear()

    def _recent(self, endpoint: str) -> deque[int]:
        sent = self._sent[endpoint]
        while sent and sent[0] <= self._clock() - _WINDOW_MS:
            sent.popleft()
        return sent

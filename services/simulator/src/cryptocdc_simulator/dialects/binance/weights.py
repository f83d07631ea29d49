"""The request weight of an address, counted as the exchange counts it."""

from __future__ import annotations

from collections.abc import Callable

from cryptocdc_simulator.dialects.binance import errors
from cryptocdc_simulator.dialects.port import ApiError

_MINUTE_MS = 60_000
_REFUSALS_BEFORE_BAN = 20
_BAN_MS = 120_000


class Weights:
    """The weight used by one address; everything on loopback shares it, like processes behind one address.

    Beyond the budget of a minute: 429 until the minute is over. Further requests cause a ban: 418 for two minutes.
    """

    def __init__(self, limit: int, clock: Callable[[], int]) -> None:
        self.limit = limit
        self._clock = clock
        self._minute = 0
        self._used = 0
        self._refusals = 0
        self._banned_until = 0

    def used(self) -> int:
        """The weight used in the current minute."""
        self._turn(self._clock())
        return self._used

    def charge(self, weight: int) -> ApiError | None:
        now = self._clock()
        self._turn(now)
        if now < self._banned_until:
            return errors.banned(self._banned_until, -(-(self._banned_until - now) // 1000))
        self._used += weight
        if self._used <= self.limit:
            return None
        self._refusals += 1
        if self._refusals > _REFUSALS_BEFORE_BAN:
            self._banned_until = now + _BAN_MS
            return errors.banned(self._banned_until, _BAN_MS // 1000)
        return errors.too_much_weight(self.limit, max(1, -(-(_MINUTE_MS - now % _MINUTE_MS) // 1000)))

    def clear(self) -> None:
        self._used = self._refusals = self._banned_until = 0

    def _turn(self, now: int) -> None:
        if now // _MINUTE_MS != self._minute:
            self._minute = now // _MINUTE_MS
            self._used = self._refusals = 0

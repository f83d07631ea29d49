"""The highest and the lowest price in a sliding window. Pure and exact; time is that of the prices."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from operator import ge, itemgetter, le
from typing import NamedTuple


class Point(NamedTuple):
    at_ms: int
    price: Decimal


class Extremes:
    """The extremes of the prices that are at most `length_ms` older than the newest.

    Only prices that are, or can still become, the highest or the lowest are kept: for each side a queue in which every
    price is more extreme than all later ones. A price costs amortized O(1); a late one is inserted at its place.
    """

    def __init__(self, length_ms: int) -> None:
        self._length_ms = length_ms
        self._newest_ms = 0
        self._high: deque[Point] = deque()
        self._low: deque[Point] = deque()

    def add(self, point: Point) -> None:
        self._newest_ms = max(self._newest_ms, point.at_ms)
        oldest_ms = self._newest_ms - self._length_ms
        if point.at_ms > oldest_ms:
            _insert(self._high, point, ge)
            _insert(self._low, point, le)
        for kept in (self._high, self._low):
            while kept[0].at_ms <= oldest_ms:  # the newest price itself never is
                kept.popleft()

    @property
    def highest(self) -> Point:
        return self._high[0]

    @property
    def lowest(self) -> Point:
        return self._low[0]


def _insert(kept: deque[Point], point: Point, beats: Callable[[Decimal, Decimal], bool]) -> None:
    """Insert a point. `beats(a, b)`: a price `a` makes an earlier, or equally old, `b` irrelevant."""
    place = len(kept)
    if kept and point.at_ms < kept[-1].at_ms:
        place = bisect_right(kept, point.at_ms, key=itemgetter(0))
        if beats(kept[place].price, point.price):
            return
    while place and beats(point.price, kept[place - 1].price):
        place -= 1
        del kept[place]
    kept.insert(place, point)

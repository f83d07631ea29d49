"""Klines of every interval that the exchange has, as exact sums of trades."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

from cryptocdc_simulator.market.bars import Bar, merged
from cryptocdc_simulator.market.trades import Tape

_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000
_WEEK = 7 * _DAY
_MONDAY = 4 * _DAY  # 1970-01-05 was the first Monday

INTERVALS: dict[str, int] = {
    "1s": _SECOND,
    **{f"{n}m": n * _MINUTE for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": n * _HOUR for n in (1, 2, 4, 6, 8, 12)},
    "1d": _DAY,
    "3d": 3 * _DAY,
    "1w": _WEEK,
    "1M": 31 * _DAY,  # the longest; `opening` and `following` know the calendar
}


def opening(interval: str, time: int) -> int:
    """Return the open time of the kline that contains `time` (ms)."""
    if interval == "1M":
        at = datetime.fromtimestamp(time / 1000, UTC)
        return int(datetime(at.year, at.month, 1, tzinfo=UTC).timestamp()) * 1000
    if interval == "1w":
        return time - (time - _MONDAY) % _WEEK
    return time - time % INTERVALS[interval]


def following(interval: str, open_time: int) -> int:
    """Return the open time of the next kline; the previous one's close time is one ms less."""
    if interval == "1M":
        return opening(interval, open_time + 31 * _DAY)
    return open_time + INTERVALS[interval]


class Bars:
    """Sums of any span of a tape, from cached days, hours and minutes.

    Only past spans may be requested: cached sums never change, since a crash begins later than now.
    """

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._days: dict[int, Bar | None] = {}
        self._hour = lru_cache(maxsize=500)(self._hour_of)
        self._minute = lru_cache(maxsize=2_000)(lambda start: merged(tape.bars(start, start + _MINUTE)))
        # An open kline and the last 24 hours grow by less than a minute from one event to the next.
        self._minutes = lru_cache(maxsize=64)(lambda start, end: merged(self._whole_minutes(start, end)))

    def between(self, start: int, end: int) -> Bar | None:
        """Return the sum of the trades with start <= time < end (ms); None if there are none."""
        return merged(self._pieces(max(start, self._tape.listed_ms), end))

    def kline(self, start: int, end: int) -> Bar:
        """As `between`, but with the previous price if there was no trade."""
        bar = self.between(start, end)
        if bar is not None:
            return bar
        before = self._tape.first_id_at(start) - 1
        price = self._tape.aggregate(max(before, self._tape.first_id)).price
        return Bar(price, price, price, price, 0, 0, 0, 0, -1, -1)

    def filled(self, start: int, end: int) -> Iterator[None]:
        """Fill the cache for a span, hour by hour, yielding in between so that a server can do other work."""
        at = max(start, self._tape.listed_ms) // _HOUR * _HOUR
        while at + _HOUR <= end:
            if at % _DAY == 0 and at + _DAY <= end:
                if at not in self._days:
                    for hour in range(at, at + _DAY, _HOUR):
                        self._hour(hour)
                        yield
                    self._day(at)
                at += _DAY
            else:
                self._hour(at)
                yield
                at += _HOUR

    def _pieces(self, start: int, end: int) -> Iterator[Bar | None]:
        first, last = -(-start // _MINUTE) * _MINUTE, end // _MINUTE * _MINUTE
        if first > last:  # within one minute
            yield from self._tape.bars(start, end)
            return
        if start < first:
            yield from self._tape.bars(start, first)
        if first < last:
            yield self._minutes(first, last)
        if last < end:
            yield from self._tape.bars(last, end)

    def _whole_minutes(self, at: int, end: int) -> Iterator[Bar | None]:
        while at < end:
            if at % _DAY == 0 and at + _DAY <= end:
                yield self._day(at)
                at += _DAY
            elif at % _HOUR == 0 and at + _HOUR <= end:
                yield self._hour(at)
                at += _HOUR
            else:
                yield self._minute(at)
                at += _MINUTE

    def _day(self, start: int) -> Bar | None:
        if start not in self._days:
            self._days[start] = (
                self.between(start, start + _DAY)
                if start < self._tape.listed_ms
                else merged(self._hour(at) for at in range(start, start + _DAY, _HOUR))
            )
        return self._days[start]

    def _hour_of(self, start: int) -> Bar | None:
        if start < self._tape.listed_ms:
            return self.between(start, start + _HOUR)
        minutes = range(start, start + _HOUR, _MINUTE)
        return merged(bar for at in minutes for bar in self._tape.bars(at, at + _MINUTE))

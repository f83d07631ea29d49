"""Continuity: trade ids of a symbol, closed klines of a symbol and interval. Pure."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from cryptocdc_producer import intervals

_RUNS = 8
"""Runs of ids that are remembered: enough for connections that overlap across several gaps."""
FAR = 10_000_000
"""Ids: what the busiest symbols bring in a day. One further than that from all known is not believed alone."""


class Gap(NamedTuple):
    """What is missing, both ends included: trade ids, or open times in ms of klines of `interval`."""

    table: str
    symbol: str
    interval: str
    first: int
    last: int

    @property
    def size(self) -> int:
        """Rows missing."""
        if self.interval:
            return intervals.count(self.interval, self.first, self.last)
        return self.last - self.first + 1


class Seen(Enum):
    NEXT = "next"
    DUPLICATE = "duplicate"
    LATE = "late"
    """Of a gap: worth writing, though the gap is being filled too."""
    RESTART = "restart"
    """Older than anything known: the exchange has begun to count anew."""
    WILD = "wild"
    """Far from anything known, and alone: not written. If it was right, it lies in the gap that the next one tells."""


class Ids:
    """The trade ids of one symbol. `last`: the last one stored before, None for a symbol never captured."""

    def __init__(self, last: int | None) -> None:
        self._runs: list[tuple[int, int]] = [] if last is None else [(last, last)]
        self._wild: int | None = None

    @property
    def last(self) -> int | None:
        return self._runs[-1][1] if self._runs else None

    def see(self, trade_id: int) -> tuple[Seen, tuple[int, int] | None]:
        """Take note of an id. With it comes the gap that it uncovered, (first, last), if any."""
        if not self._runs:
            self._runs.append((trade_id, trade_id))
            return Seen.NEXT, None
        first, last = self._runs[-1]
        if trade_id == last + 1:
            self._runs[-1] = (first, trade_id)
            return Seen.NEXT, None
        if trade_id > last + FAR or trade_id < self._runs[0][0] - FAR:
            return self._see_far(trade_id)
        if trade_id > last:
            self._runs.append((trade_id, trade_id))
            del self._runs[:-_RUNS]
            return Seen.NEXT, (last + 1, trade_id - 1)
        if any(first <= trade_id <= last for first, last in self._runs):
            return Seen.DUPLICATE, None
        if trade_id > self._runs[0][0]:
            return Seen.LATE, None
        self._runs = [(trade_id, trade_id)]
        return Seen.RESTART, None

    def _see_far(self, trade_id: int) -> tuple[Seen, tuple[int, int] | None]:
        """After an outage of weeks, or when the exchange counts anew, a second id follows the first one; a wild one
        stands alone. To follow it would blind the search for gaps, or open one that no exchange could ever fill.
        """
        before, self._wild = self._wild, trade_id
        if before is None or not before < trade_id <= before + FAR:
            return Seen.WILD, None
        self._wild = None
        last = self._runs[-1][1]
        if trade_id > last:
            self._runs = [*self._runs, (trade_id, trade_id)][-_RUNS:]
            return Seen.NEXT, (last + 1, trade_id - 1)
        self._runs = [(trade_id, trade_id)]
        return Seen.RESTART, (before, trade_id - 1)


class Closes:
    """The closed klines of one symbol and interval. `last`: open time in ms of the last one stored, None when none is.

    An open kline tells as well: all before it must be closed, so that a lost close is found within seconds.
    """

    def __init__(self, interval: str, last: int | None) -> None:
        self._interval = interval
        self.last = last

    def begin(self, open_time: int) -> None:
        """If no kline is known yet, the one that opens at `open_time` is the first whose close is expected."""
        if self.last is None:
            self.last = intervals.preceding(self._interval, intervals.opening(self._interval, open_time))

    def see(self, open_time: int, closed: bool) -> tuple[int, int] | None:
        """Take note of a kline. Returns the gap that it uncovered: open times (first, last) in ms."""
        open_time = intervals.opening(self._interval, open_time)
        before = intervals.preceding(self._interval, open_time)
        gap = None
        if self.last is not None and (first := intervals.following(self._interval, self.last)) <= before:
            gap = (first, before)
        reached = open_time if closed else before
        self.last = reached if self.last is None else max(self.last, reached)
        return gap

"""Gap detection: trade ids of a symbol, closed klines of a symbol and interval. Pure."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from cryptocdc_core.rows.versions import SETTLE_MS
from cryptocdc_core.storage.ddl import PAST
from cryptocdc_core.time import intervals
from cryptocdc_core.time.times import iso

_RUNS = 8
"""Maximum number of id ranges kept: enough for connections that overlap across several gaps."""
_FIRST_IDS = 10_000
"""Ids that restart at or below this are taken to have restarted at the first one: requesting the earlier ones costs ten
pages."""
FAR = 10_000_000
"""In ids: a day of the busiest symbols. A single id further than this from all known ones is not trusted."""


HISTORY = PAST


class Gap(NamedTuple):
    """What is missing, both ends included: trade ids, or open times in ms of klines of `interval`.

    `reason`: "" if it was missed, HISTORY if it is the past with which a symbol starts. What the exchange does not have
    at the beginning of that was before the market's listing, and is not missing. Only the exchange knows the first id
    of the trades of a past: until it is asked, `first` is the time in ms at which that past begins, negated.
    """

    table: str
    symbol: str
    interval: str
    first: int
    last: int
    reason: str = ""

    def __str__(self) -> str:
        first = f"those since {iso(-self.first)}" if self.first < 0 else self.first
        return f"{' '.join(filter(None, self[:3]))}, {first} to {self.last}"

    @property
    def size(self) -> int:
        """Rows missing."""
        if self.interval:
            return intervals.count(self.interval, self.first, self.last)
        return self.last - self.first + 1


def past_klines(interval: str, past_ms: int, now_ms: int) -> tuple[int, int] | None:
    """Return the open times of the first and the last kline that opened within the past `past_ms` and are final by now,
    None if there are none. Three-day klines have no known opening, and so no past."""
    if interval == "3d":
        return None
    since = now_ms - past_ms
    first = intervals.opening(interval, since)
    first = first if first == since else intervals.following(interval, first)
    last = intervals.preceding(interval, intervals.opening(interval, now_ms - SETTLE_MS))
    return (first, last) if first <= last else None


class Seen(Enum):
    NEXT = "next"
    DUPLICATE = "duplicate"
    LATE = "late"
    """In a gap, or older than everything known: written, even while the gap is being filled."""
    RESTART = "restart"
    """The ids restarted: a known or lower id, with a trade later than any other."""
    WILD = "wild"
    """A single id far from all known ones: not written. If it is right, it is in the gap that the next one reveals."""


class Ids:
    """The trade ids of one symbol.

    `last`: the last one stored before, None for a symbol never captured. `last_ms`: when it was traded. `first_id`:
    that of a market's first trade.
    """

    def __init__(self, last: int | None, last_ms: int = 0, first_id: int = 0) -> None:
        self._first_id = first_id
        self._missed_at_most = 0
        self._runs: list[tuple[int, int]] = [] if last is None else [(last, last)]
        self._wild: int | None = None
        self._newest_ms = last_ms

    @property
    def last(self) -> int | None:
        return self._runs[-1][1] if self._runs else None

    def expect_first(self, certain: bool) -> None:
        """The market is not listed yet: if no trade is known, those before the first one seen are a gap. Not if that
        one is too far from a market's first id: then the market was listed before. While only one answer lacks the
        market it is not `certain`, and fewer ids are believed."""
        self._missed_at_most = max(self._missed_at_most, FAR if certain else _FIRST_IDS)

    def see(self, trade_id: int, at_ms: int) -> tuple[Seen, tuple[int, int] | None]:
        """Record an id, traded at `at_ms`. Returns the outcome and the gap that it reveals, (first, last), if any."""
        if not self._runs:
            self._runs.append((trade_id, trade_id))
            self._newest_ms = at_ms
            missed = 0 < trade_id - self._first_id <= self._missed_at_most
            return Seen.NEXT, (self._first_id, trade_id - 1) if missed else None
        first, last = self._runs[-1]
        if trade_id == last + 1:
            self._runs[-1] = (first, trade_id)
            if at_ms > self._newest_ms:
                self._newest_ms = at_ms
            return Seen.NEXT, None
        if trade_id > last + FAR or trade_id < self._runs[0][0] - FAR:
            return self._see_far(trade_id, at_ms)
        if trade_id > last:
            self._runs.append((trade_id, trade_id))
            del self._runs[:-_RUNS]
            self._newest_ms = max(self._newest_ms, at_ms)
            return Seen.NEXT, (last + 1, trade_id - 1)
        # Ids and times of trades increase together: a known id can't belong to a new trade.
        if at_ms > self._newest_ms:
            return self._restart(trade_id, trade_id, at_ms)
        if any(first <= trade_id <= last for first, last in self._runs):
            return Seen.DUPLICATE, None
        self._remember(trade_id)
        return Seen.LATE, None

    def _remember(self, trade_id: int) -> None:
        """Record a late id, so that it counts as late only once: polling returns the same old trades repeatedly."""
        at = sum(1 for first, _ in self._runs if first < trade_id)
        if at > 0 and self._runs[at - 1][1] == trade_id - 1:
            self._runs[at - 1] = (self._runs[at - 1][0], trade_id)
        elif len(self._runs) < _RUNS:
            self._runs.insert(at, (trade_id, trade_id))

    def _restart(self, first: int, trade_id: int, at_ms: int) -> tuple[Seen, tuple[int, int] | None]:
        """Start over after the ids restarted; `first` is the lowest one received."""
        self._runs, self._newest_ms = [(trade_id, trade_id)], at_ms
        begun = self._first_id if first <= _FIRST_IDS else first
        return Seen.RESTART, (begun, trade_id - 1) if begun < trade_id else None

    def _see_far(self, trade_id: int, at_ms: int) -> tuple[Seen, tuple[int, int] | None]:
        """After an outage of weeks, or when ids restart, a second id follows the first one; a wild id comes
        alone. Accepting it would hide gaps, or open one that no exchange could ever fill.
        """
        before, self._wild = self._wild, trade_id
        if before is None or not before < trade_id <= before + FAR:
            return Seen.WILD, None
        self._wild = None
        last = self._runs[-1][1]
        if trade_id > last:
            self._runs = [*self._runs, (trade_id, trade_id)][-_RUNS:]
            self._newest_ms = max(self._newest_ms, at_ms)
            return Seen.NEXT, (last + 1, trade_id - 1)
        return self._restart(before, trade_id, at_ms)


class Closes:
    """The closed klines of one symbol and interval. `last`: open time in ms of the last one stored, None when none is.

    An open kline implies that all before it are closed, so that a lost close is found within seconds.
    """

    def __init__(self, interval: str, last: int | None) -> None:
        self._interval = interval
        self.last = last

    def begin(self, open_time: int) -> None:
        """Expect the close of the kline that opens at `open_time` first, unless one is known already."""
        if self.last is None:
            self.last = intervals.preceding(self._interval, intervals.opening(self._interval, open_time))

    def reach(self, open_time: int) -> None:
        """Record that the exchange has no other klines that open before `open_time`."""
        last = intervals.preceding(self._interval, intervals.opening(self._interval, open_time))
        self.last = last if self.last is None else max(self.last, last)

    def see(self, open_time: int, closed: bool) -> tuple[int, int] | None:
        """Record a kline. Returns the gap that it reveals: open times (first, last) in ms."""
        open_time = intervals.opening(self._interval, open_time)
        before = intervals.preceding(self._interval, open_time)
        gap = None
        if self.last is not None and (first := intervals.following(self._interval, self.last)) <= before:
            gap = (first, before)
        reached = open_time if closed else before
        self.last = reached if self.last is None else max(self.last, reached)
        return gap

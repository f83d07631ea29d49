"""The last row of each interval, by symbol. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from cryptocdc_core.rows.typed import BestQuotesRow, MarkPricesRow

REPEATED_MS = 1000
"""Known update ids are duplicates, unless their event is later than the newest one by more than this: then the
exchange has restarted its ids."""

R = TypeVar("R", BestQuotesRow, MarkPricesRow)


@dataclass(slots=True)
class _Last(Generic[R]):
    newest: R
    held_since: float
    """When (monotonic) the first row of its interval arrived."""
    held: bool = True
    """Not written yet."""


class LastRows(Generic[R]):
    """`event_time` determines the interval of a row."""

    def __init__(self, interval_ms: int) -> None:
        self._interval = interval_ms
        self._last: dict[str, _Last[R]] = {}

    def offer(self, row: R, now: float) -> tuple[R | None, int]:
        """Handle a row at `now` (monotonic seconds). Returns the row to write now, the last of its interval, and the
        number of rows it superseded.

        The order of arrival is kept even if the clock that dates the rows stops or steps back a little: such a row gets
        the time of the row before it and a higher version.
        """
        last = self._last.get(row.symbol)
        if last is None:
            self._last[row.symbol] = _Last(row, now)
            return None, 0
        newest = last.newest
        if _repeated(row, newest):
            return None, 0
        if newest.event_time - self._interval < row.event_time <= newest.event_time:
            row.event_time, row.version = newest.event_time, newest.version + 1
        if row.event_time // self._interval == newest.event_time // self._interval:
            overtaken = int(last.held)
            if not last.held:
                last.held, last.held_since = True, now
            last.newest = row
            return None, overtaken
        ended = newest if last.held else None
        self._last[row.symbol] = _Last(row, now)
        return ended, 0

    def due(self, now: float) -> list[R]:
        """Return the held rows whose interval is over."""
        since = now - self._interval / 1000
        ended = [last for last in self._last.values() if last.held and last.held_since <= since]
        for last in ended:
            last.held = False
        return [last.newest for last in ended]

    def release(self, symbol: str) -> R | None:
        """Remove a symbol and return its held row, to be written before its capture ends."""
        last = self._last.pop(symbol, None)
        return last.newest if last is not None and last.held else None


def _repeated(row: BestQuotesRow | MarkPricesRow, newest: BestQuotesRow | MarkPricesRow) -> bool:
    """Return whether this is a duplicate from an overlapping connection."""
    if isinstance(row, MarkPricesRow):
        return newest.event_time - REPEATED_MS < row.event_time <= newest.event_time
    known = newest.update_id if isinstance(newest, BestQuotesRow) else None
    if row.update_id is None or known is None or row.update_id > known:
        return False
    return row.event_time <= newest.event_time + REPEATED_MS

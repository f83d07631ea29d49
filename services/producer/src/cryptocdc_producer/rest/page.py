"""One page of a long answer: what came of it, and where the next one begins. Pure."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from cryptocdc_core import intervals
from cryptocdc_core.rows import KlinesRow, Row
from cryptocdc_producer.streams.continuity import FAR

R = TypeVar("R", bound=Row)


class Page(NamedTuple, Generic[R]):
    """The rows of one answer, in order, and where its refused elements are."""

    rows: list[R]
    refused: list[int | None]
    """Of each refused element the id of its trade or the open time of its kline in ms, where that can be believed."""
    until: int | None = None
    """Of klines: all that open before this time, in ms, are in the page and closed, however few."""

    @property
    def given(self) -> int:
        """Elements in the answer: a page is full when the exchange gave as many as were requested."""
        return len(self.rows) + len(self.refused)

    @property
    def positions(self) -> list[int]:
        """Trade ids or open times of all elements, as far as they can be read."""
        return [*map(_position, self.rows), *(at for at in self.refused if at is not None)]

    @property
    def last(self) -> int | None:
        """The highest of them; None when the page is empty or unreadable."""
        return max(self.positions, default=None)

    def up_to(self, most: int) -> Page[R]:
        """Return the page with no refused position beyond `most`: what is wrong in an element may be its position."""
        return self._replace(refused=[at if at is not None and at <= most else None for at in self.refused])

    def plausible(self, near: int = 0) -> Page[R]:
        """Return a page of trades without refused ids far beyond the others and `near`."""
        return self.up_to(max(near, *map(_position, self.rows), 0) + FAR)


def _position(row: Row) -> int:
    """Where a row of a page is: its trade's id, or the open time of its kline in ms."""
    return row.open_time if isinstance(row, KlinesRow) else getattr(row, "trade_id", 0)


def next_klines(interval: str, start_ms: int, page: Page[KlinesRow]) -> int | None:
    """Return the open time to go on from after a page of klines that was requested from `start_ms` on.

    That is the first kline that is not closed: the last one of a page counts as closed only in the next page. None when
    there is nothing to be had beyond `start_ms` for now.
    """
    if page.until is not None:
        return page.until
    not_closed = min((row.open_time for row in page.rows if not row.closed), default=None)
    if not_closed is not None:
        return not_closed if not_closed > start_ms else None
    if page.last is not None:
        return intervals.end(interval, max(start_ms, page.last))
    for _ in range(page.given):
        start_ms = intervals.following(interval, start_ms)
    return start_ms if page.given else None

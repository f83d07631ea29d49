"""One page of a paged response, and where the next one starts. Pure."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from cryptocdc_core.rows.typed import KlinesRow, Row
from cryptocdc_core.time import intervals
from cryptocdc_producer.streams.continuity import FAR

R = TypeVar("R", bound=Row)


class Page(NamedTuple, Generic[R]):
    """The rows of one response, in order, and the positions of its refused elements."""

    rows: list[R]
    refused: list[int | None]
    """For each refused element its trade id or the open time of its kline in ms, if that is plausible."""
    until: int | None = None
    """For klines: all that open before this time, in ms, are in the page and closed."""

    @property
    def given(self) -> int:
        """Number of elements in the response: a page is full if the exchange returned as many as were requested."""
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
        """Return the page without refused positions beyond `most`: an element's position itself may be wrong."""
        return self._replace(refused=[at if at is not None and at <= most else None for at in self.refused])

    def plausible(self, near: int = 0) -> Page[R]:
        """Return a page of trades without refused ids far beyond the others and `near`."""
        return self.up_to(max(near, *map(_position, self.rows), 0) + FAR)


def _position(row: Row) -> int:
    """Where a row of a page is: its trade's id, or the open time of its kline in ms."""
    return row.open_time if isinstance(row, KlinesRow) else getattr(row, "trade_id", 0)


def next_klines(interval: str, start_ms: int, page: Page[KlinesRow]) -> int | None:
    """Return the open time at which to continue after a page of klines that was requested from `start_ms` on.

    That is the first kline that is not closed: the last one of a page counts as closed only in the next page. None if
    nothing beyond `start_ms` is available for now.
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

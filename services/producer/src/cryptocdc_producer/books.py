"""The local order book of one symbol, kept by the exchange's documented procedure, and its rows. Pure.

Source: "How to manage a local order book correctly", web-socket-streams of the exchange's documentation.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from decimal import Decimal
from enum import Enum

from cryptocdc_core.versions import version
from cryptocdc_producer.frames import Depth, Row

SNAPSHOT_LEVELS = 1000
"""Levels a side to ask for: deep enough that the best ones stay known for long, at a weight of 50."""
_PRUNE_AT = 4 * SNAPSHOT_LEVELS
_MAX_BUFFERED = 5000
"""Diffs kept while a snapshot is on its way: over eight minutes at ten a second."""

Levels = Iterable[tuple[str, str]]


class Applied(Enum):
    APPLIED = "applied"
    IGNORED = "ignored"
    """Older than what is known: an overlapping connection sent it before."""
    BUFFERED = "buffered"
    GAP = "gap"
    """Update ids skipped; the book waits for a snapshot and has kept this diff."""
    EXHAUSTED = "exhausted"
    """So many levels went that the best ones reach beyond what the snapshot told; the book waits for another."""


class Side:
    """The levels of bids or asks within the range of prices that is fully known.

    A snapshot of SNAPSHOT_LEVELS levels says nothing of what lies beyond its worst price, `edge`; neither do we then.
    """

    def __init__(self, best: int) -> None:
        """`best`: +1 when the highest price is the best (bids), -1 when the lowest is (asks)."""
        self._best = best
        self._levels: dict[Decimal, tuple[str, str]] = {}
        self._edge: Decimal | None = None

    def load(self, levels: Levels, limit: int) -> None:
        self._levels = {Decimal(price): (price, quantity) for price, quantity in levels if not _is_zero(quantity)}
        self._edge = self._worst() if len(self._levels) >= limit else None

    def _worst(self) -> Decimal:
        return min(self._levels) if self._best > 0 else max(self._levels)

    def apply(self, levels: Levels) -> None:
        for price, quantity in levels:
            key = Decimal(price)
            if _is_zero(quantity):
                self._levels.pop(key, None)
            elif self._edge is None or (key >= self._edge if self._best > 0 else key <= self._edge):
                self._levels[key] = (price, quantity)
        if len(self._levels) > _PRUNE_AT:
            kept = self._top(SNAPSHOT_LEVELS)
            self._levels = {key: self._levels[key] for key in kept}
            self._edge = kept[-1]

    def _top(self, depth: int) -> list[Decimal]:
        return (heapq.nlargest if self._best > 0 else heapq.nsmallest)(depth, self._levels)

    def top(self, depth: int) -> list[tuple[str, str]]:
        """The best `depth` levels, best first: (price, quantity) as the exchange wrote them."""
        return [self._levels[key] for key in self._top(depth)]

    def knows(self, depth: int) -> bool:
        """Whether the best `depth` levels are all within what is known."""
        return self._edge is None or len(self._levels) >= depth


class Book:
    """One symbol's book and its rows: one for each bucket of event time in which a diff was applied.

    A row holds the best levels after the bucket's last diff. It is due when a diff of a later bucket comes, or when
    the caller finds that time has passed (`flush`).
    """

    def __init__(self, symbol: str, depth: int, interval_ms: int) -> None:
        self._symbol, self._depth, self._interval = symbol, depth, interval_ms
        self._bids, self._asks = Side(1), Side(-1)
        self._last_id: int | None = None
        self._buffer: list[tuple[Depth, int]] = []
        self._bucket: int | None = None
        self._event_time = 0
        self._received = 0

    @property
    def synced(self) -> bool:
        return self._last_id is not None

    @property
    def waiting(self) -> bool:
        """Whether diffs are kept for a snapshot."""
        return bool(self._buffer)

    @property
    def pending(self) -> bool:
        """Whether a bucket is open."""
        return self._bucket is not None

    def receive(self, diff: Depth, now_ms: int) -> tuple[Applied, Row | None]:
        """Take a diff received at `now_ms`. With it comes the row that it has completed, if any."""
        if self._last_id is None:
            self._keep(diff, now_ms)
            return Applied.BUFFERED, None
        if diff.last_id <= self._last_id:
            return Applied.IGNORED, None
        if diff.first_id > self._last_id + 1:
            row = self.flush()
            self.reset()
            self._keep(diff, now_ms)
            return Applied.GAP, row
        row = self._apply(diff, now_ms)
        if self._bids.knows(self._depth) and self._asks.knows(self._depth):
            return Applied.APPLIED, row
        self.reset()
        return Applied.EXHAUSTED, row

    def _keep(self, diff: Depth, now_ms: int) -> None:
        if len(self._buffer) >= _MAX_BUFFERED:
            self._buffer.clear()
        self._buffer.append((diff, now_ms))

    def reset(self) -> None:
        """Forget the book; diffs are kept until the next snapshot."""
        self._last_id = None
        self._buffer.clear()
        self._bucket = None

    def load(self, last_id: int, bids: Levels, asks: Levels) -> tuple[bool, list[Row]]:
        """Take a snapshot and the diffs kept meanwhile.

        False when the snapshot is older than the first diff kept, or the diffs do not reach it: fetch another. The
        rows are those that the kept diffs completed.
        """
        if self._buffer and last_id + 1 < self._buffer[0][0].first_id:
            return False, []
        self._bids.load(bids, SNAPSHOT_LEVELS)
        self._asks.load(asks, SNAPSHOT_LEVELS)
        self._last_id = last_id
        kept, self._buffer = self._buffer, []
        rows: list[Row] = []
        for at, (diff, received) in enumerate(kept):
            applied, row = self.receive(diff, received)
            if row is not None:
                rows.append(row)
            if applied in (Applied.GAP, Applied.EXHAUSTED):
                self._buffer = kept[at:]
                return False, rows
        return True, rows

    def _apply(self, diff: Depth, now_ms: int) -> Row | None:
        bucket = diff.event_time - diff.event_time % self._interval
        row = self.flush() if self._bucket is not None and bucket > self._bucket else None
        self._bids.apply(diff.bids)
        self._asks.apply(diff.asks)
        self._last_id = diff.last_id
        # The exchange's clock may step back: the diff then belongs to the open bucket, and a version never falls.
        if self._bucket is None or bucket >= self._bucket:
            known = self._event_time - self._event_time % self._interval
            self._event_time = max(self._event_time, diff.event_time) if known == bucket else diff.event_time
            self._bucket = bucket
        self._received = now_ms
        return row

    def flush(self) -> Row | None:
        """The row of the open bucket, which ends with it; None when no bucket is open."""
        if self._bucket is None or self._last_id is None:
            return None
        bids, asks = self._bids.top(self._depth), self._asks.top(self._depth)
        bucket, self._bucket = self._bucket, None
        return (
            self._symbol, bucket, self._last_id,
            [price for price, _ in bids], [quantity for _, quantity in bids],
            [price for price, _ in asks], [quantity for _, quantity in asks],
            self._event_time, self._received, version(self._event_time),
        )  # fmt: skip


def _is_zero(quantity: str) -> bool:
    return not quantity.strip("0.")

"""The local order book of one symbol, kept by its venue's procedure, and its rows. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from decimal import Decimal
from enum import Enum

from cryptocdc_core.rows.typed import OrderBookRow
from cryptocdc_core.rows.versions import version
from cryptocdc_exchanges.port import BookSnapshot, BookUpdate, OrderBook, Place

_PRUNE_AT = 4
"""A side with this many times the levels of a snapshot is trimmed to those of a snapshot."""
_MAX_BUFFERED = 600
"""Maximum number of diffs buffered until a snapshot arrives, the newest: a minute at ten per second. A snapshot is at
most as old as its request, and a diff of a hundred levels takes 20 KB."""
_RESTART_MS = 1000
"""A diff with known ids is a duplicate, unless its event is later than the newest one by more than this.

The servers behind two overlapping connections may date the same change a little differently.
"""
_BEHIND_MS = 15_000
"""A snapshot may be ahead of the stream by the stream's delay, but not by more event time than this."""
FAR = 10_000_000
"""In update ids: hours of the busiest symbol. A single diff further ahead than this is not trusted."""

Levels = Iterable[tuple[str, str]]


class Applied(Enum):
    APPLIED = "applied"
    IGNORED = "ignored"
    """Already known: an overlapping connection sent it earlier."""
    SNAPSHOT = "snapshot"
    """It replaced the book."""
    BUFFERED = "buffered"
    WILD = "wild"
    """A single diff with update ids far ahead of all known: not applied. If the ids are right, the next diff confirms
    them."""

    # With each of these the book waits for a snapshot; the diff is kept, except for EXHAUSTED.
    GAP = "gap"
    """Update ids skipped."""
    FAR = "far"
    """Update ids continued far ahead of all known."""
    RESTART = "restart"
    """Update ids restarted below those known."""
    STALLED = "stalled"
    """The buffered diffs do not connect to the snapshot."""
    CROSSED = "crossed"
    """The best bid was not below the best ask, though it was in the snapshot."""
    EXHAUSTED = "exhausted"
    """So many levels were removed that the best ones may lie beyond the snapshot."""


LOST = frozenset({Applied.GAP, Applied.FAR, Applied.RESTART, Applied.STALLED, Applied.CROSSED, Applied.EXHAUSTED})
"""Outcomes after which a synchronized book no longer is: it needs a snapshot."""


class Side:
    """The levels of bids or asks within the range of prices that is fully known.

    A snapshot with as many levels as were requested says nothing about prices beyond its worst one, `edge`.
    """

    def __init__(self, best: int) -> None:
        """`best`: +1 when the highest price is the best (bids), -1 when the lowest is (asks)."""
        self._best = best
        self._most: int | None = None
        self._levels: dict[Decimal, tuple[str, str]] = {}
        self._edge: Decimal | None = None

    def load(self, levels: Levels, most: int | None) -> None:
        """Begin with the levels of a snapshot. `most`: how many were requested, None where it has all."""
        self._most = most
        self._levels = {Decimal(price): (price, quantity) for price, quantity in levels if not _is_zero(quantity)}
        self._edge = self._worst() if most is not None and len(self._levels) >= most else None

    def _worst(self) -> Decimal:
        return min(self._levels) if self._best > 0 else max(self._levels)

    def apply(self, levels: Levels) -> None:
        for price, quantity in levels:
            key = Decimal(price)
            if _is_zero(quantity):
                self._levels.pop(key, None)
            elif self._edge is None or (key >= self._edge if self._best > 0 else key <= self._edge):
                self._levels[key] = (price, quantity)
        if self._most is not None and len(self._levels) > _PRUNE_AT * self._most:
            kept = self._top(self._most)
            self._levels = {key: self._levels[key] for key in kept}
            self._edge = kept[-1]

    def _top(self, depth: int) -> list[Decimal]:
        return (heapq.nlargest if self._best > 0 else heapq.nsmallest)(depth, self._levels)

    def top(self, depth: int) -> list[tuple[str, str]]:
        """The best `depth` levels, best first: (price, quantity) as the exchange wrote them."""
        return [self._levels[key] for key in self._top(depth)]

    def knows(self, depth: int) -> bool:
        """Return whether the best `depth` levels are all within the known range."""
        return self._edge is None or len(self._levels) >= depth


class Book:
    """One symbol's book and its rows: one for each bucket of event time in which a diff was applied.

    A row holds the best levels after the bucket's last diff. It is due when a diff of a later bucket arrives, or when
    the caller finds that the bucket has passed (`flush`).
    """

    def __init__(self, symbol: str, depth: int, interval_ms: int, procedure: OrderBook) -> None:
        self._symbol, self._depth, self._interval = symbol, depth, interval_ms
        self._place = procedure.place
        self._bids, self._asks = Side(1), Side(-1)
        self._last_id: int | None = None
        self._numbered = True
        """Whether the venue gives ids."""
        self._newest = (-1, 0)
        """The highest update id seen in a diff, and that diff's event time in ms."""
        self._wild_id: int | None = None
        self._behind_since: int | None = None
        """Event time of the first diff that was older than the snapshot; None once one was not."""
        self._crossed_at_source = False
        self._buffer: list[tuple[BookUpdate, int]] = []
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

    def receive(self, diff: BookUpdate, now_ms: int) -> tuple[Applied, OrderBookRow | None]:
        """Handle a diff received at `now_ms`. Returns the outcome and the row that it completed, if any."""
        if diff.snapshot:
            return self._replace(diff)
        if self._last_id is None:
            return self._keep(diff, now_ms), None
        place = self._place(self._last_id, diff)
        if place is Place.KNOWN:
            found = self._known(diff)
            return (found, None) if found is Applied.IGNORED else self._lose(found, diff, now_ms)
        if place is Place.AHEAD:
            found = self._ahead(diff, self._last_id)
            return (found, None) if found is Applied.WILD else self._lose(found, diff, now_ms)
        row = self._apply(diff, now_ms)
        if self._last_id is None:
            self._keep(diff, now_ms)
            return Applied.CROSSED, None
        if self._bids.knows(self._depth) and self._asks.knows(self._depth):
            return Applied.APPLIED, row
        self.reset()
        return Applied.EXHAUSTED, row

    def _replace(self, snapshot: BookUpdate) -> tuple[Applied, OrderBookRow | None]:
        """Restart from a snapshot in the stream: all updates that it does not contain follow it."""
        newest_id, newest_at = self._newest
        if self.synced and 0 < snapshot.last_id < newest_id and snapshot.event_time <= newest_at + _RESTART_MS:
            return Applied.IGNORED, None  # from a connection that lags behind another one
        row = self.flush()
        self.reset()
        self.load(BookSnapshot(snapshot.last_id, [*snapshot.bids], [*snapshot.asks]))
        self._numbered = snapshot.numbered
        self._newest = (snapshot.last_id, snapshot.event_time)
        return Applied.SNAPSHOT, row

    def _known(self, diff: BookUpdate) -> Applied:
        """Classify a diff without new ids: IGNORED, RESTART or STALLED."""
        newest_id, newest_at = self._newest
        if diff.last_id <= newest_id:
            return Applied.RESTART if diff.event_time > newest_at + _RESTART_MS else Applied.IGNORED
        # New on the stream, but older than the snapshot, which is ahead of it.
        self._newest = (diff.last_id, diff.event_time)
        if self._behind_since is None:
            self._behind_since = diff.event_time
        return Applied.STALLED if diff.event_time > self._behind_since + _BEHIND_MS else Applied.IGNORED

    def _ahead(self, diff: BookUpdate, last_id: int) -> Applied:
        """Classify a diff that skips ids after `last_id`: GAP, FAR or WILD."""
        if diff.first_id <= last_id + FAR:
            return Applied.GAP
        before, self._wild_id = self._wild_id, diff.last_id
        if before is None or not before < diff.first_id <= before + FAR:
            return Applied.WILD
        self._wild_id = None
        return Applied.FAR

    def _lose(self, found: Applied, diff: BookUpdate, now_ms: int) -> tuple[Applied, OrderBookRow | None]:
        """Wait for a snapshot and buffer `diff`. Also returns the row of the open bucket."""
        row = self.flush()
        self.reset()
        self._newest = (-1, 0)
        self._keep(diff, now_ms)
        return found, row

    def _keep(self, diff: BookUpdate, now_ms: int) -> Applied:
        """Buffer a diff for the snapshot. Returns BUFFERED, or IGNORED or WILD if it does not follow the buffered
        ones."""
        newest_id, newest_at = self._newest
        if diff.last_id <= newest_id:
            if diff.event_time <= newest_at + _RESTART_MS:
                return Applied.IGNORED
            self._buffer.clear()
        elif newest_id >= 0 and diff.first_id > newest_id + FAR:
            if self._ahead(diff, newest_id) is Applied.WILD:
                return Applied.WILD
            self._buffer.clear()
        if len(self._buffer) >= _MAX_BUFFERED:
            del self._buffer[0]
        self._newest = (diff.last_id, diff.event_time)
        self._buffer.append((diff, now_ms))
        return Applied.BUFFERED

    def reset(self) -> None:
        """Discard the book; diffs are buffered until the next snapshot."""
        self._last_id = None
        self._buffer.clear()
        self._bucket = None

    def load(self, snapshot: BookSnapshot, most: int | None = None) -> tuple[bool, list[OrderBookRow]]:
        """Apply a snapshot and the diffs buffered meanwhile. `most` as in Side.load.

        Returns False if the snapshot is older than the first buffered diff, or the diffs do not connect to it: fetch
        another. The rows are those that the buffered diffs completed.
        """
        last_id = snapshot.last_id
        if self._buffer and last_id + 1 < self._buffer[0][0].first_id:
            return False, []
        self._bids.load(snapshot.bids, most)
        self._asks.load(snapshot.asks, most)
        self._crossed_at_source = _crossed(self._bids.top(1), self._asks.top(1))
        self._last_id, self._behind_since = last_id, None
        kept, self._buffer = self._buffer, []
        rows: list[OrderBookRow] = []
        for at, (diff, received) in enumerate(kept):
            applied, row = self.receive(diff, received)
            if row is not None:
                rows.append(row)
            if applied in LOST:
                self._buffer = kept[at:]
                return False, rows
        return True, rows

    def _apply(self, diff: BookUpdate, now_ms: int) -> OrderBookRow | None:
        if diff.first_id > diff.last_id == self._last_id:
            self._newest = (diff.last_id, diff.event_time)  # nothing has changed, so it makes no row
            return None
        bucket = diff.event_time - diff.event_time % self._interval
        row = self.flush() if self._bucket is not None and bucket > self._bucket else None
        if self._last_id is None:
            return None
        self._bids.apply(diff.bids)
        self._asks.apply(diff.asks)
        self._last_id = diff.last_id
        self._newest, self._behind_since = (diff.last_id, diff.event_time), None
        # The exchange's clock may step back: the diff then counts for the open bucket, and versions never decrease.
        if self._bucket is None or bucket >= self._bucket:
            known = self._event_time - self._event_time % self._interval
            self._event_time = max(self._event_time, diff.event_time) if known == bucket else diff.event_time
            self._bucket = bucket
        self._received = now_ms
        return row

    def flush(self) -> OrderBookRow | None:
        """Close the open bucket and return its row; None if no bucket is open.

        A book that has become crossed differs from the exchange's: it makes no row and is discarded (`synced` is
        False). One that was already crossed in the snapshot is what the exchange reports.
        """
        if self._bucket is None or self._last_id is None:
            return None
        bids, asks = self._bids.top(self._depth), self._asks.top(self._depth)
        if not _crossed(bids, asks):
            self._crossed_at_source = False
        elif not self._crossed_at_source:
            self.reset()
            return None
        bucket, self._bucket = self._bucket, None
        return OrderBookRow(
            symbol=self._symbol, bucket_time=bucket, last_update_id=self._last_id if self._numbered else None,
            bid_prices=[price for price, _ in bids], bid_quantities=[quantity for _, quantity in bids],
            ask_prices=[price for price, _ in asks], ask_quantities=[quantity for _, quantity in asks],
            event_time=self._event_time, received_at=self._received, version=version(self._event_time),
        )  # fmt: skip


def _crossed(bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> bool:
    return bool(bids and asks) and Decimal(bids[0][0]) >= Decimal(asks[0][0])


def _is_zero(quantity: str) -> bool:
    return not quantity.strip("0.")


def snapshot_row(symbol: str, depth: int, interval_ms: int, snapshot: BookSnapshot, now_ms: int) -> OrderBookRow:
    """Return a snapshot from REST as a row. It contains no time, so it is dated by capture."""
    bids, asks = snapshot.bids[:depth], snapshot.asks[:depth]
    return OrderBookRow(
        symbol=symbol, bucket_time=now_ms - now_ms % interval_ms, last_update_id=snapshot.last_id,
        bid_prices=[price for price, _ in bids], bid_quantities=[quantity for _, quantity in bids],
        ask_prices=[price for price, _ in asks], ask_quantities=[quantity for _, quantity in asks],
        event_time=now_ms, received_at=now_ms, version=version(now_ms),
    )  # fmt: skip

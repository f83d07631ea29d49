"""A row's version: the event's microseconds with a rank in the lowest three digits. The greater one wins everywhere.

PostgreSQL updates only where the new version is greater; Cassandra takes it as the write's timestamp.
"""

from __future__ import annotations

from enum import IntEnum

FUTURE_TOLERANCE_MS = 60_000
"""An event further ahead of our clock than this is refused before PostgreSQL: its version would win for ever."""


SETTLE_MS = 10_000
"""An exchange may revise a kline for some seconds after its end: an answer over REST is final only after this time."""


class Rank(IntEnum):
    """Which of two reports of the same millisecond wins."""

    OPEN = 0
    """It can still change: its end is to come, or was so short a time ago that the exchange may revise it."""
    CLOSED = 1
    """The exchange has marked it as closed, over WebSocket."""
    FINAL = 2
    """An answer over REST to a request made at least SETTLE_MS after the end."""


def version(event_ms: int, rank: Rank = Rank.OPEN) -> int:
    """The version of a row whose event the exchange dates at `event_ms` milliseconds."""
    return event_ms * 1000 + rank


def kline_version(event_ms: int, end_ms: int, rank: Rank) -> int:
    """Return the version of a kline reported at `event_ms`. `end_ms`: the first millisecond after its interval.

    A closed one is dated at its end and not at the frame's time: every report of the same close then has the same
    version, whichever clock it passed. A final one is dated when it was requested, so that the latest answer wins. An
    open state loses to both: it is dated no later than the last millisecond of the interval. Those requested after the
    end differ in the last three digits, by one for each thousandth of SETTLE_MS.
    """
    if rank is Rank.FINAL:
        return version(max(event_ms, end_ms), rank)
    if rank is Rank.CLOSED:
        return version(end_ms, rank)
    if event_ms < end_ms:
        return version(event_ms, rank)
    return version(end_ms - 1, rank) + min(1 + (event_ms - end_ms) * 1000 // SETTLE_MS, 999)


def deletion_version(committed_us: int) -> int:
    """The timestamp in Cassandra of a manual delete committed at `committed_us`.

    A version may lie ahead of our clock by the tolerance, so the delete is put past it: it beats whatever it deleted.
    """
    return committed_us + FUTURE_TOLERANCE_MS * 1000

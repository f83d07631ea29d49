"""A row's version: the event's microseconds with a rank in the lowest three digits. The greater one wins everywhere.

PostgreSQL updates only where the new version is greater; Cassandra takes it as the write's timestamp.
"""

from __future__ import annotations

from enum import IntEnum

FUTURE_TOLERANCE_MS = 60_000
"""An event further ahead of our clock than this is refused before PostgreSQL: its version would win for ever."""


class Rank(IntEnum):
    """Which of two reports of the same millisecond wins."""

    OPEN = 0
    CLOSED = 1
    FINAL = 2


def version(event_ms: int, rank: Rank = Rank.OPEN) -> int:
    """The version of a row whose event the exchange dates at `event_ms` milliseconds."""
    return event_ms * 1000 + rank


def kline_version(event_ms: int, close_time_ms: int, rank: Rank) -> int:
    """The version of a kline.

    A closed one is dated at its end and not at the frame's time: every report of the same close then bears the same
    version, whichever clock it passed, and any open state, dated no later than the last millisecond, loses to it.
    """
    if rank is Rank.OPEN:
        return version(min(event_ms, close_time_ms), rank)
    return version(close_time_ms + 1, rank)


def deletion_version(committed_us: int) -> int:
    """The timestamp in Cassandra of a manual delete committed at `committed_us`.

    A version may lie ahead of our clock by the tolerance, so the delete is put past it: it beats whatever it deleted.
    """
    return committed_us + FUTURE_TOLERANCE_MS * 1000

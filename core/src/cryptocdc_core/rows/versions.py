"""A row's version: the event time in microseconds with a rank in the lowest three digits. The greatest wins everywhere.

PostgreSQL updates only if the new version is greater; Cassandra uses it as the write timestamp.
"""

from __future__ import annotations

from enum import IntEnum

FUTURE_TOLERANCE_MS = 60_000
"""An event further ahead of our clock than this is refused before PostgreSQL: its version would win forever."""

SETTLE_MS = 10_000
"""An exchange may revise a kline for some seconds after its end: a REST response is final only after this time."""


class Rank(IntEnum):
    """Which of two reports for the same millisecond wins."""

    OPEN = 0
    """It can still change: it has not ended, or ended so recently that the exchange may revise it."""
    CLOSED = 1
    """The exchange has marked it as closed, over WebSocket."""
    FINAL = 2
    """A response over REST to a request made at least SETTLE_MS after the end."""
    ARCHIVE = 3
    """A line of the exchange's public archive, which the exchange publishes when the day is over."""


def version(event_ms: int, rank: Rank = Rank.OPEN) -> int:
    """Return the version of a row whose event has the exchange's time `event_ms`."""
    return event_ms * 1000 + rank


def kline_version(event_ms: int, end_ms: int, rank: Rank) -> int:
    """Return the version of a kline reported at `event_ms`. `end_ms`: the first millisecond after its interval.

    A closed kline is dated at its end and not at the frame's time, so that every report of the same close has the same
    version, whichever clock it passed. A final one is dated when it was requested, so that the latest response wins. An
    open one loses to both: it is dated no later than the last millisecond of the interval. Open ones requested after
    the end differ in the last three digits, which rise by one per thousandth of SETTLE_MS.
    """
    if rank is Rank.FINAL:
        return version(max(event_ms, end_ms), rank)
    if rank is Rank.CLOSED:
        return version(end_ms, rank)
    if event_ms < end_ms:
        return version(event_ms, rank)
    return version(end_ms - 1, rank) + min(1 + (event_ms - end_ms) * 1000 // SETTLE_MS, 999)


def archive_version(read_ms: int) -> int:
    """Return the version of a row of the exchange's public archive, of a file that was read at `read_ms`.

    It is dated when the file was read, as a final kline is when it was requested: it replaces what was captured before,
    and is replaced by a file that was published again.
    """
    return version(read_ms, Rank.ARCHIVE)


DELETION_LEAD_US = FUTURE_TOLERANCE_MS * 1000
"""How far the timestamp of a delete is ahead of its commit."""
LAST_OF_A_MILLISECOND = 999
"""The greatest rank, and so the last three digits of the greatest version of a millisecond."""


def deletion_version(committed_us: int) -> int:
    """Return the timestamp in Cassandra of a manual delete committed at `committed_us`.

    A version may be ahead of our clock by the tolerance, so the delete gets a later one: it wins over what it deleted.
    """
    return committed_us + DELETION_LEAD_US

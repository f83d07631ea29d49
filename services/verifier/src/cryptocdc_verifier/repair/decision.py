"""Decides which differing rows may be sent again, and with which version. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.rows.versions import version as version_at
from cryptocdc_verifier.comparing.canonical import ordered
from cryptocdc_verifier.differences.causes import Cause

SETTLED_MS = 600_000
"""How long after its time a row is taken as final: longer than the longest interval of an order book, and than an
exchange revises a candle."""

UNSEEN = frozenset({"deleted_by_hand", "never_sent", "untraced", "delete_wins", "insert_lost", "column_deleted"})
"""Causes with which something that can't be read, a tombstone, may win over a row that was sent again."""
RESENT = UNSEEN | {"update_lost", "older_value", "wall_clock", "received_again"}
"""Causes that are harmless to repair: PostgreSQL's row is the one that the pipeline should have written."""


class Reason(NamedTuple):
    """Why a row is left: a word for metrics, and a sentence."""

    name: str
    text: str


EXTRA = Reason(
    "extra", "the table has extra rows, which are never deleted: find out where they come from, then repair again"
)
LIMIT = Reason("limit", "the limit of repaired rows is reached")
COMPUTED = Reason(
    "computed", "computed rows are not in PostgreSQL: compute them again with `cryptocdc analyze recompute`"
)
CHANGED = Reason("sent_again", "still different after it was sent again")
OPEN = Reason(
    "may_change",
    "the row may still change, and a raised version could win over the exchange's next one: repair it once it is final",
)
FUTURE = Reason("future", "what wins over it in Cassandra has a time in the future: repair it after that")
LETTERS = Reason("dead_letter", "there are too many dead letters to tell which rows are among them: replay those first")
TRANSFORM = Reason("transform", "the feed has a transform, which may leave rows out or alter them on purpose")
_KEPT_BACK = {
    "dead_letter": Reason("dead_letter", "its change is a dead letter: fix the reason, then `cryptocdc dlq replay`"),
    "newer_version": Reason(
        "unknown_truth",
        "Cassandra has a newer version than PostgreSQL, and which of them is the exchange's is unknown",
    ),
    "same_version": Reason(
        "unknown_truth", "both have the same version, and which of the values is the exchange's is unknown"
    ),
    "extra": EXTRA,
}


class Send(NamedTuple):
    """Send the row again with `version`, its own one or a greater one."""

    version: int


class Leave(NamedTuple):
    """Do not repair the row. `until_us`: when it can be repaired, if that is known."""

    why: Reason
    until_us: int | None = None


def decide(cause: Cause, version: int, now_us: int, *, final: bool, resent: bool) -> Send | Leave:
    """Return what to do about a row of PostgreSQL that has `version`.

    `final`: whether no later report of the row is expected; `resent`: whether it was sent again already and still
    differs.

    A version is only raised to a time that has passed, and only that of a final row: a later report of it, such as a
    candle requested again, is dated at its request and so still wins.
    """
    if cause.name not in RESENT:
        return Leave(_KEPT_BACK[cause.name])
    wins_us = cause.wins_us
    if resent and cause.name in UNSEEN:
        wins_us = now_us - 1
    if wins_us is None or wins_us < version:
        return Leave(CHANGED) if resent else Send(version)
    # The next full millisecond: the last three digits are a rank, and this row's report has none of that time.
    raised = version_at(wins_us // 1000 + 1)
    if raised > now_us:
        return Leave(FUTURE, raised)
    return Send(raised) if final else Leave(OPEN)


def is_final(stream: Stream, line: bytes, now_ms: int) -> bool:
    """Return whether no later report of PostgreSQL's row is expected at `now_ms`."""
    row = dict(zip((column.name for column in ordered(stream)), line.split(b"\t"), strict=True))
    ends = [stream.time, stream.event]
    if stream.open_until is not None:
        closed, end = stream.open_until
        if row[closed] != b"t":
            return False
        ends.append(end)
    return max(int(row[name]) for name in ends) + SETTLED_MS <= now_ms


Grant = Callable[[int], int]
"""Given how many rows should be repaired, returns how many may be."""


class Allowance:
    """Grants at most `rows` within any `seconds`, or in all if `seconds` is None."""

    def __init__(self, rows: int, seconds: float | None, now: Callable[[], float]) -> None:
        self._rows, self._seconds, self._now = rows, seconds, now
        self._granted: list[tuple[float, int]] = []

    def __call__(self, wanted: int) -> int:
        now = self._now()
        if self._seconds is not None:
            self._granted = [(at, count) for at, count in self._granted if at > now - self._seconds]
        granted = min(wanted, self._rows - sum(count for _, count in self._granted))
        if granted:
            self._granted.append((now, granted))
        return granted

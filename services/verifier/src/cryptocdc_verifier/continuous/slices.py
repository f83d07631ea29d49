"""Which slices of a table's time to prove next. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from cryptocdc_adapters.postgres.proofs import Proof
from cryptocdc_core.storage.ddl import DAY_MS
from cryptocdc_core.storage.windows import Window, subtract

MINUTE_MS = 60_000
HOUR_MS = 3_600_000

GRACE_MS = 20_000
"""A minute is proven this long after its end: later rows change the sums of its slice and are found by rechecks."""

LENGTHS = (1, 2, 5, 10, 15, 30, 60)
"""Possible lengths of a slice in minutes; each divides an hour, so that slices never cross hours."""
FEW_ROWS, MANY_ROWS = 50_000, 200_000


def provable(days: Iterable[int], least: int, now: int) -> list[Window]:
    """Return the parts of PostgreSQL's `days` that can be proven at `now`: from the first full hour after `least`, in
    full minutes."""
    start = -(-least // HOUR_MS) * HOUR_MS
    end = (now - GRACE_MS) // MINUTE_MS * MINUTE_MS
    bounds = Window(start, max(start, end))
    return [part for day in sorted(days) if (part := Window(day, day + DAY_MS).meet(bounds)) is not None]


def proven_through(wanted: Sequence[Window], proofs: Iterable[Proof]) -> int | None:
    """Return the time up to which all wanted windows are proven; None if none are wanted."""
    if not wanted:
        return None
    left = subtract(wanted, [proof.window for proof in proofs])
    return left[0].start if left else wanted[-1].end


def unproven_s(days: Iterable[int], least: int, now: int, through: int) -> float:
    """Return how many seconds after `through` can be proven by `now` but are not; 0.0 if everything is proven.

    Only PostgreSQL's `days` can be proven: a suspended feed or a removed stream has nothing newer to prove, so its
    proof does not fall behind.
    """
    wanted = provable(days, least, now)
    return max(0, wanted[-1].end - through) / 1000 if wanted else 0.0


def cut(gap: Window, minutes: int) -> Iterator[Window]:
    """Yield `gap` in slices of at most `minutes`, aligned to multiples of it."""
    length = minutes * MINUTE_MS
    start = gap.start
    while start < gap.end:
        end = min(gap.end, start - start % length + length)
        yield Window(start, end)
        start = end


def next_length(minutes: int, rows: int) -> int:
    """Return the length of the next slice in minutes, given that the last one of `minutes` had `rows`."""
    at = LENGTHS.index(minutes)
    if rows > MANY_ROWS:
        return LENGTHS[max(0, at - 1)]
    if rows < FEW_ROWS:
        return LENGTHS[min(len(LENGTHS) - 1, at + 1)]
    return minutes


def full_hours(proofs: Iterable[Proof]) -> list[list[Proof]]:
    """Return the groups of proofs that completely cover an hour, which can be merged."""
    found = []
    for hour, group in groupby(proofs, lambda proof: proof.window.start // HOUR_MS * HOUR_MS):
        parts = list(group)
        whole = Window(hour, hour + HOUR_MS)
        if len(parts) > 1 and not subtract([whole], [part.window for part in parts]):
            found.append(parts)
    return found

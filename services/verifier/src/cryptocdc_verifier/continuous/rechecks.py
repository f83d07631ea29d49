"""When to count the rows of a proven slice again, to find rows that arrived or changed after its proof. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cryptocdc_adapters.postgres.proofs import Proof
from cryptocdc_core.storage.windows import Window
from cryptocdc_verifier.continuous.slices import GRACE_MS, MINUTE_MS

ROWS_PER_S = 1_000.0
"""Maximum average rate: the cost for PostgreSQL does not grow with the number of stored rows."""
SAVED_ROWS = 50_000.0
"""Maximum burst after a time of low use."""
SWEPT_ROWS = 2_000
"""Rows counted in a pass without being due: a small feed is rechecked completely each time."""


@dataclass(frozen=True, slots=True)
class _Look:
    at: int
    open_until: int | None


class Rechecks:
    """A slice is due once the time since its last count exceeds its age at that count, at least a minute: late rows
    arrive soon, such as those that fill a gap, or hardly ever. A slice with an open candle is due when that has
    closed."""

    def __init__(self) -> None:
        self._looks: dict[tuple[str, Window], _Look] = {}
        self._allowed = SAVED_ROWS
        self._began: int | None = None
        self._allowed_at = 0

    def counted(self, table: str, window: Window, at: int, open_until: int | None) -> None:
        """Record that the slice was counted at `at`; `open_until` is when its first open row closes. In
        milliseconds."""
        self._looks[table, window] = _Look(at, open_until)

    def merged(self, table: str, parts: Iterable[Window], whole: Window) -> None:
        """Record that `whole` replaces `parts`."""
        looks = [self._looks.pop((table, part), None) for part in parts]
        known = [look for look in looks if look is not None]
        if len(known) == len(looks):
            open_until = min((look.open_until for look in known if look.open_until is not None), default=None)
            self._looks[table, whole] = _Look(min(look.at for look in known), open_until)

    def run(self, proofs: Sequence[tuple[str, Proof]], now: int, count: Callable[[int], int]) -> None:
        """Call `count`, which returns the number of rows, with the indices of the `proofs` to count again."""
        if self._began is None:
            self._began = self._allowed_at = now
        self._allowed = min(SAVED_ROWS, self._allowed + (now - self._allowed_at) / 1000 * ROWS_PER_S)
        self._allowed_at = now
        there = {(table, proof.window) for table, proof in proofs}
        self._looks = {slice_: look for slice_, look in self._looks.items() if slice_ in there}
        swept = 0
        for urgency, at in self._in_order(proofs, now):
            # Proofs wait for closed candles, and candles are few.
            if urgency < math.inf and self._allowed <= 0:
                return
            if urgency < 1 and swept + proofs[at][1].rows > SWEPT_ROWS:
                continue
            rows = count(at)
            swept += rows if urgency < 1 else 0
            self._allowed -= rows

    def _in_order(self, proofs: Sequence[tuple[str, Proof]], now: int) -> list[tuple[float, int]]:
        """Return (urgency, index) pairs, the most urgent first; a slice is due from an urgency of 1."""
        return sorted(
            ((self._urgency(table, proof.window, now), at) for at, (table, proof) in enumerate(proofs)),
            key=lambda found: (-found[0], found[1]),
        )

    def _urgency(self, table: str, window: Window, now: int) -> float:
        look = self._looks.get((table, window))
        if look is None:  # proven before the verifier started: due, and increasingly urgent
            began = now if self._began is None else self._began
            return 1 + (now - began) / max(MINUTE_MS, began - window.end)
        if look.open_until is not None and look.at < look.open_until + GRACE_MS <= now:
            return math.inf
        return (now - look.at) / max(MINUTE_MS, look.at - window.end)

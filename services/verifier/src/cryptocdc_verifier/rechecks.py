"""When the rows of a proven slice are counted again, to find those that came or changed after its proof. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cryptocdc_verifier.proofs import Proof
from cryptocdc_verifier.slices import GRACE_MS, MINUTE_MS
from cryptocdc_verifier.window import Window

ROWS_PER_S = 1_000.0
"""Counted again at most, on the average: what that costs PostgreSQL does not grow with what it holds."""
SAVED_ROWS = 50_000.0
"""Not used for a while, so many may be counted at once."""
SWEPT_ROWS = 2_000
"""Counted in a pass without being due: a small feed is looked through whole each time."""


@dataclass(frozen=True, slots=True)
class _Look:
    at: int
    open_until: int | None


class Rechecks:
    """A slice is due when as much time has passed since it was last counted as it was old then, a minute at least: late
    rows come soon, as those that fill a gap, or hardly ever. One with an open candle is due when that has closed."""

    def __init__(self) -> None:
        self._looks: dict[tuple[str, Window], _Look] = {}
        self._allowed = SAVED_ROWS
        self._began: int | None = None
        self._allowed_at = 0

    def counted(self, table: str, window: Window, at: int, open_until: int | None) -> None:
        """The slice was counted at `at`; `open_until` is when the first of its open rows closes. In milliseconds."""
        self._looks[table, window] = _Look(at, open_until)

    def merged(self, table: str, parts: Iterable[Window], whole: Window) -> None:
        """`whole` stands for `parts` from now on."""
        looks = [self._looks.pop((table, part), None) for part in parts]
        known = [look for look in looks if look is not None]
        if len(known) == len(looks):
            open_until = min((look.open_until for look in known if look.open_until is not None), default=None)
            self._looks[table, whole] = _Look(min(look.at for look in known), open_until)

    def run(self, proofs: Sequence[tuple[str, Proof]], now: int, count: Callable[[int], int]) -> None:
        """Call `count` with the indices of the `proofs` to be counted again, which returns how many rows that were."""
        if self._began is None:
            self._began = self._allowed_at = now
        self._allowed = min(SAVED_ROWS, self._allowed + (now - self._allowed_at) / 1000 * ROWS_PER_S)
        self._allowed_at = now
        there = {(table, proof.window) for table, proof in proofs}
        self._looks = {slice_: look for slice_, look in self._looks.items() if slice_ in there}
        swept = 0
        for urgency, at in self._in_order(proofs, now):
            # A closed candle is waited for by what is proven, and candles are few.
            if urgency < math.inf and self._allowed <= 0:
                return
            if urgency < 1 and swept + proofs[at][1].rows > SWEPT_ROWS:
                continue
            rows = count(at)
            swept += rows if urgency < 1 else 0
            self._allowed -= rows

    def _in_order(self, proofs: Sequence[tuple[str, Proof]], now: int) -> list[tuple[float, int]]:
        """(urgency, index), the most urgent first; from 1 on a slice is due."""
        return sorted(
            ((self._urgency(table, proof.window, now), at) for at, (table, proof) in enumerate(proofs)),
            key=lambda found: (-found[0], found[1]),
        )

    def _urgency(self, table: str, window: Window, now: int) -> float:
        look = self._looks.get((table, window))
        if look is None:  # proven before the verifier was started: due, and more so as time goes by
            began = now if self._began is None else self._began
            return 1 + (now - began) / max(MINUTE_MS, began - window.end)
        if look.open_until is not None and look.at < look.open_until + GRACE_MS <= now:
            return math.inf
        return (now - look.at) / max(MINUTE_MS, look.at - window.end)

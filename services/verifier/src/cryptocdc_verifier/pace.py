"""A bound on how fast rows are compared, so that proving never starves what is being proven."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """Call it with each number of rows: it takes so long that no more than `rows_per_s` go through."""

    def __init__(
        self,
        rows_per_s: int,
        stop: threading.Event,
        now: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._rows_per_s = rows_per_s
        self._now = now
        self._wait = wait or stop.wait
        self._free_at = now()

    def __call__(self, rows: int) -> None:
        now = self._now()
        # Time that passed unused is not saved up: a pause must not be followed by a burst.
        self._free_at = max(self._free_at, now) + rows / self._rows_per_s
        if self._free_at - now > 0.05:
            self._wait(self._free_at - now)

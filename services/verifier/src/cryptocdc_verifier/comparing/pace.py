"""Limits the rate of compared rows, so that proving does not slow down the pipeline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """Call it with each number of rows: it delays so that the rate stays below `rows_per_s`."""

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
        # Unused time does not accumulate: a pause must not be followed by a burst.
        self._free_at = max(self._free_at, now) + rows / self._rows_per_s
        if self._free_at - now > 0.05:
            self._wait(self._free_at - now)

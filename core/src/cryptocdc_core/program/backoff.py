"""Delays between attempts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double from `first_s` to `longest_s`."""

    first_s: float
    longest_s: float

    def after(self, failures: int) -> float:
        """Return how many seconds to wait after so many failures in a row."""
        return min(self.first_s * 2.0 ** max(0, min(failures, 64) - 1), self.longest_s)


@dataclass
class Restarts:
    """When to restart a process that has died: immediately, then after increasing delays, until it has run for
    `steady_s` seconds."""

    backoff: Backoff
    steady_s: float
    failures: int = 0
    next_at: float = 0.0

    def alive(self, now: float) -> None:
        """Record that the process is alive."""
        if now - self.next_at > self.steady_s:
            self.failures = 0

    def due(self, now: float) -> bool:
        """Return whether the dead process is to be started now."""
        return now >= self.next_at

    def started(self, now: float) -> None:
        """Record an attempt to start it."""
        self.failures += 1
        self.next_at = now + self.backoff.after(self.failures)


def retry(
    attempt: Callable[[], T],
    on: type[Exception] | tuple[type[Exception], ...],
    limit_s: float,
    pause_s: float,
    transient: Callable[[Any], bool] = lambda _: True,
) -> T:
    """Return what `attempt` returns, retried every `pause_s` seconds while it raises one of `on` that is `transient`.
    Raise that after `limit_s` seconds, and anything else immediately."""
    deadline = time.monotonic() + limit_s
    while True:
        try:
            return attempt()
        except on as error:
            if not transient(error) or time.monotonic() + pause_s > deadline:
                raise
        time.sleep(pause_s)

"""Waiting for something that shrinks, for as long as it does."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cryptocdc_verifier.target import VerifyError

STALLED_S = 120.0
_POLL_S = 0.1


@dataclass(frozen=True)
class Clock:
    """The clock, which tests replace."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def wait_until_zero(
    left: Callable[[], int], problem: Callable[[int], str], clock: Clock, stalled_s: float = STALLED_S
) -> None:
    """Call `left` until it returns 0. Raises VerifyError with `problem` once it has not shrunk for `stalled_s` seconds.

    Only the time without progress is limited: a backlog of hours is waited for as long as it shrinks.
    """
    least: int | None = None
    since = clock.now()
    while True:
        remaining = left()
        if remaining <= 0:
            return
        if least is None or remaining < least:
            least, since = remaining, clock.now()
        elif clock.now() - since > stalled_s:
            raise VerifyError(problem(remaining))
        clock.sleep(_POLL_S)

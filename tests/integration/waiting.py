"""Waiting on conditions, with a time limit and a description of the condition."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(what: str, probe: Callable[[], T | None], limit_s: float = 120) -> T:
    """The first truthy answer of `probe`. AssertionError naming `what` when none came within the limit."""
    deadline = time.monotonic() + limit_s
    while True:
        answer = probe()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"after {limit_s:.0f} s still not: {what} (last: {answer!r})"
        time.sleep(0.2)

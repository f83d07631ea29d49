"""Runs several waits in parallel; the first failure ends all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")


def together(items: Iterable[T], work: Callable[[T], None], given_up: threading.Event | None = None) -> None:
    """Run `work` on each item in its own thread. The first error, or Ctrl-C, sets `given_up` and is raised once all
    threads have ended."""
    given_up = given_up or threading.Event()
    work_items = list(items)
    if not work_items:
        return
    with ThreadPoolExecutor(len(work_items)) as pool:
        futures = [pool.submit(work, item) for item in work_items]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            failed = next((error for future in done if (error := future.exception())), None)
            if failed is not None:
                raise failed
        except BaseException:
            given_up.set()
            raise

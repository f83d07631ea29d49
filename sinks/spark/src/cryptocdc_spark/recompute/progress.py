"""What Spark's tasks have done so far, while the driver waits for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

EVERY_S = 1.0


@contextmanager
def progress(context: Any, say: Callable[[str], None]) -> Iterator[None]:
    """Report every second how many tasks of the running stages are finished."""
    ended = threading.Event()

    def watch() -> None:
        tracker = context.statusTracker()
        while not ended.wait(EVERY_S):
            stages = [found for at in tracker.getActiveStageIds() if (found := tracker.getStageInfo(at)) is not None]
            if stages:
                done = sum(stage.numCompletedTasks for stage in stages)
                say(f"{done} of {sum(stage.numTasks for stage in stages)} tasks of this stage")

    thread = threading.Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()

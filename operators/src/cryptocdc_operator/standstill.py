"""Whether reconciling stands still, as the API server's list of feeds shows: a watch that has died says nothing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from cryptocdc_adapters.serving import Health

log = logging.getLogger("cryptocdc.operator")

LIMIT_S = 300.0
"""A timer reconciles each feed every minute; a pass over servers that do not answer takes a minute more."""
LOOK_EVERY_S = 20.0
UNSEEN_S = 3 * LOOK_EVERY_S
"""Without a look that found all well, the program is not."""


class Progress:
    """When each feed was last reconciled. Any thread may call it."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._at: dict[str, float] = {}
        self._lock = threading.Lock()

    def made(self, name: str) -> None:
        with self._lock:
            self._at[name] = self._now()

    def gone(self, names: list[str]) -> list[str]:
        """Those that were reconciled and are not among the feeds that there are."""
        with self._lock:
            return sorted(self._at.keys() - set(names))

    def stalled(self, names: list[str]) -> list[str]:
        """Those of the feeds that there are which nobody has looked at for LIMIT_S. One never seen counts from now."""
        now = self._now()
        with self._lock:
            self._at = {name: self._at.get(name, now) for name in names}
            return sorted(name for name, at in self._at.items() if now - at > LIMIT_S)


def watch_over(
    list_feeds: Callable[[], list[dict[str, Any]]], progress: Progress, health: Health, forget: Callable[[str], object]
) -> None:
    """Look every LOOK_EVERY_S for as long as the program runs: healthy as long as no feed is forgotten. `forget` is
    called with each that is there no more, also where somebody took its finalizer away.

    An API server that does not answer is no reason to be started again.
    """
    while True:
        try:
            names = [feed["metadata"]["name"] for feed in list_feeds()]
            for name in progress.gone(names):
                forget(name)
            stalled = progress.stalled(names)
        except Exception as error:  # whatever the client raises: it is asked again
            log.warning("the feeds can't be listed: %s", " ".join(str(error).split())[:300])
            stalled = []
        if stalled:
            log.error("nobody has looked at %s for %.0f s", ", ".join(stalled), LIMIT_S)
        else:
            health.beat()
        time.sleep(LOOK_EVERY_S)

"""The stall watchdog: checks that each feed that the API server lists is still reconciled. A dead watch raises nothing,
so only this notices it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from cryptocdc_adapters.metrics.serving import Health

log = logging.getLogger("cryptocdc.operator")

LIMIT_S = 300.0
"""A timer reconciles each feed every minute; a pass over servers that do not answer takes a minute more."""
CHECK_EVERY_S = 20.0
UNHEALTHY_AFTER_S = 3 * CHECK_EVERY_S
"""The operator is unhealthy after this long without a check that found no stalled feed."""


class Progress:
    """When each feed was last reconciled. Any thread may call it."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._at: dict[str, float] = {}
        self._lock = threading.Lock()

    def record(self, name: str) -> None:
        with self._lock:
            self._at[name] = self._now()

    def removed(self, names: list[str]) -> list[str]:
        """Return the feeds that were reconciled and no longer exist; `names` are the existing ones."""
        with self._lock:
            return sorted(self._at.keys() - set(names))

    def stalled(self, names: list[str]) -> list[str]:
        """Return the existing feeds that were not reconciled for LIMIT_S. For new ones the time starts now."""
        now = self._now()
        with self._lock:
            self._at = {name: self._at.get(name, now) for name in names}
            return sorted(name for name, at in self._at.items() if now - at > LIMIT_S)


def run_watchdog(
    list_feeds: Callable[[], list[dict[str, Any]]], progress: Progress, health: Health, remove: Callable[[str], object]
) -> None:
    """Check every CHECK_EVERY_S for as long as the program runs: it is healthy while no feed is stalled. `remove` is
    called with each feed that no longer exists, even if somebody removed its finalizer by hand.

    An API server that does not answer is no reason for a restart.
    """
    while True:
        try:
            names = [feed["metadata"]["name"] for feed in list_feeds()]
            for name in progress.removed(names):
                remove(name)
            stalled = progress.stalled(names)
        except Exception as error:  # whatever the client raises: retry
            log.warning("can't list the feeds: %s", " ".join(str(error).split())[:300])
            stalled = []
        if stalled:
            log.error("%s: not reconciled for %.0f s", ", ".join(stalled), LIMIT_S)
        else:
            health.beat()
        time.sleep(CHECK_EVERY_S)

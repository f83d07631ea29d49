"""How long the real operators take, shortened by a factor, and which resources are due for a check."""

from __future__ import annotations

import json
import os
import time
from typing import Any

SPEED = float(os.environ.get("STAND_IN_SPEED", "1"))
"""How many times faster than the real operators."""
RECONCILE_S = 120 / SPEED
"""Strimzi's period: changes outside its resources, such as a connector's state, are noticed after this time."""
TOPIC_DELETION_S = 20 / SPEED
"""Observed for one KafkaTopic, from its deletion until its finalizer was removed."""


class Due:
    """Determines which resources to check: new and changed ones, and each again after a period."""

    def __init__(self, period_s: float = RECONCILE_S) -> None:
        self._period_s = period_s
        self._seen: dict[str, tuple[str, float]] = {}
        """By uid: the state of the resource, and when to check it again."""

    def __call__(self, item: dict[str, Any]) -> bool:
        meta, now = item["metadata"], time.monotonic()
        state = json.dumps([meta["generation"], meta.get("annotations"), meta.get("deletionTimestamp")])
        before, until = self._seen.get(meta["uid"], ("", 0.0))
        if before == state and now < until:
            return False
        self._seen[meta["uid"]] = (state, now + self._period_s)
        return True

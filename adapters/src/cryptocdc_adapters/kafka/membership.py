"""Determines from librdkafka's statistics whether a client is a member of its consumer group.

A responding broker is not enough: a group whose coordinator is missing never forms, and its clients wait forever for an
assignment, without any error. A member without partitions, when there are more members than partitions, is still a
member.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

EVERY_MS = 2_000
PATIENCE_S = 10.0
"""A rebalance takes seconds; a client that is outside for longer than this can't join."""


class _Group(msgspec.Struct):
    """The fields read of the statistics: https://github.com/confluentinc/librdkafka/blob/master/STATISTICS.md."""

    state: str = "unknown"
    join_state: str = "unknown"


class _Statistics(msgspec.Struct):
    cgrp: _Group | None = None


class Membership:
    """Add `settings` to the consumer's configuration; the client reports while it is polled. Read from any thread."""

    def __init__(self, group: str, now: Callable[[], float] = time.monotonic) -> None:
        self._group = group
        self._now = now
        self._outside_since: float | None = now()
        self._state = "not polled yet"
        self._decoder = msgspec.json.Decoder(_Statistics)

    @property
    def settings(self) -> dict[str, object]:
        """The settings with which librdkafka reports statistics."""
        return {"statistics.interval.ms": EVERY_MS, "stats_cb": self.take}

    def take(self, statistics: str) -> None:
        """Record the client's statistics, a JSON text."""
        found = self._decoder.decode(statistics).cgrp or _Group()
        self._state = f"coordinator {found.state}, member {found.join_state}"
        if (found.state, found.join_state) == ("up", "steady"):
            self._outside_since = None
        elif self._outside_since is None:
            self._outside_since = self._now()

    @property
    def member(self) -> bool:
        """Return whether the client is in the group, with or without partitions."""
        return self._outside_since is None

    def obstacle(self) -> str | None:
        """Return why the client gets no partitions, None while it is a member or may soon be."""
        since = self._outside_since
        if since is None or self._now() - since < PATIENCE_S:
            return None
        return f"not a member of group {self._group} for {self._now() - since:.0f} s: {self._state}"

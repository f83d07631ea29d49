"""The outage that a take-over or restart causes in a stream that can't be filled later. Pure."""

from __future__ import annotations

from collections.abc import Mapping

_QUIET_MS = 5000
"""A normal time between two rows of several symbols over WebSocket."""


class Outage:
    """One stream's outage: from the newest stored row of the symbols taken over to the first captured row of any of
    them."""

    def __init__(self, pace_s: int) -> None:
        """`pace_s`: seconds that may lie between two rows of a symbol."""
        self._usual_ms = _QUIET_MS + 2000 * pace_s
        self._open: tuple[int, frozenset[str]] = 0, frozenset()
        self._counted = 0
        """Up to when lost time has been counted: symbols arrive in several batches, but time is counted once."""

    def begin(self, taken_over: Mapping[str, int | None]) -> None:
        """Add symbols whose capture starts now, with the time in ms of the newest stored row of each."""
        newest = [at_ms for at_ms in taken_over.values() if at_ms is not None]
        if newest:
            self._open = max(newest), frozenset(taken_over)

    def end(self, symbol: str, event_ms: int) -> float:
        """Return the seconds lost up to a row of `symbol`; 0.0 unless it is the first one after a take-over."""
        since, symbols = self._open
        if symbol not in symbols:
            return 0.0
        self._open = 0, frozenset()
        lost_ms = event_ms - max(since, self._counted)
        self._counted = event_ms
        return lost_ms / 1000 if lost_ms > self._usual_ms else 0.0

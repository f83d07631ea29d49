"""The recent windows of one partition's symbols, which a window is compared with. Pure: no clock, no I/O.

A window is compared with all of its run and of the run before (`anomalies.run_start`), so these must be in memory. What
is not, such as after a restart or for a late window, is `wanted` from Cassandra. A window counts once a later one is
known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from cryptocdc_analyzer.anomalies import Facts, run_start
from cryptocdc_core.catalogue.computed import RUN_WINDOWS
from cryptocdc_core.versions import FUTURE_TOLERANCE_MS

Of = tuple[str, str]
"""Symbol and interval."""


class Past(NamedTuple):
    """The windows of a symbol and interval that open in [start_ms, end_ms)."""

    symbol: str
    interval: str
    start_ms: int
    end_ms: int


class Run(NamedTuple):
    """Windows to compute rows of, with everything that they are compared with."""

    symbol: str
    interval: str
    length_ms: int
    windows: list[tuple[int, Facts]]
    """All of their run and of the run before, by open time."""
    wanted: set[int]


@dataclass
class _Track:
    windows: dict[int, Facts] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)
    """Windows whose own row and whose followers' rows are to be computed."""
    unread: set[int] = field(default_factory=set)
    """Windows of which only a part is in memory."""
    newest: int = -1
    complete_from: int | None = None
    """Since when all windows are in memory."""
    loaded: bool = False


class History:
    def __init__(self, lengths: Mapping[str, int], since_ms: int) -> None:
        """`lengths` in milliseconds; `since_ms` is when reading of the partition began."""
        self._lengths = lengths
        self._known_from = since_ms + FUTURE_TOLERANCE_MS
        self._tracks: dict[Of, _Track] = {}
        self._runs: list[Run] = []

    def put(self, symbol: str, interval: str, open_ms: int, facts: Facts, *, unread: bool = False) -> None:
        """Add or correct a window, unless a fuller one is known. `unread`: a part of it must be read from Cassandra."""
        track = self._tracks.setdefault((symbol, interval), _Track())
        known = track.windows.get(open_ms)
        if unread:
            track.unread.add(open_ms)
        elif known is not None and known.samples > facts.samples:
            return
        if known is None or known.samples <= facts.samples:
            track.windows[open_ms] = facts
        if open_ms < track.newest:
            track.changed.add(open_ms)
        elif open_ms > track.newest:
            if track.newest in track.windows:
                track.changed.add(track.newest)
            track.newest = open_ms

    def wanted(self) -> list[Past]:
        """Return the windows that must be read before all rows can be computed."""
        found = []
        for (symbol, interval), track in self._tracks.items():
            length = self._lengths[interval]
            needed = {*track.changed, *track.unread, *([] if track.loaded else [track.newest])}
            starts = {
                run_start(at, length) for at in needed if at in track.unread or self._is_incomplete(track, at, length)
            }
            found += [Past(symbol, interval, *_reach(start, length)) for start in sorted(starts)]
        return found

    def unpreceded(self, past: Past, stored: Iterable[int]) -> bool:
        """Return whether no window is known before the first that this program has, given the open times of the stored
        windows of the first range that is loaded."""
        track = self._tracks[past.symbol, past.interval]
        return not track.loaded and min(stored, default=past.end_ms) >= min(track.windows)

    def load(self, past: Past, stored: Mapping[int, Facts]) -> None:
        """Add the stored windows of a `wanted` range; the fuller of two versions of a window counts."""
        track, length = self._tracks[past.symbol, past.interval], self._lengths[past.interval]
        windows = {at: facts for at, facts in track.windows.items() if past.start_ms <= at < past.end_ms}
        for at, facts in stored.items():
            if at not in windows or windows[at].samples < facts.samples:
                windows[at] = facts
        if not track.loaded:
            # Its row may be missing: whoever read its last trade may have been killed before the next window began.
            first = min(track.windows)
            track.changed.update(sorted(at for at in windows if at < first)[-1:])
            track.loaded = True
        track.unread = {at for at in track.unread if not past.start_ms <= at < past.end_ms}
        reaches = past.end_ms >= self._known_from or (
            track.complete_from is not None and past.end_ms >= track.complete_from
        )
        track.windows |= windows
        # A stored window after the newest is the newest: it is over once a later one is known.
        newest = max(windows, default=-1)
        if newest > track.newest:
            track.changed.add(track.newest)
            track.newest = newest
        if reaches:
            track.complete_from = min(past.start_ms, track.complete_from or past.start_ms)
            return
        # Of other runs not everything is here that their rows, or those of their followers, are made of.
        changed = {at for at in track.changed if _reach(run_start(at, length), length)[0] == past.start_ms}
        self._compare(past.symbol, past.interval, windows, changed, track.newest)
        track.changed -= changed
        self._prune(track, length)

    def take(self) -> Iterator[Run]:
        """Yield what is to be computed and can be, and forget the windows that are no longer needed."""
        for (symbol, interval), track in self._tracks.items():
            length = self._lengths[interval]
            ready = {
                at for at in track.changed if at not in track.unread and not self._is_incomplete(track, at, length)
            }
            if ready:
                self._compare(symbol, interval, track.windows, ready, track.newest)
                track.changed -= ready
                self._prune(track, length)
        yield from self._runs
        self._runs.clear()

    def _is_incomplete(self, track: _Track, at: int, length: int) -> bool:
        start = _reach(run_start(at, length), length)[0]
        return track.complete_from is None or start < track.complete_from

    def _compare(
        self, symbol: str, interval: str, windows: Mapping[int, Facts], changed: set[int], newest: int
    ) -> None:
        """Find the rows that the changed windows alter: their own and those of all that are compared with them."""
        length, reach = self._lengths[interval], RUN_WINDOWS * self._lengths[interval]
        earliest: dict[int, int] = {}
        for at in changed:
            start = run_start(at, length)
            earliest[start] = min(earliest.get(start, at), at)
        for start in sorted({*earliest, *(start + reach for start in earliest)}):
            since = start if start - reach in earliest else earliest[start]
            wanted = {at for at in windows if since <= at < min(start + reach, newest)}
            if wanted:
                run = sorted((at, facts) for at, facts in windows.items() if start - reach <= at <= max(wanted))
                self._runs.append(Run(symbol, interval, length, run, wanted))

    def _prune(self, track: _Track, length: int) -> None:
        oldest = _reach(run_start(track.newest, length), length)[0]
        track.windows = {
            at: facts
            for at, facts in track.windows.items()
            if at >= oldest or at in track.changed or at in track.unread
        }
        if track.complete_from is not None:
            track.complete_from = max(track.complete_from, oldest)


def _reach(start_ms: int, length_ms: int) -> tuple[int, int]:
    """Return the range of the windows that the rows of a run are made of, and of those that are compared with it."""
    return start_ms - RUN_WINDOWS * length_ms, start_ms + 2 * RUN_WINDOWS * length_ms

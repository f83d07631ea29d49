"""The recent windows of one partition's symbols, which a window is compared with. Pure: no clock, no I/O.

A row depends on the windows of its run and of one or more runs before (`Reach`), so these must be in memory. What is
not, such as after a restart or for a late window, is `wanted` from Cassandra. A window counts once a later one is
known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from cryptocdc_analyzer.windows.series import known_from

Of = tuple[str, str]
"""Symbol and interval."""


class Facts(NamedTuple):
    """What models are given of one window. `samples` grows with every trade or order book that is added to it."""

    samples: int
    values: tuple[tuple[str, Decimal | None], ...]
    """By name: the exact value, rounded to 16 digits if it is a quotient; None if the window has none."""
    event_ms: int
    received_ms: int


class Reach(NamedTuple):
    """How far back a row depends on windows: a run of them begins at each multiple of `windows` lengths since 1970, and
    a row depends on its own run and on `before` others."""

    windows: int
    before: int
    newest: bool = False
    """Whether the newest window has a row too, of the windows before it."""

    def start(self, open_ms: int, length_ms: int) -> int:
        """Return the first millisecond of the run that contains a window."""
        return open_ms - open_ms % (self.windows * length_ms)

    def around(self, start_ms: int, length_ms: int) -> tuple[int, int]:
        """Return the range of the windows that the rows of a run are made of, and of those that depend on it."""
        run_ms = self.windows * length_ms
        return start_ms - self.before * run_ms, start_ms + (self.before + 1) * run_ms


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
    """All of their run and of the runs before that they depend on, by open time."""
    wanted: set[int]
    newest: int
    """The newest window that is known: it is not over."""


@dataclass
class _Track:
    known_from: int
    """Since when all windows that begin are put."""
    windows: dict[int, Facts] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)
    """Windows whose own row and whose followers' rows are to be computed."""
    unread: set[int] = field(default_factory=set)
    """Windows of which only a part is in memory."""
    newest: int = -1
    complete_from: int | None = None
    """Since when all windows are in memory."""
    loaded: bool = False
    begun: set[int] = field(default_factory=set)
    """Windows that were read before anything was loaded, so that the row of the one before may be missing."""


class History:
    def __init__(self, lengths: Mapping[str, int], since_ms: int, reach: Reach) -> None:
        """`lengths` in milliseconds; `since_ms` is when reading of the partition began."""
        self._lengths = lengths
        self._reach = reach
        self._since_ms = since_ms
        self._tracks: dict[Of, _Track] = {}
        self._runs: list[Run] = []

    def put(self, symbol: str, interval: str, open_ms: int, facts: Facts, *, unread: bool = False) -> None:
        """Add or correct a window, unless a fuller one is known. `unread`: a part of it must be read from Cassandra."""
        of = symbol, interval
        if of not in self._tracks:
            self._tracks[of] = _Track(known_from(self._since_ms, max(open_ms, facts.received_ms)))
        track = self._tracks[of]
        if not track.loaded:
            track.begun.add(open_ms)
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
                self._reach.start(at, length)
                for at in needed
                if at in track.unread or self._is_incomplete(track, at, length)
            }
            found += [Past(symbol, interval, *self._reach.around(start, length)) for start in sorted(starts)]
        return found

    def unpreceded(self, past: Past, stored: Iterable[int]) -> bool:
        """Return whether no window is known before the first that this program read in a range that is to be loaded,
        given the open times of its stored windows."""
        begun = self._begun(self._tracks[past.symbol, past.interval], past)
        return bool(begun) and min(stored, default=past.end_ms) >= min(begun)

    def load(self, past: Past, stored: Mapping[int, Facts]) -> None:
        """Add the stored windows of a `wanted` range; the fuller of two versions of a window counts."""
        track, length = self._tracks[past.symbol, past.interval], self._lengths[past.interval]
        windows = {at: facts for at, facts in track.windows.items() if past.start_ms <= at < past.end_ms}
        for at, facts in stored.items():
            if at not in windows or windows[at].samples < facts.samples:
                windows[at] = facts
        # The row before may be missing: whoever read its last trade may have been killed before the next window began.
        begun = self._begun(track, past)
        track.changed.update(before for before, at in pairwise(sorted(windows)) if at in begun)
        track.begun -= begun
        track.loaded = True
        track.unread = {at for at in track.unread if not past.start_ms <= at < past.end_ms}
        reaches = past.end_ms >= track.known_from or (
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
        changed = {at for at in track.changed if self._oldest(at, length) == past.start_ms}
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

    def _begun(self, track: _Track, past: Past) -> set[int]:
        return {at for at in track.begun if past.start_ms <= at < past.end_ms}

    def _is_incomplete(self, track: _Track, at: int, length: int) -> bool:
        return track.complete_from is None or self._oldest(at, length) < track.complete_from

    def _oldest(self, at: int, length: int) -> int:
        return self._reach.around(self._reach.start(at, length), length)[0]

    def _compare(
        self, symbol: str, interval: str, windows: Mapping[int, Facts], changed: set[int], newest: int
    ) -> None:
        """Find the rows that the changed windows alter: their own and those of all that depend on them."""
        length, before = self._lengths[interval], self._reach.before
        run_ms = self._reach.windows * length
        earliest: dict[int, int] = {}
        for at in changed:
            start = self._reach.start(at, length)
            earliest[start] = min(earliest.get(start, at), at)
        for start in sorted({start + step * run_ms for start in earliest for step in range(before + 1)}):
            altered = any(start - step * run_ms in earliest for step in range(1, before + 1))
            since = start if altered else earliest[start]
            end = min(start + run_ms, newest + self._reach.newest)
            wanted = {at for at in windows if since <= at < end}
            if wanted:
                oldest = start - before * run_ms
                run = sorted((at, facts) for at, facts in windows.items() if oldest <= at <= max(wanted))
                self._runs.append(Run(symbol, interval, length, run, wanted, newest))

    def _prune(self, track: _Track, length: int) -> None:
        oldest = self._oldest(track.newest, length)
        track.windows = {
            at: facts
            for at, facts in track.windows.items()
            if at >= oldest or at in track.changed or at in track.unread
        }
        if track.complete_from is not None:
            track.complete_from = max(track.complete_from, oldest)

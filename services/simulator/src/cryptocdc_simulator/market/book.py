"""The order book of a symbol at any moment, and the difference between two moments.

The book lies on a grid of price levels. At each step of 100 ms a level's quantity is a function of the level and of how
often it was rewritten; two of 64 residues of the grid are rewritten in every step. So both a snapshot and a diff are
computed from the steps alone, and applying the diffs gives exactly the later snapshot.
"""

from __future__ import annotations

from functools import lru_cache
from random import Random
from typing import NamedTuple

from cryptocdc_simulator.market import randomness
from cryptocdc_simulator.market.prices import SLOT_MS
from cryptocdc_simulator.market.trades import Tape

STEP_MS = 100
DEPTH = 120  # levels a side
_IDS_A_STEP = 8
_RESIDUES = 64
_PERIOD = 32  # steps after which a level is rewritten

Level = tuple[int, int]  # price in ticks, quantity in steps; quantity 0 deletes


class Diff(NamedTuple):
    first_update: int
    last_update: int
    bids: list[Level]
    asks: list[Level]


def step_at(time: int) -> int:
    """The step whose book is the one at `time` (ms)."""
    return time // STEP_MS


class Book:
    """The book of one tape. Update ids: step k has `_IDS_A_STEP` of them, consecutive over steps."""

    def __init__(self, seed: int, tape: Tape) -> None:
        instrument = tape.instrument
        self._tape = tape
        self._grid = max(1, instrument.base_ticks // 20_000)
        self._span = max(4, round(instrument.lot * 10**instrument.quantity_decimals * 20))
        self._first_step = tape.listed_ms // STEP_MS
        self._restarted: int | None = None  # the last step before update ids began again
        self._jitter = randomness.key(seed, instrument.symbol, "level")
        self._sides = (
            randomness.key(seed, instrument.symbol, "bid"),
            randomness.key(seed, instrument.symbol, "ask"),
        )
        self._phase = list(range(_PERIOD)) * (_RESIDUES // _PERIOD)
        Random(f"{seed}/{instrument.symbol}/book").shuffle(self._phase)
        self._rewritten: list[list[int]] = [[] for _ in range(_PERIOD)]  # residues, by step modulo the period
        for residue, phase in enumerate(self._phase):
            self._rewritten[-phase % _PERIOD].append(residue)
        self._version = lru_cache(maxsize=1_024)(self._draw_version)
        self.middle = lru_cache(maxsize=64)(self._middle)

    def update_id(self, step: int) -> int:
        """`lastUpdateId` of the book at `step`, and `u` of the diff that ends there."""
        if self._restarted is not None and step > self._restarted:
            return (step - self._restarted) * _IDS_A_STEP
        return (step - self._first_step + 1) * _IDS_A_STEP

    def restart_ids(self, step: int) -> None:
        """Update ids begin again at 1 with the diff that comes after `step`."""
        self._restarted = step

    def snapshot(self, step: int, limit: int) -> tuple[list[Level], list[Level]]:
        """(bids, asks), best first."""
        limit = min(limit, DEPTH)
        middle = self.middle(step)
        bids = [self._level(0, index, step) for index in range(middle - 1, max(middle - limit, 1) - 1, -1)]
        asks = [self._level(1, index, step) for index in range(middle + 1, middle + limit + 1)]
        return bids, asks

    def diff(self, before: int, after: int) -> Diff:
        """What turns the book of step `before` into that of step `after`."""
        steps = range(max(before, after - _PERIOD) + 1, after + 1)
        rewritten = [residue for step in steps for residue in self._rewritten[step % _PERIOD]]
        old, new = self.middle(before), self.middle(after)
        bids = self._changes(0, range(max(old - DEPTH, 1), old), range(max(new - DEPTH, 1), new), rewritten, after)
        asks = self._changes(1, range(old + 1, old + DEPTH + 1), range(new + 1, new + DEPTH + 1), rewritten, after)
        bids.reverse()
        restarts = self._restarted is not None and before <= self._restarted < after
        return Diff(1 if restarts else self.update_id(before) + 1, self.update_id(after), bids, asks)

    def _changes(self, side: int, old: range, new: range, rewritten: list[int], step: int) -> list[Level]:
        """Levels, by rising price, that have come into or gone out of the window, or were rewritten within it."""
        both = range(max(old.start, new.start), min(old.stop, new.stop))
        if both:
            changed = [
                i for r in rewritten for i in range(both.start + (r - both.start) % _RESIDUES, both.stop, _RESIDUES)
            ]
            for window in (old, new):
                changed += [*range(window.start, both.start), *range(both.stop, window.stop)]
        else:
            changed = [*old, *new]
        return [self._level(side, i, step) if i in new else (self._price(i), 0) for i in sorted(changed)]

    def _price(self, index: int) -> int:
        return index * self._grid + randomness.draw(self._jitter, index) % self._grid

    def _level(self, side: int, index: int, step: int) -> Level:
        return self._version(side, index, (step + self._phase[index % _RESIDUES]) // _PERIOD)

    def _draw_version(self, side: int, index: int, version: int) -> Level:
        return self._price(index), 1 + randomness.draw(self._sides[side] ^ index, version) % self._span

    def _middle(self, step: int) -> int:
        """The grid cell of the last trade before the step; bids lie below it, asks above."""
        last = self._tape.first_id_at(step * STEP_MS) - 1
        if last >= 0:
            return self._tape.aggregate(last).price // self._grid
        return self._tape.path.level(step * STEP_MS // SLOT_MS) // self._grid

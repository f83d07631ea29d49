"""The order book of a symbol at any time, and the difference between two times.

The book is on a grid of price levels. At each step of 100 ms a level's quantity is a function of the level and of the
step in which it was last rewritten; two of 64 residues of the grid are rewritten in every step. So both a snapshot and
a diff are computed from the steps alone, and applying the diffs gives exactly the later snapshot.

Quantities are drawn for each side and for blocks of time of several lengths. They grow with the distance from the last
price, and shrink in active markets, when the spread also widens. A few levels have far more than others.
"""

from __future__ import annotations

from functools import lru_cache
from random import Random
from typing import NamedTuple

from cryptocdc_simulator.market import randomness
from cryptocdc_simulator.market.trades import Tape

STEP_MS = 100
DEPTH = 120  # levels per side
_IDS_A_STEP = 8
_RESIDUES = 64
_PERIOD = 32  # steps after which a level is rewritten
_MINUTE_STEPS = 60_000 // STEP_MS
_DEEP_BLOCKS = (50, 450, 3_000)  # steps in which a side is deep or thin
_FAR = 40  # distance from the last price, in levels, at which quantities stop growing
_WALLS, _WALL = 29, 8  # one level in this many has this many times as much
_SPREAD_STEPS = 10  # steps after which the spread changes
_WIDEST = 6  # empty levels on a side

Level = tuple[int, int]  # price in ticks, quantity in steps; quantity 0 deletes


class Diff(NamedTuple):
    first_update: int
    last_update: int
    bids: list[Level]
    asks: list[Level]


def step_at(time: int) -> int:
    """Return the step of the book at `time` (ms)."""
    return time // STEP_MS


class Book:
    """The book of one tape. Each step has `_IDS_A_STEP` consecutive update ids."""

    def __init__(self, seed: int, tape: Tape) -> None:
        instrument = tape.instrument
        self._tape = tape
        self._grid = max(1, instrument.base_ticks // 40_000)
        self._span = max(4, round(instrument.lot * 10**instrument.quantity_decimals * 12))
        self._first_step = tape.listed_ms // STEP_MS
        self._renumbered: list[tuple[int, int]] = []  # a step, and the update id after which the next step continues
        self._crossings: list[tuple[Level, range]] = []  # bids above all asks, and the steps at which they are there
        self._jitter = randomness.key(seed, instrument.symbol, "level")
        self._sides = (
            randomness.key(seed, instrument.symbol, "bid"),
            randomness.key(seed, instrument.symbol, "ask"),
        )
        self._deep = [[randomness.key(side, "deep", steps) for steps in _DEEP_BLOCKS] for side in self._sides]
        self._walls = randomness.key(seed, instrument.symbol, "wall")
        self._gaps = randomness.key(seed, instrument.symbol, "spread")
        self._phase = list(range(_PERIOD)) * (_RESIDUES // _PERIOD)
        Random(f"{seed}/{instrument.symbol}/book").shuffle(self._phase)
        self._rewritten: list[list[int]] = [[] for _ in range(_PERIOD)]  # residues, by step modulo the period
        for residue, phase in enumerate(self._phase):
            self._rewritten[-phase % _PERIOD].append(residue)
        self._version = lru_cache(maxsize=1_024)(self._draw_version)
        self._place = lru_cache(maxsize=1_024)(self._place_of)
        self._depth = lru_cache(maxsize=128)(self._depth_at)
        self._best = lru_cache(maxsize=128)(self._best_at)
        self.middle = lru_cache(maxsize=128)(self._middle)

    def update_id(self, step: int) -> int:
        """Return `lastUpdateId` of the book at `step`, `u` of the diff that ends there; 0 before it is listed."""
        for renumbered, last in reversed(self._renumbered):
            if step > renumbered:
                return last + (step - renumbered) * _IDS_A_STEP
        return max(step - self._first_step + 1, 0) * _IDS_A_STEP

    def restart_ids(self, step: int) -> None:
        """Restart update ids at 1 with the diff after `step`."""
        self._renumbered.append((step, 0))

    def jump_ids(self, step: int, ids: int) -> None:
        """Skip `ids` update ids before the diff after `step`."""
        self._renumbered.append((step, self.update_id(step) + ids))

    def cross(self, step: int, steps: int) -> Level:
        """Return a bid above all asks, which is in the book from the step after `step`, for `steps` steps."""
        if any(step + 1 in crossed for _, crossed in self._crossings):
            raise ValueError("the book is crossed already")
        _, ask = self._best(step)
        bid = (self._price(ask + DEPTH), self._span)
        self._crossings.append((bid, range(step + 1, step + 1 + steps)))
        return bid

    def snapshot(self, step: int, limit: int) -> tuple[list[Level], list[Level]]:
        """Return (bids, asks), best first: `limit` levels, or all of them if it is at least DEPTH."""
        crossing = [bid for bid, crossed in self._crossings if step in crossed]
        whole, limit = limit >= DEPTH, min(limit, DEPTH)
        bid, ask = self._best(step)
        bids = [self._level(0, index, step) for index in range(bid, max(bid + 1 - limit, 1) - 1, -1)]
        asks = [self._level(1, index, step) for index in range(ask, ask + limit)]
        return [*crossing, *bids] if whole else [*crossing, *bids][:limit], asks

    def diff(self, before: int, after: int) -> Diff:
        """Return the changes from the book of step `before` to that of step `after`."""
        steps = range(max(before, after - _PERIOD) + 1, after + 1)
        rewritten = [residue for step in steps for residue in self._rewritten[step % _PERIOD]]
        (old_bid, old_ask), (bid, ask) = self._best(before), self._best(after)
        bids = self._changes(
            0,
            range(max(old_bid + 1 - DEPTH, 1), old_bid + 1),
            range(max(bid + 1 - DEPTH, 1), bid + 1),
            rewritten,
            after,
        )
        asks = self._changes(1, range(old_ask, old_ask + DEPTH), range(ask, ask + DEPTH), rewritten, after)
        bids.reverse()
        crossing = [
            (bid[0], bid[1] if after in crossed else 0)
            for bid, crossed in self._crossings
            if (before in crossed) != (after in crossed)
        ]
        skipped = [last for renumbered, last in self._renumbered if before <= renumbered < after]
        first = (skipped[-1] if skipped else self.update_id(before)) + 1
        return Diff(first, self.update_id(after), [*crossing, *bids], asks)

    def _changes(self, side: int, old: range, new: range, rewritten: list[int], step: int) -> list[Level]:
        """Return the levels, by increasing price, that have entered or left the window, or were rewritten within it."""
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
        return self._place(index)[0]

    def _place_of(self, index: int) -> tuple[int, int]:
        """Return the price of a level, and the multiple of its quantity compared with others."""
        wall = _WALL if randomness.draw(self._walls, index) % _WALLS == 0 else 1
        return index * self._grid + randomness.draw(self._jitter, index) % self._grid, wall

    def _level(self, side: int, index: int, step: int) -> Level:
        return self._version(side, index, (step + self._phase[index % _RESIDUES]) // _PERIOD)

    def _draw_version(self, side: int, index: int, version: int) -> Level:
        step = version * _PERIOD - self._phase[index % _RESIDUES]
        share = randomness.draw(self._sides[side] ^ index, version) / 2**64
        lots = self._span * self._depth(side, step) * (0.05 + share * share)
        lots *= 1.0 + min(abs(index - self.middle(step)), _FAR) / 10.0
        price, wall = self._place(index)
        return price, 1 + int(lots * wall)

    def _depth_at(self, side: int, step: int) -> float:
        """Return the depth of a side: around 1, from about 0.1 to 4."""
        deep = 1.0
        for key, steps in zip(self._deep[side], _DEEP_BLOCKS, strict=True):
            deep *= 0.5 + randomness.draw(key, step // steps) / 2**64
        return deep / (0.5 + 0.5 * self._tape.activity.liveliness(step // _MINUTE_STEPS))

    def _best_at(self, step: int) -> tuple[int, int]:
        """Return the levels of the best bid and the best ask, which are wider apart in active markets."""
        number = randomness.draw(self._gaps, step // _SPREAD_STEPS)
        lively = self._tape.activity.liveliness(step // _MINUTE_STEPS)
        below, above = (
            min(int(lively * share * share * share * 4.0), _WIDEST)
            for share in ((number & 0xFFFF) / 2**16, (number >> 16 & 0xFFFF) / 2**16)
        )
        middle = self.middle(step)
        return max(middle - 1 - below, 0), middle + 1 + above

    def _middle(self, step: int) -> int:
        """Return the grid cell of the last trade before the step; bids are below it, asks above."""
        return self._tape.price_before(step * STEP_MS) // self._grid

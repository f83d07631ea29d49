"""The trades within a slot: their times, sizes and sides, and how their prices move.

A `Pattern` is a sequence of trades drawn once for a symbol: bursts, orders executed in parts, sizes with a heavy tail.
A `Shape` is a part of it, fitted into one slot, with running sums over its trades. Prices are linear in what a slot
adds to a shape (level, direction, slope), so the exact sums of any of a slot's trades follow from the shape's sums.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from itertools import accumulate
from math import sqrt
from operator import mul, sub
from random import Random
from typing import NamedTuple, TypeVar

from cryptocdc_simulator.market.activity import SLOT_MS
from cryptocdc_simulator.market.symbols import Instrument

_Value = TypeVar("_Value")

RAMP = 24  # parts of a slot within which the slope adds the same to every price
_LENGTH = 1_024  # approximate number of trades drawn for a pattern
_STRIDE = 7  # parcels by which the shape of one more parcel begins later
SHAPES = 2  # of the same number of trades
_SAME_SIDE = 0.75  # probability that a trade has the side of the previous one: large orders are executed in parts
_SAME_BURST = 0.8  # probability that a trade belongs to the burst of the previous one
_SIZE_SPREAD = 1.0
_LARGE, _TAIL = 0.02, 1.5  # one size in fifty is drawn from a Pareto distribution of this exponent
_LARGEST = 50.0
_NOISE, _IMPACT, _MOST = 0.8, 0.6, 7.0  # of a trade's effect on the price: noise, and its side by the root of its size


class Sums(NamedTuple):
    """Sums of trades: quantity, quantity * offset and quantity * ramp. Prices are offset + slope * ramp."""

    quantity: int
    offset: int
    ramp: int


class Shape:
    """Offsets in ticks from the slot's level, quantities in steps, `bought` where the buyer took.

    `rises`: buyers took more than sellers, so a slot with a falling price uses the shape upside down. `highest` and
    `lowest`: the (offset, ramp) of all trades that can have the highest or the lowest price for any slope. `whole` and
    `whole_bought`: the sums over all trades. What is needed only to look into the slot is computed on demand.
    """

    def __init__(self, pattern: Pattern, start: int, count: int, raws: int, scale: float) -> None:
        self.count, self.raws = count, raws
        self._pattern, self._start = pattern, start
        self.quantities = _cyclic(pattern.quantities, start, count)
        self.bought = _cyclic(pattern.bought, start, count)
        self.offsets = self._moves(scale)
        self.reach = max(map(abs, self.offsets), default=0)
        ends = [-(-count * place // RAMP) for place in range(RAMP + 1)]
        parts = [(place, slice(*ends[place : place + 2])) for place in range(RAMP) if ends[place] < ends[place + 1]]
        self.highest = _corners([(max(self.offsets[part]), place) for place, part in parts])
        self.lowest = [(-low, place) for low, place in _corners([(-min(self.offsets[part]), p) for p, part in parts])]
        taken = list(map(mul, self.quantities, self.bought))
        self.whole, self.whole_bought = (
            Sums(sum(of), sum(map(mul, of, self.offsets)), sum(place * sum(of[part]) for place, part in parts))
            for of in (self.quantities, taken)
        )
        self.rises = 2 * self.whole_bought.quantity > self.whole.quantity

    def _moves(self, scale: float) -> list[int]:
        """Return the walk's deviation from the straight line to its end, to which a slot's slope leads.

        A buyer pays half a tick more and a seller gets half a tick less.
        """
        if not self.count:
            return []
        walk = _continued(self._pattern.walk, self._start, self.count)
        drift = scale * (walk[-1] - walk[0]) / self.count
        level = 0.5 + scale * walk[0]
        return [
            round(scale * at + buy - level - drift * i)
            for i, at, buy in zip(range(self.count), walk, self.bought, strict=False)
        ]

    @cached_property
    def times(self) -> list[int]:
        """Times in ms from the slot's start."""
        clock = _continued(self._pattern.clock, self._start, self.count + 1)
        scale = SLOT_MS / (clock[-1] - clock[0])
        return [int((at - clock[0]) * scale) for at in clock[1:-1]]

    @cached_property
    def ramps(self) -> list[int]:
        return [RAMP * i // self.count for i in range(self.count)]

    @cached_property
    def raw_before(self) -> list[int]:
        """Numbers of the slot's raw trades before each aggregate, and before the next slot."""
        return [0, *accumulate(_cyclic(self._pattern.parts, self._start, self.count))]

    @cached_property
    def sold(self) -> list[bool]:
        return [not buy for buy in self.bought]

    @cached_property
    def _running(self) -> tuple[list[Sums], list[Sums]]:
        taken = list(map(mul, self.quantities, self.bought))
        all_trades, bought = (
            [
                Sums(0, 0, 0),
                *map(
                    Sums, accumulate(of), accumulate(map(mul, of, self.offsets)), accumulate(map(mul, of, self.ramps))
                ),
            ]
            for of in (self.quantities, taken)
        )
        return all_trades, bought

    def sums(self, start: int, stop: int) -> tuple[Sums, Sums]:
        """Return the sums of the start-th to the (stop-1)-th trade: of all, and of those in which the buyer took."""
        if start == 0 and stop == self.count:
            return self.whole, self.whole_bought
        one, other = (Sums(*map(sub, running[stop], running[start])) for running in self._running)
        return one, other

    def range(self, start: int, stop: int, slope: int) -> tuple[int, int]:
        """Return the lowest and the highest offset + slope * ramp of these trades."""
        if start == 0 and stop == self.count:
            return min([o + slope * r for o, r in self.lowest]), max([o + slope * r for o, r in self.highest])
        prices = [o + slope * r for o, r in zip(self.offsets[start:stop], self.ramps[start:stop], strict=True)]
        return min(prices), max(prices)


class Pattern:
    """The trades from which a symbol's shapes are made: whole parcels of `aggregates` with `raws` raw trades."""

    def __init__(
        self, random: Random, instrument: Instrument, aggregates: int, raws: int, mean: float, clustering: bool
    ) -> None:
        """`mean`: parcels in a slot, on average."""
        self._aggregates, self._raws, self._mean = aggregates, raws, mean
        self._parcels = -(-_LENGTH // aggregates)
        count = self._parcels * aggregates
        self.parts = [part for _ in range(self._parcels) for part in _parts(random, aggregates, raws)]
        lot = instrument.lot * 10**instrument.quantity_decimals
        # At least two steps per raw trade, so that an aggregate can always be split into its raw trades.
        sizes = [_size(random) for _ in self.parts]
        self.quantities = [
            max(2 * part, round(lot * part * size)) for part, size in zip(self.parts, sizes, strict=True)
        ]
        self.bought = _repeated(random, count, _SAME_SIDE if clustering else 0.5)
        # The volatility of a slot, spread over its trades.
        jump = instrument.base_ticks * instrument.volatility * sqrt(SLOT_MS / 60_000 / (mean * aggregates))
        # Buyers raise the price and sellers lower it, in proportion to the root of their size.
        steps = (
            _NOISE * random.gauss(0.0, 1.0) + _IMPACT * (1 if buy else -1) * min(sqrt(size), _MOST)
            for buy, size in zip(self.bought, sizes, strict=True)
        )
        self.walk = [0.0, *accumulate(jump * step for step in steps)]
        self.clock = [0.0, *accumulate(_gaps(random, count, clustering))]
        self.shape = lru_cache(maxsize=512)(self._shape)

    def _shape(self, parcels: int, number: int) -> Shape:
        """Return one of `SHAPES` shapes with this many parcels.

        Where more trades than usual share a slot they move the price more, as in `PricePath`.
        """
        start = (number * self._parcels // SHAPES + parcels * _STRIDE) % self._parcels * self._aggregates
        return Shape(self, start, parcels * self._aggregates, parcels * self._raws, sqrt(sqrt(parcels / self._mean)))


def _parts(random: Random, aggregates: int, raws: int) -> list[int]:
    """Return the number of raw trades in each aggregate of a parcel: at least one, and a few have most of the rest."""
    parts = [1] * aggregates
    many = random.choices(range(aggregates), k=max(1, aggregates // 3))
    for _ in range(raws - aggregates):
        parts[random.choice(many)] += 1
    return parts


def _size(random: Random) -> float:
    """Return the size of a trade, in lots."""
    if random.random() < _LARGE:
        return min(3.0 * random.paretovariate(_TAIL), _LARGEST)
    return random.lognormvariate(-0.5 * _SIZE_SPREAD * _SIZE_SPREAD, _SIZE_SPREAD)


def _repeated(random: Random, count: int, same: float) -> list[bool]:
    values = [random.random() < 0.5]
    while len(values) < count:
        values.append(values[-1] if random.random() < same else random.random() < 0.5)
    return values


def _gaps(random: Random, count: int, clustering: bool) -> list[float]:
    """Return times between trades: short within a burst, long between bursts."""
    same = _SAME_BURST if clustering else 0.0
    return [random.expovariate(20.0 if random.random() < same else 1.0) + 1e-9 for _ in range(count)]


def _cyclic(values: list[_Value], start: int, count: int) -> list[_Value]:
    """Return `count` values from `start` on, wrapping around at the end."""
    taken = values[start : start + count]
    while len(taken) < count:
        taken += values[: count - len(taken)]
    return taken


def _continued(sums: list[float], start: int, count: int) -> list[float]:
    """Return running sums from before the value `start` to after `count` values, wrapping around at the end."""
    taken, turns = sums[start : start + count + 1], 0
    while len(taken) <= count:
        turns += 1
        taken += [sums[-1] * turns + value for value in sums[1 : count + 2 - len(taken)]]
    return taken


def _corners(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the points (height, place), given in increasing order of place, on the upper convex hull."""
    corners: list[tuple[int, int]] = []
    for height, place in points:
        while len(corners) > 1 and (corners[-1][0] - corners[-2][0]) * (place - corners[-2][1]) <= (
            height - corners[-2][0]
        ) * (corners[-1][1] - corners[-2][1]):
            corners.pop()
        corners.append((height, place))
    return corners

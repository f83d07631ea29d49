"""Every trade of a symbol, past and future, by id and by time.

Time is cut into slots of five seconds. Each slot holds the same number of aggregate and of raw trades, so that an id
tells its slot and a time its ids without any memory: history has no end and costs nothing. How the trades lie within
a slot (times, prices around the level, quantities) is one of a few drawn `Shape`s, and a slot's sums follow from its
shape's sums, so that a day's kline is the exact sum of its trades without visiting them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import NamedTuple

from cryptocdc_simulator.market import randomness
from cryptocdc_simulator.market.prices import SLOT_MS, SLOTS_A_MINUTE, PricePath
from cryptocdc_simulator.market.symbols import Instrument

_SHAPES = 16  # four bits choose one
_AGGREGATES_PER_RAW = 0.6
_SLOT_S = SLOT_MS // 1000


class Aggregate(NamedTuple):
    """One aggregate trade: price in ticks, quantity in steps, the raw ids first..last that it holds, time in ms."""

    id: int
    price: int
    quantity: int
    first: int
    last: int
    time: int
    buyer_is_maker: bool


class Raw(NamedTuple):
    """One raw trade, part of an aggregate."""

    id: int
    price: int
    quantity: int
    time: int
    buyer_is_maker: bool


class Sums(NamedTuple):
    """Of a whole slot at level 0. A moment is a sum of offset times quantity; `taken`: where the buyer took."""

    high: int
    low: int
    volume: int
    moment: int
    volume_taken: int
    moment_taken: int


@dataclass(frozen=True)
class Shape:
    """How trades lie within a slot: times in ms from its start, prices in ticks from its level, quantities in steps.

    `raw_before[i]` raw trades of the slot come before its i-th aggregate.
    """

    times: list[int]
    offsets: list[int]
    quantities: list[int]
    raw_before: list[int]
    buyer_is_maker: list[bool]
    sums: Sums


def _shape(random: Random, instrument: Instrument, aggregates: int, raws: int) -> Shape:
    parts = [1] * aggregates
    for _ in range(raws - aggregates):
        parts[random.randrange(aggregates)] += 1
    jump = max(instrument.base_ticks * 0.0002 / aggregates**0.5, 0.25)
    offsets = [round(step) for step in accumulate(random.gauss(0.0, jump) for _ in range(aggregates))]
    lot = instrument.lot * 10**instrument.quantity_decimals
    # At least two steps a raw trade, so that an aggregate can always be cut into its raw trades.
    quantities = [max(2 * n, round(lot * n * random.lognormvariate(-0.5, 1.0))) for n in parts]
    buyer_is_maker = [random.random() < 0.5 for _ in range(aggregates)]
    taken = [(o, q) for o, q, maker in zip(offsets, quantities, buyer_is_maker, strict=True) if not maker]
    return Shape(
        times=sorted(random.randrange(SLOT_MS) for _ in range(aggregates)),
        offsets=offsets,
        quantities=quantities,
        raw_before=[0, *accumulate(parts)],
        buyer_is_maker=buyer_is_maker,
        sums=Sums(
            max(offsets),
            min(offsets),
            sum(quantities),
            sum(o * q for o, q in zip(offsets, quantities, strict=True)),
            sum(q for _, q in taken),
            sum(o * q for o, q in taken),
        ),
    )


class Tape:
    """The trades of one symbol since `listed_ms`. Ids of both kinds begin at 0 there."""

    def __init__(self, seed: int, instrument: Instrument, rate: float, listed_ms: int) -> None:
        """`rate`: a factor on the instrument's trades a second. `listed_ms` is taken up to the next slot."""
        self.instrument = instrument
        self._first_slot = -(-listed_ms // SLOT_MS)
        self.listed_ms = self._first_slot * SLOT_MS
        raw_a_second = instrument.trades_per_second * rate
        self._aggregates = max(1, round(raw_a_second * _AGGREGATES_PER_RAW * _SLOT_S))
        self._raws = max(self._aggregates, round(raw_a_second * _SLOT_S))
        random = Random(f"{seed}/{instrument.symbol}/{self._aggregates}/{self._raws}")
        self._shapes = [_shape(random, instrument, self._aggregates, self._raws) for _ in range(_SHAPES)]
        self._key = randomness.key(seed, instrument.symbol, "shape")
        self.minute = lru_cache(maxsize=64)(self._shapes_of_minute)
        self.path = PricePath(seed, instrument, floor=1 - min(shape.sums.low for shape in self._shapes))

    def _shapes_of_minute(self, minute: int) -> tuple[list[Shape], int]:
        """(the shapes of its slots, a factor on the quantities): some minutes are busier than others by volume."""
        number = randomness.draw(self._key, minute)
        shapes = [self._shapes[(number >> 4 * part) % _SHAPES] for part in range(SLOTS_A_MINUTE)]
        busy = number >> 60
        return shapes, 6 if busy == 0 else 1 + busy % 3

    def _shape(self, slot: int) -> Shape:
        minute, part = divmod(slot, SLOTS_A_MINUTE)
        return self.minute(minute)[0][part]

    def first_id_at(self, time: int) -> int:
        """The id of the first aggregate trade at or after `time` (ms)."""
        slot, within = divmod(time, SLOT_MS)
        if slot < self._first_slot:
            return 0
        return (slot - self._first_slot) * self._aggregates + bisect_left(self._shape(slot).times, within)

    def first_raw_id_in(self, slot: int) -> int:
        """The id of the first raw trade of a slot, counted from 1970."""
        return (slot - self._first_slot) * self._raws

    def first_raw_id_of(self, aggregate_id: int) -> int:
        slot, index = divmod(aggregate_id, self._aggregates)
        return slot * self._raws + self._shape(slot + self._first_slot).raw_before[index]

    def aggregate_of_raw(self, raw_id: int) -> int:
        """The id of the aggregate trade that holds raw trade `raw_id`."""
        slot, index = divmod(raw_id, self._raws)
        before = self._shape(slot + self._first_slot).raw_before
        return slot * self._aggregates + bisect_left(before, index + 1) - 1

    def aggregates(self, start: int, stop: int) -> Iterator[Aggregate]:
        """Aggregate trades of ids start..stop-1."""
        at = start
        while at < stop:
            slot, index = divmod(at, self._aggregates)
            since_1970 = slot + self._first_slot
            minute, part = divmod(since_1970, SLOTS_A_MINUTE)
            shapes, swell = self.minute(minute)
            shape, level, begin = shapes[part], self.path.level(since_1970), since_1970 * SLOT_MS
            raw = slot * self._raws
            for i in range(index, min(self._aggregates, index + stop - at)):
                yield Aggregate(
                    at,
                    level + shape.offsets[i],
                    shape.quantities[i] * swell,
                    raw + shape.raw_before[i],
                    raw + shape.raw_before[i + 1] - 1,
                    begin + shape.times[i],
                    shape.buyer_is_maker[i],
                )
                at += 1

    def aggregate(self, id: int) -> Aggregate:
        return next(self.aggregates(id, id + 1))

    def raws(self, start: int, stop: int) -> Iterator[Raw]:
        """Raw trades of ids start..stop-1. The parts of an aggregate share its price, time and side."""
        if start >= stop:
            return
        for whole in self.aggregates(self.aggregate_of_raw(start), self.aggregate_of_raw(stop - 1) + 1):
            yield from (raw for raw in parts(whole) if start <= raw.id < stop)


def parts(whole: Aggregate) -> Iterator[Raw]:
    """The raw trades of an aggregate: equal parts, the rest with the first."""
    share, rest = divmod(whole.quantity, whole.last - whole.first + 1)
    for id in range(whole.first, whole.last + 1):
        quantity = share + rest if id == whole.first else share
        yield Raw(id, whole.price, quantity, whole.time, whole.buyer_is_maker)

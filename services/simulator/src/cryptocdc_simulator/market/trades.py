"""Every trade of a symbol, past and future, by id and by time.

Time is divided into slots. `Activity` computes in closed form how many trades come before a slot, so that slots are
found by id and ids by time without stored state: history is unlimited and costs nothing. The trades within a slot are
one of a few drawn `Shape`s, shifted to the current price, and a slot's sums follow from its shape's sums, so that a
day's kline is the exact sum of its trades without visiting them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from random import Random
from typing import NamedTuple

from cryptocdc_simulator.market import randomness
from cryptocdc_simulator.market.activity import HOUR_MINUTES, SLOT_MS, SLOTS_A_MINUTE, Activity
from cryptocdc_simulator.market.bars import Bar, merged
from cryptocdc_simulator.market.prices import FALL_MS, PricePath
from cryptocdc_simulator.market.shapes import RAMP, SHAPES, Pattern, Shape
from cryptocdc_simulator.market.symbols import Instrument

_AGGREGATES_PER_RAW = 0.6
_SLOT_S = SLOT_MS / 1000
_SLOTS_AN_HOUR = HOUR_MINUTES * SLOTS_A_MINUTE
_PARCELS = 12  # maximum average number in a slot: shapes with the same number of parcels share their sums


class Aggregate(NamedTuple):
    """One aggregate trade: price in ticks, quantity in steps, its raw ids first..last, time in ms."""

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


class Slot(NamedTuple):
    """The trades of one slot. Their prices are level + side * offset + slope * ramp, their quantities `swell` times
    those of the shape; `side` is -1 if the shape is used upside down.

    `levels`: (index, level): the level from the index-th trade on; only a crash changes it within a slot.
    """

    begin: int  # ms
    first: int  # id of the first aggregate trade
    first_raw: int
    shape: Shape
    side: int
    slope: int
    swell: int
    levels: list[tuple[int, int]]

    def bar(self, start: int, stop: int) -> Bar | None:
        """Return the sum of the start-th to the (stop-1)-th trade; None if there are none."""
        if start >= stop:
            return None
        if len(self.levels) == 1:
            return self._bar(start, stop, self.levels[0][1])
        return merged(self._bar(part.start, part.stop, level) for level, part in self._parts(start, stop) if part)

    def _bar(self, start: int, stop: int, level: int) -> Bar:
        shape, side, slope = self.shape, self.side, self.slope
        lean = side * slope  # price = level + side * (offset + lean * ramp)
        bottom, top = shape.range(start, stop, lean)
        (volume, offset, ramp), (taken, taken_offset, taken_ramp) = shape.sums(start, stop)
        moment, taken_moment = side * offset + slope * ramp, side * taken_offset + slope * taken_ramp
        if side < 0:
            taken, taken_moment = volume - taken, moment - taken_moment
        last = stop - 1
        return Bar(
            level + side * shape.offsets[start] + slope * (RAMP * start // shape.count),
            level + (top if side > 0 else -bottom),
            level + (bottom if side > 0 else -top),
            level + side * shape.offsets[last] + slope * (RAMP * last // shape.count),
            self.swell * volume,
            self.swell * (level * volume + moment),
            self.swell * taken,
            self.swell * (level * taken + taken_moment),
            self.first_raw + (shape.raw_before[start] if start else 0),
            self.first_raw + (shape.raw_before[stop] if stop < shape.count else shape.raws) - 1,
        )

    def price(self, index: int) -> int:
        """Return the price of the index-th trade, in ticks."""
        level = next(level for begin, level in reversed(self.levels) if begin <= index)
        return level + self.side * self.shape.offsets[index] + self.slope * (RAMP * index // self.shape.count)

    def trades(self, start: int, stop: int) -> Iterator[Aggregate]:
        """Return the start-th to the (stop-1)-th trade."""
        shape, side, slope, swell = self.shape, self.side, self.slope, self.swell
        id, raw, begin = self.first, self.first_raw, self.begin
        makers = shape.sold if side > 0 else shape.bought
        offsets, ramps, quantities, before, times = (
            shape.offsets, shape.ramps, shape.quantities, shape.raw_before, shape.times,
        )  # fmt: skip
        for level, part in self._parts(start, stop):
            for i in part:
                yield Aggregate(
                    id + i,
                    level + side * offsets[i] + slope * ramps[i],
                    quantities[i] * swell,
                    raw + before[i],
                    raw + before[i + 1] - 1,
                    begin + times[i],
                    makers[i],
                )

    def _parts(self, start: int, stop: int) -> Iterator[tuple[int, range]]:
        """Yield each level with the range of trades in start..stop-1 that have it."""
        if len(self.levels) == 1:
            yield self.levels[0][1], range(start, stop)
            return
        ends = [*[index for index, _ in self.levels[1:]], self.shape.count]
        for (index, level), end in zip(self.levels, ends, strict=True):
            yield level, range(max(start, index), min(stop, end))


class Tape:
    """The trades of one symbol since `listed_ms`, where ids of both kinds start at 0.

    After `restart_ids` those before have negative ids.
    """

    def __init__(self, seed: int, instrument: Instrument, rate: float, listed_ms: int, clustering: bool = True) -> None:
        """`rate`: a factor on the instrument's trades per second. `listed_ms` is rounded up to the next `FALL_MS`.

        Without `clustering` the rate of trades and the volatility are constant.
        """
        self.instrument = instrument
        self._base = instrument.base_ticks
        self.listed_ms = -(-listed_ms // FALL_MS) * FALL_MS
        raws = instrument.trades_per_second * rate * _SLOT_S
        fewest = instrument.fewest_a_slot
        aggregates = max(raws * _AGGREGATES_PER_RAW, fewest)
        if aggregates < _PARCELS / 2:
            self._aggregates, self._raws = 1, max(1, round(raws / aggregates))
        else:
            self._aggregates = 3 * max(1, round(aggregates / 3 / _PARCELS))
            self._raws = round(self._aggregates / _AGGREGATES_PER_RAW)
        mean = max(raws / self._raws, fewest / self._aggregates)
        self.activity = Activity(seed, instrument.pair, round(mean * _SLOTS_AN_HOUR), clustering)
        self.path = PricePath(seed, instrument, self.activity)
        random = Random(f"{seed}/{instrument.symbol}/{self._aggregates}/{self._raws}")
        self._pattern = Pattern(random, instrument, self._aggregates, self._raws, mean, clustering)
        self._key = randomness.key(seed, instrument.symbol, "shape")
        self._recent = self.listed_ms // 60_000
        self._origin = self._origin_raw = 0  # ids are counted from 1970 until the first one is known
        self.first_id = 0
        self.minute = lru_cache(maxsize=64)(self._slots)
        slot = self._slot_at(self.listed_ms)
        index = bisect_left(slot.shape.times, self.listed_ms - slot.begin)
        self._origin, self._origin_raw = slot.first + index, slot.first_raw + slot.shape.raw_before[index]
        self.minute.cache_clear()

    def restart_ids(self, time: int) -> None:
        """Let the ids of both kinds start at 0 again with the first trade at or after `time` (ms)."""
        first = self.first_id_at(time)
        first_raw = self.first_raw_id_of(first)
        self._origin += first
        self._origin_raw += first_raw
        self.first_id -= first
        self.minute.cache_clear()

    def crash(self, first_step: int, steps: int, share: float) -> None:
        """As `PricePath.crash`."""
        self.path.crash(first_step, steps, share)
        self.minute.cache_clear()

    def _slots(self, minute: int) -> list[Slot]:
        parcels = self.activity.slots(minute)
        factors = self.path.slots(minute, parcels[1] - parcels[0], parcels[2] - parcels[1])
        number = randomness.draw(self._key, minute)
        # Some minutes are busier than others by volume.
        busy = number >> 60
        swell = 6 if busy == 0 else 1 + busy % 3
        slots = []
        for part, begin in enumerate(range(minute * 60_000, (minute + 1) * 60_000, SLOT_MS)):
            before = parcels[part]
            shape = self._pattern.shape(parcels[part + 1] - before, (number >> 8 * part & 0xFF) % SHAPES)
            level, rise = self._base * factors[part], self._base * (factors[part + 1] - factors[part])
            side = 1 if (rise > 0.0) == shape.rises else -1
            slope = round(rise / RAMP)
            lowest = abs(slope) * RAMP + shape.reach + 1  # prevents a price of zero
            levels = (
                self._fallen(level, begin, shape, lowest) if self.path.crashed else [(0, max(round(level), lowest))]
            )
            first, first_raw = before * self._aggregates - self._origin, before * self._raws - self._origin_raw
            slots.append(Slot(begin, first, first_raw, shape, side, slope, swell, levels))
        return slots

    def _fallen(self, level: float, begin: int, shape: Shape, lowest: int) -> list[tuple[int, int]]:
        """The levels of a slot after crashes and within them."""
        step = begin // FALL_MS
        left = [self.path.left(step + part) for part in range(SLOT_MS // FALL_MS)]
        levels = [(0, max(round(level * left[0]), lowest))]
        for part in range(1, len(left)):
            if left[part] != left[part - 1]:
                levels.append((bisect_left(shape.times, part * FALL_MS), max(round(level * left[part]), lowest)))
        return levels

    def _slot_at(self, time: int) -> Slot:
        minute, part = divmod(time // SLOT_MS, SLOTS_A_MINUTE)
        return self.minute(minute)[part]

    def _slots_from(self, parcel: int) -> Iterator[Slot]:
        """Yield the slot that contains a parcel, counted from 1970, and those after it."""
        activity = self.activity
        hour = activity.hour_of(parcel)
        minute = hour * HOUR_MINUTES + bisect_right(activity.minutes(hour), parcel) - 1
        part = bisect_right(activity.slots(minute), parcel) - 1
        self._recent = minute
        return chain(self.minute(minute)[part:], self._slots_of(minute + 1))

    def _slots_from_id(self, id: int) -> Iterator[Slot]:
        # Requests by id mostly continue where the last one ended.
        slots = self.minute(self._recent)
        if slots[0].first <= id < slots[-1].first + slots[-1].shape.count:
            part = 0 if id < slots[1].first else bisect_right([slot.first for slot in slots], id) - 1
            return chain(slots[part:], self._slots_of(self._recent + 1))
        return self._slots_from((id + self._origin) // self._aggregates)

    def _slots_of(self, minute: int) -> Iterator[Slot]:
        while True:
            self._recent = minute
            yield from self.minute(minute)
            minute += 1

    def time_of(self, id: int) -> int:
        """Return the time of an aggregate trade, in ms."""
        slot = next(self._slots_from_id(id))
        return slot.begin + slot.shape.times[id - slot.first]

    def price_before(self, time: int) -> int:
        """Return the price of the last trade before `time` (ms), in ticks; of the first trade if there is none."""
        if time > self.listed_ms:
            slot = self._slot_at(time)
            index = bisect_left(slot.shape.times, time - slot.begin)
            if index and slot.first + index > self.first_id:
                return slot.price(index - 1)
        return self.aggregate(max(self.first_id_at(time) - 1, self.first_id)).price

    def first_id_at(self, time: int) -> int:
        """Return the id of the first aggregate trade at or after `time` (ms)."""
        if time <= self.listed_ms:
            return self.first_id
        slot = self._slot_at(time)
        return slot.first + bisect_left(slot.shape.times, time - slot.begin)

    def first_raw_id_of(self, aggregate_id: int) -> int:
        slot = next(self._slots_from_id(aggregate_id))
        return slot.first_raw + slot.shape.raw_before[aggregate_id - slot.first]

    def aggregate_of_raw(self, raw_id: int) -> int:
        """Return the id of the aggregate trade that contains raw trade `raw_id`."""
        slot = next(self._slots_from((raw_id + self._origin_raw) // self._raws))
        return slot.first + bisect_right(slot.shape.raw_before, raw_id - slot.first_raw) - 1

    def aggregates(self, start: int, stop: int) -> Iterator[Aggregate]:
        """Aggregate trades of ids start..stop-1."""
        if start >= stop:
            return
        for slot in self._slots_from_id(start):
            yield from slot.trades(max(start - slot.first, 0), min(stop - slot.first, slot.shape.count))
            if slot.first + slot.shape.count >= stop:
                return

    def aggregate(self, id: int) -> Aggregate:
        return next(self.aggregates(id, id + 1))

    def bars(self, start: int, end: int) -> Iterator[Bar | None]:
        """Yield the sums of the trades with start <= time < end (ms, of one minute), slot by slot."""
        minute = start // SLOT_MS // SLOTS_A_MINUTE
        if end - start == 60_000:
            yield from (slot.bar(0, slot.shape.count) for slot in self.minute(minute))
            return
        for slot in self.minute(minute):
            if slot.begin < end and start < slot.begin + SLOT_MS:
                times = slot.shape.times
                first = 0 if start <= slot.begin else bisect_left(times, start - slot.begin)
                stop = slot.shape.count if end >= slot.begin + SLOT_MS else bisect_left(times, end - slot.begin)
                yield slot.bar(first, stop)

    def raws(self, start: int, stop: int) -> Iterator[Raw]:
        """Raw trades of ids start..stop-1. The parts of an aggregate share its price, time and side."""
        if start >= stop:
            return
        for whole in self.aggregates(self.aggregate_of_raw(start), self.aggregate_of_raw(stop - 1) + 1):
            yield from (raw for raw in parts(whole) if start <= raw.id < stop)


def parts(whole: Aggregate) -> Iterator[Raw]:
    """Return the raw trades of an aggregate: equal parts, with the remainder in the first."""
    share, rest = divmod(whole.quantity, whole.last - whole.first + 1)
    for id in range(whole.first, whole.last + 1):
        quantity = share + rest if id == whole.first else share
        yield Raw(id, whole.price, quantity, whole.time, whole.buyer_is_maker)

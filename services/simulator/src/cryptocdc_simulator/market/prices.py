"""The price of a symbol as a function of time.

The price level is a sum of smooth random octaves, each twice or more as long as the one before and larger by the
square root of that: from a minute to a month it looks like a random walk, yet any moment of it is computed alone.
Only +, *, / on floats are used, so that the same seed gives the same digits on every machine.
"""

from __future__ import annotations

from functools import lru_cache
from math import sqrt

from cryptocdc_simulator.market import randomness
from cryptocdc_simulator.market.symbols import Instrument

SLOT_MS = 5_000
SLOTS_A_MINUTE = 60_000 // SLOT_MS

_MINUTES = (1, 5, 15, 60, 240, 1_440, 10_080, 40_320)
_A_MINUTE = 0.0005  # the share of the price that a minute moves it


class PricePath:
    """The price level of one symbol, in ticks, constant within a slot of `SLOT_MS`."""

    def __init__(self, seed: int, instrument: Instrument, floor: int) -> None:
        """`floor`: the lowest level, in ticks, so that no trade around it gets a price of zero."""
        self._base = instrument.base_ticks
        self._floor = floor
        self._octaves = [
            (minutes, _A_MINUTE * sqrt(minutes), randomness.key(seed, instrument.symbol, "price", minutes))
            for minutes in _MINUTES
        ]
        self._crashes: list[tuple[int, int, float]] = []
        self._value = lru_cache(maxsize=4_096)(randomness.signed)
        self._end_of_minute = lru_cache(maxsize=64)(self._walk)
        self.levels = lru_cache(maxsize=64)(self._levels)

    def crash(self, first_slot: int, slots: int, share: float) -> None:
        """From `first_slot` on the price falls by `share` of itself within `slots`, and stays there."""
        self._crashes.append((first_slot, slots, share))
        self.levels.cache_clear()

    def level(self, slot: int) -> int:
        """The price level of a slot, counted from 1970."""
        minute, part = divmod(slot, SLOTS_A_MINUTE)
        return self.levels(minute)[part]

    def _levels(self, minute: int) -> list[int]:
        here, there = self._end_of_minute(minute - 1), self._end_of_minute(minute)
        levels = [here + (there - here) * part // SLOTS_A_MINUTE for part in range(SLOTS_A_MINUTE)]
        for first, slots, share in self._crashes:
            for part in range(SLOTS_A_MINUTE):
                since = minute * SLOTS_A_MINUTE + part - first
                if since >= 0:
                    levels[part] = int(levels[part] * (1.0 - share * min(1.0, (since + 1) / slots)))
        return [max(level, self._floor) for level in levels]

    def _walk(self, minute: int) -> int:
        drift = 0.0
        for minutes, size, key in self._octaves:
            knot, rest = divmod(minute, minutes)
            here = self._value(key, knot)
            if rest:
                t = rest / minutes
                here += (self._value(key, knot + 1) - here) * t * t * (3.0 - 2.0 * t)
            drift += size * here
        return round(self._base * (1.0 + drift))

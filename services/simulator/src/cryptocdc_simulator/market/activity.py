"""The number of trades of a market up to any time, and its level of activity.

Trades come in parcels of a fixed number of aggregate trades. The number of parcels before an hour is the hour's number
times the mean, plus smooth noise and a daily pattern whose slope stays below the mean: a closed form, so that any id is
found without counting. An hour's parcels are distributed over its minutes by a product of multipliers drawn for blocks
of different lengths (the Markov-switching multifractal of Calvet and Fisher, 2004, on a fixed grid), and a minute's
over its slots. Quiet and busy times therefore cluster over seconds, minutes, hours and days.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from math import exp
from random import Random

from cryptocdc_simulator.market import randomness

HOUR_MINUTES = 60
SLOT_MS = 30_000
SLOTS_A_MINUTE = 60_000 // SLOT_MS

# Hours between the knots of the noise, its share of the mean, and whether all markets have it in common.
_NOISE = ((1, 0.15, False), (4, 0.2, False), (24, 0.15, True), (168, 0.1, True))
# By hour of the day, UTC: busiest when Europe and America are both awake. Sums to 0.
_DAILY = (-6, -7, -8, -9, -9, -8, -6, -4, -1, 1, 2, 3, 5, 8, 10, 10, 9, 7, 5, 3, 1, 0, -2, -4)
_DAILY_SHARE = 0.25 / max(_DAILY)
# Minutes in a block, the spread of the logarithm of its multiplier, and whether all markets have it in common.
_BLOCKS = ((1, 0.3, False), (4, 0.35, False), (15, 0.35, True))
_MULTIPLIERS = 64
_SHARES = 64  # ways of distributing a minute over its slots
_SLOT_SPREAD = 0.4


class Activity:
    """The parcels of one market. Without `clustering` all hours, minutes and slots are alike."""

    def __init__(self, seed: int, symbol: str, parcels_per_hour: int, clustering: bool) -> None:
        self.parcels_per_hour = parcels_per_hour
        self._clustering = clustering

        def key(common: bool, *parts: object) -> int:
            return randomness.key(seed, "*" if common else symbol, "activity", *parts)

        # Smooth noise between -1 and 1 has a slope of at most 3 over its period.
        self._noise = [(hours, share * hours / 3.0, key(common, hours)) for hours, share, common in _NOISE]
        self._daily = [0, *accumulate(parcels_per_hour * _DAILY_SHARE * share for share in _DAILY)]
        self._blocks = [
            (minutes, key(common, "block", minutes), _multipliers(spread)) for minutes, spread, common in _BLOCKS
        ]
        self._shares_key = randomness.key(seed, symbol, "shares")
        self._shares = _shares(Random(f"{seed}/{symbol}/shares"), _SLOT_SPREAD if clustering else 0.0)
        self.before_hour = lru_cache(maxsize=4_096)(self._before_hour)
        self.minutes = lru_cache(maxsize=64)(self._minutes)
        self.liveliness = lru_cache(maxsize=64)(self._liveliness)

    def hour_of(self, parcel: int) -> int:
        """Return the hour since 1970 that contains a parcel."""
        hour = parcel // self.parcels_per_hour
        while self.before_hour(hour) > parcel:
            hour -= 1
        while self.before_hour(hour + 1) <= parcel:
            hour += 1
        return hour

    def _liveliness(self, minute: int) -> float:
        """Return a minute's parcels relative to the mean."""
        hour, part = divmod(minute, HOUR_MINUTES)
        before = self.minutes(hour)
        return (before[part + 1] - before[part]) * HOUR_MINUTES / self.parcels_per_hour

    def slots(self, minute: int) -> list[int]:
        """Return the parcels before each slot of a minute, and before the next minute."""
        hour, part = divmod(minute, HOUR_MINUTES)
        before = self.minutes(hour)
        first, parcels = before[part], before[part + 1] - before[part]
        shares = self._shares[randomness.draw(self._shares_key, minute) % _SHARES]
        whole = shares[-1]
        return [first + parcels * share // whole for share in shares]

    def _before_hour(self, hour: int) -> int:
        before = self.parcels_per_hour * hour
        if not self._clustering:
            return before
        noise = sum(size * randomness.smooth(key, hour, hours) for hours, size, key in self._noise)
        return before + round(self.parcels_per_hour * noise + self._daily[hour % 24])

    def _minutes(self, hour: int) -> list[int]:
        """Return the parcels before each minute of an hour, and before the next hour."""
        first = self.before_hour(hour)
        parcels = self.before_hour(hour + 1) - first
        weights = [1] * HOUR_MINUTES
        if self._clustering:
            start = hour * HOUR_MINUTES
            for minutes, key, multipliers in self._blocks:
                for part in range(HOUR_MINUTES):
                    if not part or (start + part) % minutes == 0:
                        by = multipliers[randomness.draw(key, (start + part) // minutes) % _MULTIPLIERS]
                    weights[part] *= by
        before = [0, *accumulate(weights)]
        whole = before[-1]
        return [first + parcels * weight // whole for weight in before]


def _multipliers(spread: float) -> list[int]:
    """Quantiles of a lognormal distribution, in thousandths; the logarithm's are those of a triangular one."""
    steps = [((2 * n + 1) / _MULTIPLIERS - 1.0) for n in range(_MULTIPLIERS)]
    triangular = [(1.0 - (1.0 - abs(step)) ** 0.5) * (1 if step > 0 else -1) for step in steps]
    return [round(1000 * exp(spread * 2.45 * value)) for value in triangular]


def _shares(random: Random, spread: float) -> list[list[int]]:
    """Return ways of dividing a minute into slots: running sums of weights."""
    return [
        [0, *accumulate(round(1000 * random.lognormvariate(0.0, spread)) for _ in range(SLOTS_A_MINUTE))]
        for _ in range(_SHARES)
    ]

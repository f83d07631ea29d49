"""The price of a symbol as a function of time.

From day to day the price is a sum of smooth noise of different periods around the catalogue's price. Between two days
it is a random walk with a fixed end (a Brownian bridge), drawn hour by hour, within an hour minute by minute and within
a minute slot by slot, so that any time can be computed separately. The variance of a step grows with the number of
trades, so volatility clusters as they do.

Only +, -, *, / and square roots of floats are used, so that the same seed gives the same digits on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import sqrt

from cryptocdc_simulator.market import randomness
from cryptocdc_simulator.market.activity import HOUR_MINUTES, SLOTS_A_MINUTE, Activity
from cryptocdc_simulator.market.symbols import Instrument

FALL_MS = 5_000  # a crash begins at a multiple of this, and falls by a step in each

_DAY_HOURS = 24
_DAYS = (1, 4, 16, 64)  # periods of the noise from day to day
_DAY_SHARE = 0.6  # shares of a day's volatility; together the periods move the price like a random walk
_COMMON, _OWN = 0.6, 0.8  # weights in a step of the common and the market's own move; their squares sum to 1


class PricePath:
    """The price of one symbol, as a factor on the instrument's."""

    def __init__(self, seed: int, instrument: Instrument, activity: Activity) -> None:
        self._volatility = instrument.volatility
        self._activity = activity
        mean = activity.parcels_per_hour / HOUR_MINUTES / SLOTS_A_MINUTE
        self._a_parcel = instrument.volatility / sqrt(SLOTS_A_MINUTE * mean * sqrt(mean))

        def keys(*parts: object) -> tuple[int, int]:
            return randomness.key(seed, "*", *parts), randomness.key(seed, instrument.pair, *parts)

        a_day = instrument.volatility * sqrt(_DAY_HOURS * HOUR_MINUTES)
        self._days = [(days, _DAY_SHARE * a_day * sqrt(days), *keys("price", days)) for days in _DAYS]
        self._hour_keys, self._minute_keys = keys("hour"), keys("minute")
        self._slot_key = randomness.key(seed, instrument.pair, "slot")
        self._falls: list[tuple[int, int, float]] = []
        self._day = lru_cache(maxsize=64)(self._at_day)
        self._hours = lru_cache(maxsize=16)(self._hours_of)
        self._minutes = lru_cache(maxsize=64)(self._minutes_of)

    def crash(self, first_step: int, steps: int, share: float) -> None:
        """From a step of `FALL_MS` on, let the price fall by `share` within `steps`, and stay there."""
        self._falls.append((first_step, steps, share))

    @property
    def crashed(self) -> bool:
        return bool(self._falls)

    def left(self, step: int) -> float:
        """Return the factor by which crashes have reduced the price in a step of `FALL_MS`."""
        left = 1.0
        for first, steps, share in self._falls:
            if step >= first:
                left *= 1.0 - share * min(1.0, (step + 1 - first) / steps)
        return left

    def slots(self, minute: int, first: int, second: int) -> tuple[float, float, float]:
        """Return the factor at the start of a minute, between its slots with `parcels`, and at its end."""
        hour, part = divmod(minute, HOUR_MINUTES)
        minutes = self._minutes(hour)
        start, end = minutes[part], minutes[part + 1]
        one, other = first * sqrt(first), second * sqrt(second)
        whole = one + other
        if whole == 0.0:
            return start, start, end
        apart = self._a_parcel * sqrt(one * other / whole) * randomness.normal(self._slot_key, minute)
        return start, start + (end - start) * one / whole + apart, end

    def _at_day(self, day: int) -> float:
        return 1.0 + sum(
            size * (_COMMON * randomness.smooth(common, day, days) + _OWN * randomness.smooth(own, day, days))
            for days, size, common, own in self._days
        )

    def _hours_of(self, day: int) -> list[float]:
        first = day * _DAY_HOURS
        parcels = [self._activity.before_hour(first + hour) for hour in range(_DAY_HOURS + 1)]
        variances = self._variances(parcels, self._activity.parcels_per_hour, HOUR_MINUTES)
        steps = _steps(self._hour_keys, range(first, first + _DAY_HOURS))
        return _bridge(self._day(day), self._day(day + 1), variances, steps)

    def _minutes_of(self, hour: int) -> list[float]:
        day, part = divmod(hour, _DAY_HOURS)
        hours, first = self._hours(day), hour * HOUR_MINUTES
        mean = self._activity.parcels_per_hour / HOUR_MINUTES
        variances = self._variances(self._activity.minutes(hour), mean, 1.0)
        steps = _steps(self._minute_keys, range(first, first + HOUR_MINUTES))
        return _bridge(hours[part], hours[part + 1], variances, steps)

    def _variances(self, parcels: Sequence[int], mean: float, minutes: float) -> list[float]:
        """Return the standard deviations of the steps, which grow with the power 1.5 of the number of parcels."""
        scale = self._volatility * self._volatility * minutes
        return [scale * (ratio := (after - before) / mean) * sqrt(ratio) for before, after in pairwise(parcels)]


def _steps(keys: tuple[int, int], indexes: range) -> list[float]:
    common, own = keys
    return [_COMMON * randomness.normal(common, i) + _OWN * randomness.normal(own, i) for i in indexes]


def _bridge(start: float, end: float, variances: Sequence[float], steps: Sequence[float]) -> list[float]:
    """A random walk from `start` that ends at `end`: the position before each step and after the last."""
    whole = sum(variances)
    if whole == 0.0:
        return [start] * len(variances) + [end]
    walked = [step * sqrt(variance) for step, variance in zip(steps, variances, strict=True)]
    missing = (end - start - sum(walked)) / whole
    path, at = [start], start
    for step, variance in zip(walked, variances, strict=True):
        at += step + missing * variance
        path.append(at)
    return path

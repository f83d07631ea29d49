"""Forecasts computed from stored bars and volatility, plainly: the analyzer's results are compared with these. Pure.

It shares no code with the analyzer and does not use its models: the regression and the scaling of what it learns are
written out as the models document them, in floats, in the same order, so that the rounded results are equal to the
digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal, localcontext
from math import floor, fsum
from typing import NamedTuple

from cryptocdc_core.catalogue import Stream, by_table
from cryptocdc_verifier.comparing.canonical import NULL, ordered
from cryptocdc_verifier.recompute.anomalies import Past, six
from cryptocdc_verifier.recompute.bars import number, rounded

FORECASTS, BARS, VOLATILITY = by_table("forecasts"), by_table("bars"), by_table("realized_volatility")
RUN_WINDOWS, RUNS_BEFORE, WARM_WINDOWS = 120, 2, 30
MEANS = (1, 5, 22)
"""The numbers of last windows whose mean logarithms the regression is of."""
RATE, STEEPEST, LEVEL = 0.005, 4.0, 0.9


class Window(NamedTuple):
    """One window: its number of trades, its volatility and its change, None for no value."""

    weight: int
    volatility: str | None
    change: str | None
    event_ms: int
    received_ms: int


class Predicted(NamedTuple):
    log: float
    volatility: str
    bound: str | None
    """The return is predicted to lie between this and its negative."""
    last: float
    mean: float


class Judged(NamedTuple):
    ours: float
    last: float
    mean: float
    inside: bool | None


def windows_of(bars: Iterable[bytes], volatility: Iterable[bytes]) -> dict[int, Window]:
    """Return the windows that have both rows, of the same trades, by open time."""
    others = {int(row["open_time"]): row for row in _rows(VOLATILITY, volatility)}
    found = {}
    for row in _rows(BARS, bars):
        open_ms = int(row["open_time"])
        other = others.get(open_ms)
        needed = (row[name] for name in ("open", "close", "volume", "trade_count", "event_time", "received_at"))
        if NULL in needed or other is None or other["trade_count"] != row["trade_count"]:
            continue
        opened, closed = number(row["open"]).value, number(row["close"]).value
        found[open_ms] = Window(
            int(row["trade_count"]),
            None if other["realized"] == NULL else other["realized"],
            rounded(closed / opened - 1) if opened > 0 else None,
            int(row["event_time"]),
            int(row["received_at"]),
        )
    return found


def _rows(stream: Stream, lines: Iterable[bytes]) -> list[dict[str, str]]:
    names = [column.name for column in ordered(stream)]
    return [dict(zip(names, line.decode().split("\t"), strict=True)) for line in lines]


class Regression:
    """Linear regression by stochastic gradient descent, of inputs and a target that are scaled by their running mean
    and deviation."""

    def __init__(self) -> None:
        self._weights = [0.0] * len(MEANS)
        self._means, self._variances = [0.0] * len(MEANS), [0.0] * len(MEANS)
        self._count = 0
        self._target = Past()

    def predict(self, inputs: Sequence[float]) -> float:
        return self._sum(self._scaled(inputs)) * self._target.deviation + self._target.mean

    def learn(self, inputs: Sequence[float], target: float) -> None:
        self._count += 1
        for place, one in enumerate(inputs):
            before = self._means[place]
            self._means[place] += (one - before) / self._count
            spread = (one - before) * (one - self._means[place])
            self._variances[place] += (spread - self._variances[place]) / self._count
        scaled = self._scaled(inputs)
        self._target.add(target)
        deviation = self._target.deviation
        wanted = (target - self._target.mean) / deviation if deviation else 0.0
        slope = min(max(2 * (self._sum(scaled) - wanted), -STEEPEST), STEEPEST)
        self._weights = [
            weight - RATE * (one * slope) for weight, one in zip(self._weights, scaled, strict=True)
        ]  # fmt: skip

    def _scaled(self, inputs: Sequence[float]) -> list[float]:
        return [
            (one - mean) / variance**0.5 if variance else 0.0
            for one, mean, variance in zip(inputs, self._means, self._variances, strict=True)
        ]

    def _sum(self, scaled: Sequence[float]) -> float:
        # Not sum(), which adds more precisely from Python 3.12 on.
        total = 0.0
        for weight, one in zip(self._weights, scaled, strict=True):
            total += weight * one
        return total


class History:
    """The windows so far."""

    def __init__(self) -> None:
        self._regression = Regression()
        self._sizes: list[float] = []
        """Returns by their predicted volatility, without sign."""
        self.logs: list[float] = []
        self.last = NULL

    def predict(self) -> Predicted | None:
        if len(self.logs) < WARM_WINDOWS:
            return None
        log = self._regression.predict(self._inputs())
        volatility = _exp(log)
        bound = None
        if len(self._sizes) >= WARM_WINDOWS:
            bound = six(Decimal(_quantile(self._sizes[-RUN_WINDOWS:]) * float(volatility)))
        return Predicted(log, volatility, bound, self.logs[-1], self.mean())

    def mean(self) -> float:
        return fsum(self.logs) / len(self.logs)

    def add(self, predicted: Predicted | None, window: Window) -> Judged | None:
        """Add the next window, and return how good what was predicted of it was."""
        if predicted is not None and window.change is not None:
            self._sizes.append(abs(float(window.change)) / float(predicted.volatility))
        if window.volatility is None or Decimal(window.volatility) <= 0:
            return None
        with localcontext() as context:
            context.prec = 80
            log = float(Decimal(window.volatility).ln())
        if len(self.logs) >= MEANS[-1]:
            self._regression.learn(self._inputs(), log)
        self.logs.append(log)
        self.last = window.volatility
        if predicted is None:
            return None
        errors = predicted.log - log, predicted.last - log, predicted.mean - log
        return Judged(*errors, _inside(predicted, window))

    def _inputs(self) -> list[float]:
        return [fsum(self.logs[-count:]) / count for count in MEANS]


def lines_of(
    symbol: str, interval: str, length_ms: int, run_ms: int, windows: dict[int, Window]
) -> dict[tuple[int, str], bytes]:
    """Return the line of each completed row of the run that starts at `run_ms`, by open time and no kind, given the
    windows of it and of the two runs before."""
    before_ms = run_ms - RUN_WINDOWS * length_ms
    # The forecasts of the run before, by its own model, and of this one.
    judged = [one for open_ms, *_, one in _played(windows, before_ms - RUN_WINDOWS * length_ms, run_ms)
              if one is not None and open_ms >= before_ms]  # fmt: skip
    weight = sum(window.weight for open_ms, window in windows.items() if open_ms < before_ms)
    made = {}
    for open_ms, window, (count, last, mean), predicted, outcome in _played(
        windows, before_ms, run_ms + RUN_WINDOWS * length_ms
    ):
        weight += window.weight
        if open_ms < run_ms:
            continue
        if outcome is not None:
            judged.append(outcome)
        inside = None if predicted is None else _inside(predicted, window)
        errors = (NULL, NULL, NULL) if outcome is None else tuple(six(Decimal(one)) for one in outcome[:3])
        bound = None if predicted is None else predicted.bound
        row: dict[str, object] = {
            "symbol": symbol, "interval": interval, "open_time": open_ms, "close_time": open_ms + length_ms - 1,
            "completed": "t", "volatility": NULL if predicted is None else predicted.volatility,
            "lower": NULL if bound is None else _negative(bound), "upper": bound or NULL, "last_volatility": last,
            "mean_volatility": mean, "window_count": count, "actual_volatility": window.volatility or NULL,
            "actual_return": window.change or NULL, "inside": NULL if inside is None else "ft"[inside],
            **dict(zip(("error", "last_error", "mean_error"), errors, strict=True)), **_skill(judged[-RUN_WINDOWS:]),
            "event_time": window.event_ms, "received_at": window.received_ms, "version": 1000 * open_ms + weight,
        }  # fmt: skip
        made[open_ms, ""] = "\t".join(str(row[column.name]) for column in ordered(FORECASTS)).encode()
    return made


Played = tuple[int, Window, tuple[int, str, str], Predicted | None, Judged | None]
"""Open time, window, and what is known before it: number, last and mean of the past ones; what was predicted, and how
good that was."""


def _played(windows: dict[int, Window], start_ms: int, end_ms: int) -> list[Played]:
    """Predict and learn the windows of a time range, in order."""
    history, found = History(), list[Played]()
    for open_ms, window in sorted(windows.items()):
        if start_ms <= open_ms < end_ms:
            predicted = history.predict()
            known = len(history.logs), history.last, _exp(history.mean()) if history.logs else NULL
            found.append((open_ms, window, known, predicted, history.add(predicted, window)))
    return found


def _skill(judged: Sequence[Judged]) -> dict[str, object]:
    found: dict[str, object] = dict.fromkeys(("skill_last", "skill_mean", "skill", "skilled", "coverage"), NULL)
    found["forecast_count"] = len(judged)
    if len(judged) < WARM_WINDOWS:
        return found
    ours, last, mean = (fsum(one[place] * one[place] for one in judged) for place in range(3))  # type: ignore[operator]
    if last > 0 and mean > 0:
        both = six(Decimal(1.0 - ours / last)), six(Decimal(1.0 - ours / mean))
        least = min(both, key=Decimal)
        found |= {"skill_last": both[0], "skill_mean": both[1], "skill": least, "skilled": "ft"[Decimal(least) > 0]}
    inside = [one.inside for one in judged if one.inside is not None]
    if inside:
        found["coverage"] = six(Decimal(inside.count(True) / len(inside)))
    return found


def _inside(predicted: Predicted, window: Window) -> bool | None:
    if predicted.bound is None or window.change is None:
        return None
    return abs(Decimal(window.change)) <= Decimal(predicted.bound)


def _quantile(numbers: Sequence[float]) -> float:
    """Return the quantile LEVEL, between the two numbers next to it in proportion."""
    ordered_numbers = sorted(numbers)
    place = LEVEL * (len(numbers) - 1)
    low = floor(place)
    high = min(low + 1, len(numbers) - 1)
    return ordered_numbers[low] + (ordered_numbers[high] - ordered_numbers[low]) * (place - low)


def _exp(log: float) -> str:
    with localcontext() as context:
        context.prec = 50
        return six(Decimal(log).exp())


def _negative(number: str) -> str:
    return number if Decimal(number) == 0 else f"-{number}"

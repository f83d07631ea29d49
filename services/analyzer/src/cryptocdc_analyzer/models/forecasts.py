"""Forecasts of the next window's volatility and return, by an online model of river, and how good they were. Pure.

A model learns the windows of one run and of the run before, in order, and predicts each before it learns it. A row
depends on nothing but the windows of its run before it and of the two runs before that: for the skill, the forecasts of
the run before are made again by that run's own model. So whoever computes it, after whatever restart, computes the
same.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from math import fsum
from typing import Any, NamedTuple

from river.linear_model import LinearRegression
from river.optim import SGD
from river.preprocessing import StandardScaler, TargetStandardScaler
from river.stats import RollingQuantile

from cryptocdc_analyzer.exact import text
from cryptocdc_analyzer.models.anomalies import change_of, rounded
from cryptocdc_analyzer.models.history import Facts, Reach
from cryptocdc_analyzer.windows.volatility import LOG
from cryptocdc_core.catalogue.computed import FORECAST_LEVEL, FORECAST_RUN_WINDOWS, WARM_WINDOWS
from cryptocdc_core.rows.versions import version

REACH = Reach(FORECAST_RUN_WINDOWS, before=2, newest=True)
HORIZONS = (1, 5, 22)
"""The model's inputs are the means of the logarithms of that many last volatilities (Corsi, 2009)."""
RATE = 0.005
STEEPEST = 4.0
"""The most that an error counts when it is learned, in standard deviations times 2: an outlier must not upset the
model."""


class Forecast(NamedTuple):
    log: float
    """The logarithm of the predicted volatility."""
    volatility: Decimal
    bounds: tuple[Decimal, Decimal] | None
    """Of the return; None until enough returns have been compared with their predicted volatility."""
    last_log: float
    mean_log: float
    """The logarithms of the last volatility and of the geometric mean, which need no model."""


class Outcome(NamedTuple):
    errors: tuple[float, float, float]
    """Of the logarithm: the forecast's, and those of the last volatility and of the mean."""
    inside: bool | None


class Model:
    """Knows the windows that it has learned."""

    def __init__(self) -> None:
        regression = LinearRegression(SGD(RATE), intercept_lr=0.0, clip_gradient=STEEPEST)
        self._regression = StandardScaler() | TargetStandardScaler(regression)
        self._sizes = RollingQuantile(FORECAST_LEVEL, FORECAST_RUN_WINDOWS)
        self._sized = 0
        self._logs: list[float] = []
        self.last: Decimal | None = None

    @property
    def count(self) -> int:
        return len(self._logs)

    def predict(self) -> Forecast | None:
        """Return the forecast of the next window; None until there are enough past ones."""
        if self.count < WARM_WINDOWS:
            return None
        log = float(self._regression.predict_one(self._inputs()))
        volatility = _exp(log)
        bounds, size = None, self._sizes.get()
        if size is not None and self._sized >= WARM_WINDOWS:
            upper = rounded(Decimal(size * float(volatility)))
            bounds = -upper, upper
        return Forecast(log, volatility, bounds, self._logs[-1], self.mean_log())

    def mean_log(self) -> float:
        return fsum(self._logs) / self.count

    def learn(self, forecast: Forecast | None, facts: Facts) -> Outcome | None:
        """Learn the next window, of which `forecast` was made, and return how good that was; None if unknown."""
        volatility, change = values_of(facts)
        outcome = None
        if forecast is not None and change is not None:
            self._sizes.update(abs(float(change)) / float(forecast.volatility))
            self._sized += 1
        if volatility is not None and volatility > 0:
            log = _log(volatility)
            if forecast is not None:
                errors = forecast.log - log, forecast.last_log - log, forecast.mean_log - log
                outcome = Outcome(errors, inside(forecast, change))
            if self.count >= HORIZONS[-1]:
                self._regression.learn_one(self._inputs(), log)
            self._logs.append(log)
            self.last = volatility
        return outcome

    def _inputs(self) -> dict[str, float]:
        return {str(count): fsum(self._logs[-count:]) / count for count in HORIZONS}


def facts_of(
    opened: Decimal, closed: Decimal, volatility: Decimal | None, count: int, event_ms: int, received_ms: int
) -> Facts:
    """Return the facts of a window with `count` trades, of its bar and its realized volatility."""
    return Facts(count, (("volatility", volatility), ("return", change_of(opened, closed))), event_ms, received_ms)


def facts_of_rows(bar: Mapping[str, Any], volatility: Mapping[str, Any]) -> Facts | None:
    """Return the facts of a window, given its rows of BARS and VOLATILITY as they are sent to Kafka; None if these are
    not of the same trades."""
    if bar["trade_count"] != volatility["trade_count"]:
        return None
    opened, closed = Decimal(bar["open"]), Decimal(bar["close"])
    realized = None if volatility["realized"] is None else Decimal(volatility["realized"])
    return facts_of(opened, closed, realized, bar["trade_count"], bar["event_time"], bar["received_at"])


def values_of(facts: Facts) -> tuple[Decimal | None, Decimal | None]:
    """Return volatility and return."""
    (_, volatility), (_, change) = facts.values
    return volatility, change


def inside(forecast: Forecast, change: Decimal | None) -> bool | None:
    """Return whether a return is between the bounds, None if there is no such thing."""
    if forecast.bounds is None or change is None:
        return None
    return forecast.bounds[0] <= change <= forecast.bounds[1]


def rows(
    key: tuple[str, str], length_ms: int, windows: Sequence[tuple[int, Facts]], wanted: Container[int], newest: int
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the `wanted` windows, by open time. `key` is symbol and interval; `windows` are all of one run
    and of the two runs before, in order; times in milliseconds. The wanted ones are of the last run. `newest` is a
    window that is not over: its row depends on those before it only, and there is none if it is the first."""
    if not windows:
        return
    start = REACH.start(windows[-1][0], length_ms)
    before = start - REACH.windows * length_ms
    outcomes = _outcomes_of(windows, before, start)
    samples = sum(facts.samples for at, facts in windows if at < before)
    model, past = Model(), None
    for open_ms, facts in windows:
        if open_ms < before:
            continue
        forecast, last, completed = model.predict(), model.last, open_ms != newest
        mean = _exp(model.mean_log()) if model.count and open_ms in wanted else None
        count, outcome = model.count, model.learn(forecast, facts) if completed else None
        if completed:
            samples += facts.samples
            if outcome is not None and open_ms >= start:
                outcomes.append(outcome)
            past = facts
        if open_ms in wanted and past is not None:
            yield {
                "symbol": key[0],
                "interval": key[1],
                "open_time": open_ms,
                "close_time": open_ms + length_ms - 1,
                "completed": completed,
                "volatility": _text(forecast and forecast.volatility),
                "lower": _text(forecast and forecast.bounds and forecast.bounds[0]),
                "upper": _text(forecast and forecast.bounds and forecast.bounds[1]),
                "last_volatility": _text(last),
                "mean_volatility": _text(mean),
                "window_count": count,
                **_actual(forecast, facts if completed else None, outcome),
                **_skill(outcomes[-FORECAST_RUN_WINDOWS:]),
                "event_time": past.event_ms,
                "received_at": past.received_ms,
                "version": version(open_ms) + samples,
            }


def _outcomes_of(windows: Sequence[tuple[int, Facts]], start: int, end: int) -> list[Outcome]:
    """Return the outcomes of the forecasts of the run from `start` to `end`, given also the windows of the run before
    it."""
    model, found = Model(), []
    for open_ms, facts in windows:
        if open_ms < end:
            outcome = model.learn(model.predict(), facts)
            if outcome is not None and open_ms >= start:
                found.append(outcome)
    return found


def _actual(forecast: Forecast | None, facts: Facts | None, outcome: Outcome | None) -> dict[str, Any]:
    volatility, change = (None, None) if facts is None else values_of(facts)
    errors = (None, None, None) if outcome is None else outcome.errors
    return {
        "actual_volatility": _text(volatility),
        "actual_return": _text(change),
        "inside": None if forecast is None else inside(forecast, change),
        **{name: _float_text(one) for name, one in zip(("error", "last_error", "mean_error"), errors, strict=True)},
    }


def _skill(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the columns that compare the forecasts with those that need no model."""
    row: dict[str, Any] = {
        "forecast_count": len(outcomes), "skill_last": None, "skill_mean": None, "skill": None, "skilled": None,
        "coverage": None,
    }  # fmt: skip
    if len(outcomes) < WARM_WINDOWS:
        return row
    ours, last, mean = (fsum(one.errors[place] * one.errors[place] for one in outcomes) for place in range(3))
    if last > 0 and mean > 0:
        skills = [rounded(Decimal(1.0 - ours / other)) for other in (last, mean)]
        row |= {"skill_last": text(skills[0]), "skill_mean": text(skills[1]), "skill": text(min(skills))}
        row["skilled"] = min(skills) > 0
    judged = [one.inside for one in outcomes if one.inside is not None]
    if judged:
        row["coverage"] = _float_text(sum(judged) / len(judged))
    return row


@lru_cache(1 << 14)
def _log(volatility: Decimal) -> float:
    """Cached, since a window is learned again for each that depends on it."""
    return float(LOG.ln(volatility))


@lru_cache(1 << 14)
def _exp(log: float) -> Decimal:
    """As _log."""
    return rounded(LOG.exp(Decimal(log)))


def _text(number: Decimal | None) -> str | None:
    return None if number is None else text(number)


def _float_text(number: float | None) -> str | None:
    return None if number is None else text(rounded(Decimal(number)))

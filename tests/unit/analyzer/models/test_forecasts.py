"""Forecasts are judged honestly: there is skill where volatility clusters, and none where it does not."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from itertools import pairwise
from math import log, sqrt
from random import Random
from typing import Any

import pytest

from cryptocdc_analyzer.models.forecasts import REACH, rows
from cryptocdc_analyzer.models.history import Facts
from cryptocdc_core.catalogue.computed import FORECAST_RUN_WINDOWS, FORECASTS, WARM_WINDOWS
from cryptocdc_simulator.market.market import Market

MINUTE_MS, PARTS = 60_000, 12
RUN_MS = FORECAST_RUN_WINDOWS * MINUTE_MS
NOON_MS = 1_788_048_000_000 // RUN_MS * RUN_MS
OF = "BTCUSDT", "1m"
NEVER = -1


@cache
def market(symbol: str, seed: int, clustering: bool, count: int = 1_000) -> list[tuple[int, Facts]]:
    """Return the last minutes of the simulator's market."""
    bars = Market(seed, 64, 1.0, lambda: NOON_MS, clustering).listings[symbol].bars
    found = []
    for open_ms in range(NOON_MS - count * MINUTE_MS, NOON_MS, MINUTE_MS):
        step = MINUTE_MS // PARTS
        parts = [bars.between(at, at + step) for at in range(open_ms, open_ms + MINUTE_MS, step)]
        traded = [part for part in parts if part is not None]
        if traded:
            closes = [traded[0].open, *(part.close for part in traded)]
            squares = (log(after / before) ** 2 for before, after in pairwise(closes))
            volatility, change = sqrt(sum(squares)), closes[-1] / closes[0] - 1
            found.append((open_ms, facts(volatility, change)))
    return found


def facts(volatility: float | None, change: float | None, samples: int = 1) -> Facts:
    values = (None if one is None else Decimal(repr(one)) for one in (volatility, change))
    return Facts(samples, tuple(zip(("volatility", "return"), values, strict=True)), 5, 6)


def completed(windows: list[tuple[int, Facts]], newest: int = NEVER) -> list[dict[str, Any]]:
    """Return the rows of all windows of which both runs before are there."""
    found: list[dict[str, Any]] = []
    first = REACH.start(windows[0][0], MINUTE_MS) + REACH.before * RUN_MS
    for start in range(first, windows[-1][0] + 1, RUN_MS):
        run = [one for one in windows if start - REACH.before * RUN_MS <= one[0] < start + RUN_MS]
        found += rows(OF, MINUTE_MS, run, {at for at, _ in run if at >= start}, newest)
    return found


def skill_against(other: str, found: list[dict[str, Any]]) -> float:
    def squares(column: str) -> float:
        return sum(float(row[column]) ** 2 for row in found if row[column] is not None)

    return 1 - squares("error") / squares(other)


@pytest.mark.parametrize("seed", [1, 7, 11])
@pytest.mark.parametrize("symbol", ["BTCUSDT", "XRPUSDT"])
def test_forecasts_beat_the_last_value_and_the_mean_where_volatility_clusters(symbol: str, seed: int) -> None:
    found = completed(market(symbol, seed, True))
    assert len(found) > 600
    assert skill_against("last_error", found) > 0.15
    assert skill_against("mean_error", found) > 0.05


@pytest.mark.parametrize("seed", [1, 7, 11])
@pytest.mark.parametrize("symbol", ["BTCUSDT", "XRPUSDT"])
def test_forecasts_of_volatility_without_memory_have_no_skill(symbol: str, seed: int) -> None:
    found = completed(market(symbol, seed, False))
    assert skill_against("last_error", found) > 0.4  # which is why the mean is compared as well
    assert -0.05 < skill_against("mean_error", found) < 0
    # Of 120 forecasts skill can be above zero by chance.
    assert sum(row["skilled"] for row in found) < len(found) / 2


@pytest.mark.parametrize("clustering", [True, False])
def test_nine_of_ten_returns_are_inside_their_interval(clustering: bool) -> None:
    found = [row for symbol in ("BTCUSDT", "XRPUSDT") for row in completed(market(symbol, 7, clustering))]
    share = sum(row["inside"] for row in found) / len(found)
    assert 0.87 < share < 0.93


def test_the_skill_of_a_row_is_that_of_the_last_120_completed_forecasts_in_the_table() -> None:
    found = completed(market("BTCUSDT", 7, True))
    for place in (FORECAST_RUN_WINDOWS, 200, 333, len(found) - 1):
        last = found[place + 1 - FORECAST_RUN_WINDOWS : place + 1]
        row = found[place]
        assert row["forecast_count"] == len(last)
        against = [skill_against(other, last) for other in ("last_error", "mean_error")]
        assert [float(row[name]) for name in ("skill_last", "skill_mean")] == pytest.approx(against, abs=1e-4)
        assert row["skill"] in (row["skill_last"], row["skill_mean"])
        assert float(row["skill"]) == pytest.approx(min(against), abs=1e-4)
        assert row["skilled"] == (min(against) > 0)
        assert float(row["coverage"]) == pytest.approx(sum(one["inside"] for one in last) / len(last), abs=1e-5)


def test_the_newest_window_has_a_forecast_and_nothing_of_what_comes() -> None:
    windows = market("BTCUSDT", 7, True)
    at, _ = windows[-1]
    *_, known, complete = completed(windows)
    *_, before, newest = completed(windows, newest=at)
    assert before == known
    what_came = {
        "completed", "actual_volatility", "actual_return", "inside", "error", "last_error", "mean_error", "event_time",
        "received_at", "version", "skill", "skill_last", "skill_mean", "skilled", "coverage",
    }  # fmt: skip
    assert {name: newest[name] for name in newest if name not in what_came} == {
        name: complete[name] for name in complete if name not in what_came
    }
    assert newest["version"] < complete["version"]
    assert (newest["completed"], complete["completed"], newest["inside"], newest["error"]) == (False, True, None, None)
    assert newest["skill"] == before["skill"]
    changed = [*windows[:-1], (at, facts(7.0, -0.5, 9))]
    assert completed(changed, newest=at)[-1] == newest


def test_a_forecast_needs_thirty_windows_and_an_interval_thirty_returns() -> None:
    found = completed([one for one in market("BTCUSDT", 7, True) if one[0] >= NOON_MS - RUN_MS])
    assert found == []
    run = [one for one in market("BTCUSDT", 7, True) if one[0] >= NOON_MS - RUN_MS]
    made = list(rows(OF, MINUTE_MS, run, {at for at, _ in run}, NEVER))
    assert len(made) == FORECAST_RUN_WINDOWS
    assert [row["volatility"] is None for row in made] == [place < WARM_WINDOWS for place in range(len(made))]
    assert [row["upper"] is None for row in made] == [place < 2 * WARM_WINDOWS for place in range(len(made))]
    assert [row["skill"] is None for row in made] == [place < 2 * WARM_WINDOWS - 1 for place in range(len(made))]


def test_windows_that_do_not_move_or_have_no_price_are_neither_learned_nor_judged() -> None:
    random = Random(3)
    run = []
    for place in range(FORECAST_RUN_WINDOWS):
        odd = place % 4
        volatility = {0: 0.0, 1: None}.get(odd, 0.001 * random.random() + 0.0001)
        run.append((NOON_MS + place * MINUTE_MS, facts(volatility, None if odd == 1 else 0.0)))
    made = list(rows(OF, MINUTE_MS, run, {at for at, _ in run}, NEVER))
    assert [row["window_count"] for row in made[:8]] == [0, 0, 0, 1, 2, 2, 2, 3]
    assert {row["actual_volatility"] for row in made[::4]} == {"0.0"}
    assert {row["error"] for row in made if row["actual_volatility"] in (None, "0.0")} == {None}
    # All returns are zero, so the interval is.
    assert (made[-1]["lower"], made[-1]["upper"], made[-1]["inside"]) == ("0", "0", True)


def test_a_shock_does_not_upset_the_model() -> None:
    windows = market("BTCUSDT", 7, True)
    at = windows[500][0]
    shocked = [(open_ms, facts(50.0, 0.9) if open_ms == at else one) for open_ms, one in windows]
    after = [float(row["volatility"]) for row in completed(shocked) if row["open_time"] > at + 30 * MINUTE_MS]
    usual = [float(row["volatility"]) for row in completed(windows) if row["open_time"] > at + 30 * MINUTE_MS]
    assert all(one < 10 * other for one, other in zip(after, usual, strict=True))


def test_each_column_of_the_table_is_in_a_row() -> None:
    assert set(completed(market("BTCUSDT", 7, True))[-1]) == set(FORECASTS.column_names)

"""Indicators against worked examples, and against their plain definitions."""

from __future__ import annotations

import math
import statistics
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptocdc_api.analysis.indicators import ema, rsi, shown, sma, volatility, vwap

prices = st.lists(st.decimals(min_value="0.01", max_value=100_000, places=2), min_size=1, max_size=60)


def series(*values: str) -> list[Decimal]:
    return [Decimal(value) for value in values]


@given(prices, st.integers(1, 20))
def test_a_moving_average_is_the_mean_of_its_window(values: list[Decimal], length: int) -> None:
    for at, found in enumerate(sma(values, length)):
        window = values[max(0, at - length + 1) : at + 1]
        assert (found is None) == (len(window) < length)
        if found is not None:
            assert found == pytest.approx(sum(window) / length)


def test_an_exponential_average_begins_with_the_simple_one() -> None:
    assert ema(series("1", "2", "3", "5"), 3) == [None, None, Decimal(2), Decimal("3.5")]


def test_rsi_agrees_with_wilders_worked_example() -> None:
    """The closes and the RSI (14) that StockCharts' ChartSchool publishes."""
    closes = series(
        "44.3389", "44.0902", "44.1497", "43.6124", "44.3278", "44.8264", "45.0955", "45.4245", "45.8433", "46.0826",
        "45.8931", "46.0328", "45.6140", "46.2820", "46.2820", "46.0028", "46.0328", "46.4116", "46.2222", "45.6439",
    )  # fmt: skip
    found = rsi(closes)
    assert found[:14] == [None] * 14
    rounded = [round(float(value), 2) for value in found[14:] if value is not None]
    assert rounded == [70.53, 66.32, 66.55, 69.41, 66.36, 57.97]


@given(prices)
def test_rsi_stays_between_0_and_100(values: list[Decimal]) -> None:
    found = rsi(values)
    assert len(found) == len(values)
    assert all(0 <= value <= 100 for value in found if value is not None)


def test_rsi_is_100_0_and_50_for_rising_falling_and_constant_prices() -> None:
    assert rsi([Decimal(n) for n in range(1, 20)])[-1] == 100
    assert rsi([Decimal(n) for n in range(20, 1, -1)])[-1] == 0
    assert rsi([Decimal(5)] * 20)[-1] == 50


def test_vwap_is_quote_volume_divided_by_volume() -> None:
    found = vwap(series("100", "0", "330"), series("10", "0", "30"), 2)
    assert found == [None, Decimal(10), Decimal(11)]
    assert vwap(series("0", "0"), series("0", "0"), 2) == [None, None]


@given(st.lists(st.none() | st.integers(1, 9).map(Decimal), min_size=1, max_size=30), st.integers(1, 5))
def test_vwap_is_null_while_a_candle_of_its_window_has_no_quote_volume(
    quotes: list[Decimal | None], length: int
) -> None:
    for at, found in enumerate(vwap(quotes, [Decimal(2)] * len(quotes), length)):
        window = [quote for quote in quotes[max(0, at - length + 1) : at + 1] if quote is not None]
        assert found == (pytest.approx(sum(window) / (2 * length)) if len(window) == length else None)


@given(prices, st.integers(2, 20))
def test_volatility_is_the_standard_deviation_of_the_logarithmic_returns(values: list[Decimal], length: int) -> None:
    found = volatility(values, length)
    assert len(found) == len(values)
    returns = [math.log(after / before) for before, after in pairwise(values)]
    for at, value in enumerate(found):
        window = returns[max(0, at - length) : at]
        assert (value is None) == (len(window) < length)
        if value is not None:
            assert float(value) == pytest.approx(statistics.stdev(window) * 100, rel=1e-6, abs=1e-6)


def test_a_figure_is_shown_with_twelve_significant_digits() -> None:
    assert shown(Decimal(2) / 3) == Decimal("0.666666666667")
    assert shown(None) is None

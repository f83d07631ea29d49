"""Realized and Parkinson volatility of a window, from its twelve parts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.analyzer.trades import START_MS, trade

from cryptocdc_analyzer.windows.volatility import Volatility
from cryptocdc_core.catalogue import by_table

KEY, LENGTH = ("BTCUSDT", "1m", START_MS), 60_000


def row_of(trades):
    made = Volatility(trades[0], START_MS, LENGTH)
    for one in trades[1:]:
        made.add(one)
    return made.row(KEY, START_MS + LENGTH)


def test_a_row_has_every_column_of_its_table_and_the_estimates_of_its_parts():
    row = row_of([trade(0, 1, "100"), trade(4_000, 2, "110"), trade(4_999, 3, "105"), trade(5_000, 4, "102")])
    assert list(row) == list(by_table("realized_volatility").column_names)
    assert (row["part_count"], row["trade_count"], row["version"]) == (2, 4, START_MS * 1000 + 4)
    realized = math.sqrt(math.log(105 / 100) ** 2 + math.log(102 / 105) ** 2)
    assert float(row["realized"]) == pytest.approx(realized, rel=1e-14)
    parkinson = math.sqrt(math.log(110 / 100) ** 2 / (4 * math.log(2)))
    assert float(row["parkinson"]) == pytest.approx(parkinson, rel=1e-14)


def test_a_constant_price_has_zero_volatility():
    row = row_of([trade(0, 1, "100.0"), trade(30_000, 2, "100.00")])
    assert (row["realized"], row["parkinson"]) == ("0", "0")


def test_estimates_are_null_when_a_price_is_not_positive():
    row = row_of([trade(0, 1, "100"), trade(1, 2, "0")])
    assert (row["realized"], row["parkinson"], row["trade_count"]) == (None, None, 2)


@given(st.permutations([trade(at, price=str(100 + at % 13)) for at in range(0, 60_000, 4_100)]))
def test_the_order_of_trades_does_not_matter(trades):
    assert row_of(trades) == row_of(sorted(trades, key=lambda one: one.at_ms))


@given(st.permutations([trade(at, price=str(100 + at % 13)) for at in range(0, 60_000, 4_100)]), st.integers(1, 14))
def test_volatilities_of_two_parts_of_a_window_merge_into_that_of_the_whole(trades, split):
    def of(some):
        made = Volatility(some[0], START_MS, LENGTH)
        for one in some[1:]:
            made.add(one)
        return made

    for first, second in ((trades[:split], trades[split:]), (trades[split:], trades[:split])):
        merged = of(first)
        merged.merge(of(second))
        assert merged.row(KEY, START_MS + LENGTH) == row_of(trades)

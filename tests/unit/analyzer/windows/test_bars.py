"""A bar aggregates its trades exactly, in any order."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.analyzer.trades import START_MS, trade

from cryptocdc_analyzer.windows.bars import Bar
from cryptocdc_core.catalogue import by_table

KEY = ("BTCUSDT", "5s", START_MS)
END = START_MS + 5_000


def row_of(trades):
    bar = Bar(trades[0])
    for one in trades[1:]:
        bar.add(one)
    return bar.row(KEY, END)


def test_a_bar_has_every_column_of_its_table_and_exact_sums():
    row = row_of(
        [trade(0, 1, "100.10", "1.5"), trade(900, 2, "99.9", "0.25", False), trade(900, 3, "100.3", "2", True)]
    )
    assert list(row) == list(by_table("bars").column_names)
    assert (row["open"], row["high"], row["low"], row["close"]) == ("100.10", "100.3", "99.9", "100.3")
    assert (row["volume"], row["buy_volume"], row["sell_volume"]) == ("3.75", "3.5", "0.25")
    assert row["quote_volume"] == "375.725"  # 150.150 + 24.975 + 200.6
    assert row["vwap"] == "100.1933333333333"  # 16 digits
    assert row["imbalance"] == "0.8666666666666667"
    assert (row["trade_count"], row["event_time"]) == (3, START_MS + 900)
    assert row["version"] == START_MS * 1000 + 3


def test_vwap_is_rounded_half_even_at_sixteen_digits():
    # 1 and 1.000000000000001 (16 digits) meet at ...0005, which ends even.
    row = row_of([trade(0, 1, "1.000000000000001"), trade(0, 2, "1.000000000000002")])
    assert row["vwap"] == "1.000000000000002"
    row = row_of([trade(0, 1, "1.000000000000000"), trade(0, 2, "1.000000000000001")])
    assert Decimal(row["vwap"]) == 1


def test_the_sums_of_a_bar_keep_every_digit():
    row = row_of([trade(0, 1, "123456789012345678901234567890.123456789", "0.000000000000000000000000000001")] * 1
                 + [trade(1, 2, "1", "99999999999999999999999999999999999999")])  # fmt: skip
    assert row["volume"] == "99999999999999999999999999999999999999.000000000000000000000000000001"


def test_vwap_and_imbalance_are_null_when_the_volume_is_zero():
    row = row_of([trade(0, 1, "100", "0")])
    assert (row["volume"], row["vwap"], row["imbalance"]) == ("0", None, None)


def test_a_number_that_would_be_rounded_is_refused_and_leaves_the_bar_as_it_was():
    bar = Bar(trade(0, 1))
    before = bar.row(KEY, END)
    with pytest.raises(ArithmeticError):
        bar.add(trade(1, 2, "1", "1e-5000"))
    assert bar.row(KEY, END) == before


TRADES = st.lists(
    st.builds(
        trade,
        st.integers(0, 4_999),
        st.integers(1, 30),
        st.decimals("0.01", "999", places=2).map(str) | st.sampled_from(["1.5", "1.50", "2", "2.0"]),
        st.sampled_from(["1", "0.001", "0", "12.50"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda one: (one.at_ms, one.id),
)


@given(TRADES, st.data())
def test_the_order_of_trades_does_not_matter(trades, data):
    assert row_of(trades) == row_of(data.draw(st.permutations(trades)))


@given(TRADES)
def test_a_bar_with_more_trades_has_a_greater_version(trades):
    versions = [row_of(trades[: count + 1])["version"] for count in range(len(trades))]
    assert versions == sorted(set(versions))


@given(TRADES, st.data())
def test_bars_of_the_parts_of_a_window_merge_into_the_bar_of_the_whole(trades, data):
    shuffled = data.draw(st.permutations(trades))
    ends = sorted({*data.draw(st.lists(st.integers(1, len(trades)), max_size=4)), len(trades)})
    parts = []
    for start, end in zip([0, *ends], ends, strict=False):
        parts.append(Bar(shuffled[start]))
        for one in shuffled[start + 1 : end]:
            parts[-1].add(one)
    merged, *others = data.draw(st.permutations(parts))
    for other in others:
        merged.merge(other)
    assert merged.row(KEY, END) == row_of(trades)
    assert merged.committed_us == max(one.committed_us for one in trades)


def test_a_merge_that_would_be_rounded_is_refused_and_leaves_the_bar_as_it_was():
    bar, other = Bar(trade(0, 1)), Bar(trade(1, 2, "1", "1e-5000"))
    before = bar.row(KEY, END)
    with pytest.raises(ArithmeticError):
        bar.merge(other)
    assert bar.row(KEY, END) == before

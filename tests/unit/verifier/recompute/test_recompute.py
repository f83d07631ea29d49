"""The plain computation of bars gives the analyzer's rows, to the digit, although they share no code."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.analyzer.trades import LENGTHS, SERIES, START_MS, resolve, trade

from cryptocdc_analyzer.windows.series import Added, Windows
from cryptocdc_verifier.comparing.canonical import ordered
from cryptocdc_verifier.recompute.bars import BARS, BarFold, Number, Trade, computed, number, rounded, trade_of

AMOUNTS = st.decimals("0", "99999", allow_nan=False, places=8) | st.decimals("0.0000001", "9", places=12)
TEXTS = AMOUNTS.map(lambda amount: format(amount, "f"))
PRICES = TEXTS.filter(lambda text: text.strip("0.")) | st.sampled_from(["1.5", "1.50", "0.00000001", "100"])
TRADES = st.lists(
    st.builds(trade, st.integers(0, 70_000), st.integers(1, 50), PRICES, TEXTS, st.booleans()),
    min_size=1, max_size=20, unique_by=lambda one: (one.at_ms, one.id),
)  # fmt: skip


def plain(one):
    price, quantity = (number(format(value, "f")) for value in (one.price, one.quantity))
    return Trade(one.at_ms, one.id, price, quantity, one.bought, one.received_ms)


def line(row):
    return "\t".join("\\N" if row[c.name] is None else str(row[c.name]) for c in ordered(BARS)).encode()


@given(TRADES)
def test_the_plain_computation_of_bars_agrees_with_the_analyzers(trades):
    windows = Windows(SERIES, 0)
    for one in trades:
        windows.add(one, Added())
    resolve(windows)
    windows_rows = {(row["interval"], row["open_time"]): line(row) for _, row, _ in windows.take()}
    expected = {
        (interval, at): text
        for interval, length in LENGTHS.items()
        for at, text in computed(BarFold, "BTCUSDT", interval, length, map(plain, trades)).items()
    }
    recent = {key: text for key, text in expected.items() if key in windows_rows}
    assert recent == windows_rows
    assert expected.keys() == windows_rows.keys()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(0), "0"), (Fraction(1, 3), "0.3333333333333333"), (Fraction(-2, 3), "-0.6666666666666667"),
        (Fraction(100), "100"), (Fraction(3, 2), "1.5"), (Fraction(10**20 + 1), "100000000000000000000"),
        (Fraction(10_000_000_000_000_005, 10**16), "1"),
        (Fraction(10_000_000_000_000_015, 10**16), "1.000000000000002"),
        (Fraction(99_999_999_999_999_999, 10**16), "10"), (Fraction(1, 10**20), "0.00000000000000000001"),
    ],
)  # fmt: skip
def test_quotients_have_sixteen_digits_rounded_half_even(value, text):
    assert rounded(value) == text


@pytest.mark.parametrize("text", ["0", "1", "0.10", "-3.5", "100.00", "0.00000001"])
def test_trailing_digits_of_a_number_are_kept(text):
    assert str(number(text)) == text
    assert number("1.50") == Number(150, 2)


def test_a_trade_is_read_from_its_line():
    stored = b"BTCUSDT\t%d\t7\t1\t100.10\t0.5\t7\t7\tf\t%d" % (START_MS, START_MS + 5)
    assert trade_of(stored) == Trade(START_MS, 7, Number(10010, 2), Number(5, 1), True, START_MS + 5)
    assert trade_of(b"BTCUSDT\t1\t7\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N") is None

"""The plain computation of volatility gives the analyzer's own rows, to the digit."""

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.analyzer.trades import resolve, trade

from cryptocdc_analyzer.windows.series import Added, Series, Windows
from cryptocdc_verifier.comparing.canonical import ordered
from cryptocdc_verifier.recompute.bars import Trade, computed, number
from cryptocdc_verifier.recompute.volatility import VOLATILITY, VolatilityFold

PRICES = st.decimals("0.00000001", "99999", places=8).map(lambda price: format(price, "f")) | st.sampled_from(
    ["1.5", "1.50", "100", "0"]
)
TRADES = st.lists(
    st.builds(trade, st.integers(0, 70_000), st.integers(1, 50), PRICES),
    min_size=1, max_size=20, unique_by=lambda one: (one.at_ms, one.id),
)  # fmt: skip
LENGTHS = {"15s": 15_000, "1m": 60_000}


def plain(one):
    price, quantity = (number(format(value, "f")) for value in (one.price, one.quantity))
    return Trade(one.at_ms, one.id, price, quantity, one.bought, one.received_ms)


@given(TRADES)
def test_the_plain_computation_of_volatility_agrees_with_the_analyzers(trades):
    windows = Windows({Series(VOLATILITY.table, interval): length for interval, length in LENGTHS.items()}, 0)
    for one in trades:
        windows.add(one, Added())
    resolve(windows)
    rows = {
        (row["interval"], row["open_time"]): "\t".join(
            "\\N" if row[c.name] is None else str(row[c.name]) for c in ordered(VOLATILITY)
        ).encode()
        for _, row, _ in windows.take()
    }
    assert rows == {
        (interval, at): line
        for interval, length in LENGTHS.items()
        for at, line in computed(VolatilityFold, "BTCUSDT", interval, length, map(plain, trades)).items()
    }

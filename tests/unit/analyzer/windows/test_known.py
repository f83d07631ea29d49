"""The set of known trades is exact, and takes little memory while ids are consecutive."""

import gc
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.analyzer.trades import START_MS, resolve, trade

from cryptocdc_analyzer.windows.known import KnownTrades
from cryptocdc_analyzer.windows.series import Added, Series, Windows

DAY_MS = 86_400_000
TRADES = 200_000


@given(st.lists(st.tuples(st.integers(59_990, 60_010), st.integers(-2, 12)), max_size=80))
def test_known_trades_behave_like_a_set(added):
    known, plain = KnownTrades(), set()
    for at_ms, id in added:
        assert known.add(at_ms, id) == ((at_ms, id) not in plain)
        plain.add((at_ms, id))
    assert not any(known.add(*one) for one in plain)


def test_only_complete_minutes_are_forgotten():
    known = KnownTrades()
    for at_ms in (59_999, 60_000):
        known.add(at_ms, 1)
    known.forget(119_999)
    assert (known.add(59_999, 1), known.add(60_000, 1)) == (True, False)
    known.forget(120_000)
    assert known.add(60_000, 1)


def test_two_hundred_thousand_consecutive_trades_take_less_than_three_bytes_each():
    known = KnownTrades()
    tracemalloc.start()
    try:
        for number in range(TRADES):
            known.add(START_MS + number * 20, number)
        assert tracemalloc.get_traced_memory()[0] < 3 * TRADES
    finally:
        tracemalloc.stop()


def test_windows_of_all_lengths_share_the_known_trades():
    open_ms = START_MS - START_MS % DAY_MS
    lengths = {
        Series("bars", "1d"): DAY_MS,
        Series("bars", "12h"): DAY_MS // 2,
        Series("realized_volatility", "1d"): DAY_MS,
    }
    windows, one = Windows(lengths, open_ms - DAY_MS), trade(0)
    windows.add(one._replace(at_ms=open_ms, id=0, committed_us=0), Added())
    resolve(windows)
    tracemalloc.start()
    try:
        for number in range(1, TRADES // 10):
            windows.add(one._replace(at_ms=open_ms + number * 20, id=number), Added())
        gc.collect()  # also empties the interpreter's lists of unused tuples
        assert tracemalloc.get_traced_memory()[0] < 4 * TRADES // 10
    finally:
        tracemalloc.stop()

"""Open klines: at most one a second each, and the last state always."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.rows import make_row

from cryptocdc_core.rows.typed import KlinesRow
from cryptocdc_producer.streams.open_klines import PERIOD_S, OpenKlines


def row(symbol: str, open_time: int, close: int) -> KlinesRow:
    return make_row(KlinesRow, symbol=symbol, open_time=open_time, close=str(close))


@given(
    st.lists(
        st.tuples(st.sampled_from("AB"), st.integers(0, 2), st.floats(0, 0.9), st.booleans()), min_size=1, max_size=60
    )
)
def test_the_last_state_of_every_kline_is_written_at_a_bounded_rate(
    states: list[tuple[str, int, float, bool]],
) -> None:
    held = OpenKlines()
    now, kline = 0.0, {"A": 0, "B": 0}
    last: dict[tuple[str, int], int] = {}
    written: list[tuple[float, KlinesRow]] = []
    for number, (symbol, steps, wait, ticks) in enumerate(states):
        now += wait
        if ticks:
            written += [(now, found) for found in held.due(now)]
        kline[symbol] += steps
        state = row(symbol, kline[symbol] * 60_000, number)
        last[symbol, kline[symbol] * 60_000] = number
        written += [(now, found) for found in held.offer(state, now)[0]]
    written += [(now, found) for found in held.release()]

    reached: dict[tuple[str, int], int] = {}
    for _, found in written:
        key = (found.symbol, found.open_time)
        assert reached.get(key, -1) < int(found.close)
        reached[key] = int(found.close)
    assert reached == last


def test_an_open_kline_is_written_once_per_period() -> None:
    held = OpenKlines()
    writes = sum(len(held.offer(row("A", 0, tenth), tenth / 10)[0]) for tenth in range(50))

    assert writes == 50 / 10 / PERIOD_S


def test_a_closed_kline_replaces_only_its_own_open_state() -> None:
    held = OpenKlines()
    held.offer(row("A", 0, 1), 0.0)
    held.offer(row("A", 0, 2), 0.1)

    assert held.close(row("A", 0, 3)) == [row("A", 0, 3)]
    held.offer(row("A", 60_000, 4), 0.2)
    assert held.close(row("A", 120_000, 5)) == [row("A", 60_000, 4), row("A", 120_000, 5)]
    assert not held.release()


def test_releasing_a_symbol_keeps_the_others() -> None:
    held = OpenKlines()
    for symbol in "AB":
        held.offer(row(symbol, 0, 1), 0.0)
        held.offer(row(symbol, 0, 2), 0.1)

    assert held.release("A") == [row("A", 0, 2)]
    assert held.due(2.0) == [row("B", 0, 2)]

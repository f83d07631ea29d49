"""Windows in event time: what is known from memory, what must be read, and what a late trade corrects."""

from typing import Any

from tests.unit.analyzer.trades import SERIES, START_MS, bars_of, trade

from cryptocdc_analyzer.windows import LATENESS_MS, Added, Span, Windows
from cryptocdc_core.versions import FUTURE_TOLERANCE_MS

LONG_AGO = START_MS - FUTURE_TOLERANCE_MS


def windows(since_ms=LONG_AGO):
    return Windows(SERIES, since_ms)


def add(made, *trades):
    found = Added()
    for one in trades:
        made.add(one, found)
    return found


def test_a_trade_is_in_one_window_of_each_length():
    made = windows()
    add(made, trade(0), trade(4_999), trade(5_000))
    rows = bars_of(made.take())
    assert {key: row["trade_count"] for key, row in rows.items()} == {
        ("BTCUSDT", "5s", 0): 2, ("BTCUSDT", "5s", 5_000): 1, ("BTCUSDT", "1m", 0): 3,
    }  # fmt: skip
    assert rows["BTCUSDT", "5s", 0]["close_time"] == START_MS + 4_999


def test_only_windows_that_changed_are_written_again():
    made = windows()
    add(made, trade(0), trade(5_000))
    made.take()
    add(made, trade(5_001))
    assert set(bars_of(made.take())) == {("BTCUSDT", "5s", 5_000), ("BTCUSDT", "1m", 0)}
    found = add(made, trade(5_001))
    assert (found.repeated, made.take()) == (1, [])


def test_a_late_trade_within_the_lateness_corrects_the_window_with_a_greater_version():
    made = windows()
    add(made, trade(1_000, price="100"), trade(5_000 + LATENESS_MS - 1))
    before = bars_of(made.take())["BTCUSDT", "5s", 0]
    found = add(made, trade(0, price="90"))
    after = bars_of(made.take())["BTCUSDT", "5s", 0]
    assert (after["open"], after["close"], found.late, made.unknown()) == ("90", "100", 0, [])
    assert after["version"] > before["version"]


def test_a_window_past_its_lateness_leaves_memory_and_a_later_trade_makes_it_unknown():
    made = windows()
    add(made, trade(0), trade(60_000 + LATENESS_MS))
    made.take()
    assert len(made) == 2  # those of the second trade
    found = add(made, trade(1))
    assert (found.late, found.repeated) == (2, 0)
    assert made.unknown() == [Span("BTCUSDT", START_MS, START_MS + 60_000)]
    assert bars_of(made.take()) == {}  # a bar with one trade would be wrong
    assert made.resolve([trade(0)]) == 2
    rows = bars_of(made.take())
    assert {key: row["trade_count"] for key, row in rows.items()} == {("BTCUSDT", "5s", 0): 2, ("BTCUSDT", "1m", 0): 2}
    assert len(made) == 2


def test_a_window_that_began_before_the_partition_was_read_is_unknown_until_it_was():
    made = windows(since_ms=START_MS)
    found = add(made, trade(100), trade(200))
    assert (found.late, bars_of(made.take())) == (0, {})
    made.resolve([trade(50), trade(100), trade(59_000)])
    rows = bars_of(made.take())
    assert {key: row["trade_count"] for key, row in rows.items()} == {("BTCUSDT", "5s", 0): 3, ("BTCUSDT", "1m", 0): 4}
    assert add(made, trade(59_000)).repeated == 0  # its 5s window is not known yet
    assert made.unknown() == [Span("BTCUSDT", START_MS + 55_000, START_MS + 60_000)]


def test_windows_that_are_near_are_read_together_and_symbols_apart():
    made = windows(since_ms=START_MS + 3_600_000)
    add(made, trade(0), trade(70_000), trade(600_000), trade(0, symbol="ETHUSDT"))
    assert made.unknown() == [
        Span("BTCUSDT", START_MS, START_MS + 120_000),
        Span("BTCUSDT", START_MS + 600_000, START_MS + 660_000),
        Span("ETHUSDT", START_MS, START_MS + 60_000),
    ]


def test_a_symbols_time_does_not_end_the_windows_of_another():
    made = windows()
    add(made, trade(0), trade(600_000, symbol="ETHUSDT"))
    made.take()
    assert add(made, trade(1)).late == 0
    assert bars_of(made.take())["BTCUSDT", "5s", 0]["trade_count"] == 2


def test_the_same_bars_come_of_trades_in_any_batches_and_after_a_loss_of_memory():
    trades = [trade(at, price=str(100 + at % 7)) for at in range(0, 60_000, 700)]
    whole = windows()
    add(whole, *trades)
    expected = bars_of(whole.take())
    seen: dict[tuple[str, str, int], dict[str, Any]] = {}
    first, second = windows(), windows(since_ms=START_MS + 30_000)
    for one in trades[:40]:
        add(first, one)
        seen |= bars_of(first.take())
    for one in trades[35:]:  # a restart reads some again, and knows nothing of what was before
        add(second, one)
        second.resolve(trades[:40])
        seen |= bars_of(second.take())
    assert seen == expected

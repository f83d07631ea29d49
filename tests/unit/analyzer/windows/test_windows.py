"""Event-time windows: known from memory, read from Cassandra, or corrected by a late trade."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.analyzer.trades import SERIES, START_MS, bars_of, begin, resolve, trade

from cryptocdc_analyzer.windows.series import LATENESS_MS, Added, Key, Series, Span, Windows, content_of
from cryptocdc_core.rows.versions import FUTURE_TOLERANCE_MS

LONG_AGO = START_MS - FUTURE_TOLERANCE_MS


def windows(since_ms=LONG_AGO):
    made = Windows(SERIES, since_ms)
    begin(made)
    return made


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


def test_only_changed_windows_are_written_again():
    made = windows()
    add(made, trade(0), trade(5_000))
    made.take()
    add(made, trade(5_001))
    assert set(bars_of(made.take())) == {("BTCUSDT", "5s", 5_000), ("BTCUSDT", "1m", 0)}
    found = add(made, trade(5_001))
    assert (found.repeated, made.take()) == (1, [])


def test_a_repeated_trade_changes_nothing_and_an_id_may_come_again_at_another_time():
    made = windows()
    assert add(made, trade(0, 7), trade(0, 7), trade(1, 7), trade(1, 7), trade(0, 7)).repeated == 3
    assert {row["trade_count"] for row in bars_of(made.take()).values()} == {2}


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
    assert len(made) == 2  # the windows of the second trade
    found = add(made, trade(1))
    assert (found.late, found.repeated) == (2, 0)
    assert made.unknown() == [Span("BTCUSDT", START_MS, START_MS + 60_000)]
    assert bars_of(made.take()) == {}  # a bar with one trade would be wrong
    assert resolve(made, trade(0)).reloaded == 2
    rows = bars_of(made.take())
    assert {key: row["trade_count"] for key, row in rows.items()} == {("BTCUSDT", "5s", 0): 2, ("BTCUSDT", "1m", 0): 2}
    assert len(made) == 2


def test_a_window_from_before_the_first_record_is_unknown_until_it_is_read():
    made = windows(since_ms=START_MS)
    found = add(made, trade(100), trade(200))
    assert (found.late, bars_of(made.take())) == (0, {})
    resolve(made, trade(50), trade(100), trade(59_000))
    rows = bars_of(made.take())
    assert {key: row["trade_count"] for key, row in rows.items()} == {("BTCUSDT", "5s", 0): 3, ("BTCUSDT", "1m", 0): 4}
    assert add(made, trade(59_000)).repeated == 0  # its 5s window is not known yet
    assert made.unknown() == [Span("BTCUSDT", START_MS + 55_000, START_MS + 60_000)]


def test_a_symbol_that_was_in_another_partition_before_is_read_although_the_program_runs_for_long():
    made = Windows(SERIES, START_MS - 3_600_000)
    add(made, trade(5_000))
    assert made.unknown() == [Span("BTCUSDT", START_MS, START_MS + 60_000)]
    assert made.begins()
    resolve(made, trade(4_000), trade(5_000))
    add(made, trade(60_000))
    rows = bars_of(made.take())
    assert {key: row["trade_count"] for key, row in rows.items()} == {
        ("BTCUSDT", "5s", 5_000): 1, ("BTCUSDT", "1m", 0): 2,
        ("BTCUSDT", "5s", 60_000): 1, ("BTCUSDT", "1m", 60_000): 1,
    }  # fmt: skip
    add(made, trade(-60_000))
    assert (made.unknown() != [], made.begins()) == (True, False)


def test_a_symbol_whose_first_trade_was_fetched_late_has_all_windows_read_that_are_open():
    made = Windows(SERIES, START_MS - 3_600_000)
    add(made, trade(-600_000)._replace(committed_us=(START_MS + 10_000) * 1000))
    resolve(made, trade(-600_000))
    made.take()
    add(made, trade(8_000), trade(20_000))
    assert made.unknown() == [Span("BTCUSDT", START_MS, START_MS + 60_000)]
    assert set(bars_of(made.take())) == {("BTCUSDT", "5s", 20_000)}


def test_nearby_windows_are_read_together_and_symbols_separately():
    made = windows(since_ms=START_MS + 3_600_000)
    add(made, trade(0), trade(70_000), trade(600_000), trade(0, symbol="ETHUSDT"))
    assert made.unknown() == [
        Span("BTCUSDT", START_MS, START_MS + 120_000),
        Span("BTCUSDT", START_MS + 600_000, START_MS + 660_000),
        Span("ETHUSDT", START_MS, START_MS + 60_000),
    ]


def test_the_event_time_of_one_symbol_does_not_end_windows_of_another():
    made = windows()
    begin(made, "ETHUSDT")
    add(made, trade(0), trade(600_000, symbol="ETHUSDT"))
    made.take()
    assert add(made, trade(1)).late == 0
    assert bars_of(made.take())["BTCUSDT", "5s", 0]["trade_count"] == 2


def test_the_bars_do_not_depend_on_batches_or_on_a_restart():
    trades = [trade(at, price=str(100 + at % 7)) for at in range(0, 60_000, 700)]
    whole = windows()
    add(whole, *trades)
    expected = bars_of(whole.take())
    seen: dict[tuple[str, str, int], dict[str, Any]] = {}
    first, second = windows(), windows(since_ms=START_MS + 30_000)
    for one in trades[:40]:
        add(first, one)
        seen |= bars_of(first.take())
    for one in trades[35:]:  # a restart reads some again, and does not know the earlier ones
        add(second, one)
        resolve(second, *trades[:40])
        seen |= bars_of(second.take())
    assert seen == expected


@pytest.mark.parametrize("moved", [1, 40, 41, 85])
def test_the_bars_do_not_depend_on_when_a_symbol_moves_to_another_partition(moved):
    """Both partitions have been read for long, and neither has all trades of the window in which the symbol moves."""
    trades = [trade(at, price=str(100 + at % 7)) for at in range(0, 60_000, 700)]
    whole, before, after = windows(), windows(), Windows(SERIES, LONG_AGO)
    add(whole, *trades)
    add(before, *trades[:moved])
    rows = before.take()
    for at, one in enumerate(trades[moved:], moved + 1):
        add(after, one)
        if after.unknown():
            resolve(after, *trades[:at])
        rows += after.take()
    newest = bars_of(sorted(rows, key=lambda made: made[1]["version"]))
    assert newest == bars_of(whole.take())


SOME = st.lists(
    st.builds(trade, st.integers(0, 130_000), st.integers(1, 12), st.sampled_from(["1.5", "1.50", "2", "0.7"])),
    min_size=1, max_size=25, unique_by=lambda one: (one.at_ms, one.id),
)  # fmt: skip


@settings(max_examples=60)
@given(SOME, st.data())
def test_the_bars_do_not_depend_on_order_repetition_or_early_reading(trades, data):
    """Cassandra may have trades that were not read from Kafka yet, and windows leave memory in between."""
    length = {Series("bars", "5s"): 5_000, Series("bars", "1m"): 60_000, Series("realized_volatility", "1m"): 60_000}
    plain: dict[Any, Any] = {}
    for one in trades:
        for series, ms in length.items():
            key = Key(one.symbol, series, one.at_ms - one.at_ms % ms)
            if key in plain:
                plain[key].add(one)
            else:
                plain[key] = content_of(one, key, ms)
    expected = {
        (key.series, key.open_ms): bar.row(
            (key.symbol, key.series.interval, key.open_ms), key.open_ms + length[key.series]
        )
        for key, bar in plain.items()
    }
    made = Windows(length, data.draw(st.sampled_from([LONG_AGO, LONG_AGO + 60_000, START_MS])))
    order = data.draw(st.permutations(trades + data.draw(st.lists(st.sampled_from(trades), max_size=8))))
    seen: dict[Any, Any] = {}
    ahead = 0
    for at, one in enumerate(order, 1):
        add(made, one)
        if made.unknown() and (at == len(order) or data.draw(st.booleans())):
            ahead = data.draw(st.integers(max(at, ahead), len(order)))
            spans = made.unknown()
            stored = {(t.at_ms, t.id): t for t in order[:ahead] if any(s.start_ms <= t.at_ms < s.end_ms for s in spans)}
            resolve(made, *stored.values())
            assert made.unknown() == []
        for table, row, _ in made.take():
            of = Series(table, row["interval"]), row["open_time"]
            if of not in seen or row["version"] >= seen[of]["version"]:
                seen[of] = row
    assert seen == expected


def test_a_read_that_fails_halfway_is_repeated():
    made = windows(since_ms=START_MS)
    add(made, trade(100))

    def fails():
        yield [trade(50)]
        raise OSError

    with pytest.raises(OSError):
        list(made.resolve("BTCUSDT", fails(), Added()))
    assert (made.take(), len(made.unknown())) == ([], 1)
    resolve(made, trade(50), trade(70), trade(100))
    assert {row["trade_count"] for row in bars_of(made.take()).values()} == {3}


def test_a_window_that_gets_a_trade_while_it_is_read_remains_unknown():
    made = windows(since_ms=START_MS)
    add(made, trade(100))
    reading = made.resolve("BTCUSDT", [[trade(100), trade(200)]], Added())
    next(reading)
    add(made, trade(200))
    assert list(reading) == []
    assert (made.take(), len(made.unknown())) == ([], 1)
    resolve(made, trade(100), trade(200))
    assert {row["trade_count"] for row in bars_of(made.take()).values()} == {2}


LONG_NUMBER = "9" * 200 + "." + "1" * 200


def test_numbers_with_the_most_digits_that_are_captured_are_summed_exactly():
    made = windows(since_ms=START_MS)
    add(made, trade(0, price=LONG_NUMBER, quantity=LONG_NUMBER), trade(1, price="0.01"))
    resolve(made, trade(0, price=LONG_NUMBER, quantity=LONG_NUMBER))
    rows = bars_of(made.take())
    number = int(LONG_NUMBER.replace(".", ""))
    assert rows["BTCUSDT", "1m", 0]["trade_count"] == 2
    assert rows["BTCUSDT", "1m", 0]["quote_volume"].replace(".", "") == str(number * number + 10**398)


@pytest.mark.parametrize("number", ["1" * 201, "1e-201"])
def test_a_trade_with_more_digits_is_refused_from_kafka_and_from_cassandra(number):
    made = windows()
    assert add(made, trade(0), trade(1, price=number), trade(2, quantity=number)).refused == 2
    made.take()
    late = windows(since_ms=START_MS)
    add(late, trade(0))
    assert resolve(late, trade(0), trade(1, price=number)).refused == 1
    assert bars_of(late.take())["BTCUSDT", "1m", 0]["trade_count"] == 1

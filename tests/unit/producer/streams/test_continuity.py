"""Continuity of trade ids and of closed klines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.producer.conftest import NOW

from cryptocdc_core.time import intervals
from cryptocdc_producer.streams.continuity import FAR, Closes, Gap, Ids, Seen


@given(
    first=st.integers(0, 50),
    present=st.lists(st.booleans(), min_size=1, max_size=60),
    repeated=st.lists(st.integers(0, 59), max_size=20),
    stored=st.booleans(),
)
def test_every_id_was_either_received_or_is_in_a_gap(
    first: int, present: list[bool], repeated: list[int], stored: bool
) -> None:
    """With any drops and duplicates, every id from the first to the last was received or is in exactly one gap."""
    sent = [first + at for at, there in enumerate(present) if there]
    ids = Ids(first - 1 if stored and first else None)
    taken: set[int] = set()
    missing: set[int] = set()
    for at, number in enumerate(sent):
        seen, gap = ids.see(number, NOW + number)
        assert seen is Seen.NEXT
        taken.add(number)
        if gap is not None:
            assert not missing & set(range(gap[0], gap[1] + 1))
            missing |= set(range(gap[0], gap[1] + 1))
        for again in repeated:
            if again < at and sent[again] >= sent[max(0, at - 3)]:
                assert ids.see(sent[again], NOW + sent[again]) == (Seen.DUPLICATE, None)
    if sent:
        begin = first if stored and first else sent[0]
        assert taken | missing == set(range(begin, sent[-1] + 1))
        assert not taken & missing


def test_a_new_symbol_has_no_gap() -> None:
    assert Ids(None).see(1_000_000, NOW) == (Seen.NEXT, None)
    assert Closes("1m", None).see(60_000, closed=True) is None


def test_trades_missing_since_the_last_stored_one_are_a_gap() -> None:
    assert Ids(100, NOW).see(150, NOW + 5) == (Seen.NEXT, (101, 149))


def test_a_late_trade_of_a_gap_is_written() -> None:
    ids = Ids(100, NOW)
    ids.see(105, NOW + 5)

    assert ids.see(103, NOW + 3) == (Seen.LATE, None)
    assert ids.see(103, NOW + 3) == (Seen.DUPLICATE, None)
    assert ids.see(100, NOW) == (Seen.DUPLICATE, None)
    assert ids.see(106, NOW + 5) == (Seen.NEXT, None)


def test_an_old_trade_of_an_overlapping_connection_does_not_reset_the_ids() -> None:
    """As when another producer hands over a symbol: it stored 99 before 100, and both connections deliver them."""
    ids = Ids(100, NOW)

    assert ids.see(99, NOW - 1) == (Seen.LATE, None)
    assert ids.see(101, NOW + 1) == (Seen.NEXT, None)


def test_repeatedly_polled_trades_count_as_late_once() -> None:
    """Raw trades can't be requested by id everywhere: each answer holds a thousand that are known."""
    ids = Ids(1000, NOW)
    page = range(500, 1500)

    found = [[ids.see(number, NOW - 1000 + number)[0] for number in page] for _ in range(2)]

    assert found[0] == [Seen.LATE] * 500 + [Seen.DUPLICATE] + [Seen.NEXT] * 499
    assert found[1] == [Seen.DUPLICATE] * 1000


def test_ids_that_restart_are_accepted() -> None:
    ids = Ids(1_000_000, NOW)

    assert ids.see(0, NOW + 1) == (Seen.RESTART, None)
    assert ids.see(1, NOW + 1) == (Seen.NEXT, None)


def test_ids_that_restart_below_known_ones_are_not_mistaken_for_duplicates() -> None:
    """A symbol captured since its first trade knows all ids from 0 on."""
    ids = Ids(None)
    for number in range(5000):
        ids.see(number, NOW + number)

    assert ids.see(0, NOW + 60_000) == (Seen.RESTART, None)
    assert [ids.see(number, NOW + 60_000 + number)[0] for number in range(1, 5000)] == [Seen.NEXT] * 4999
    assert ids.see(4999, NOW + 64_999) == (Seen.DUPLICATE, None)


def test_trades_before_the_first_received_one_of_restarted_ids_are_a_gap() -> None:
    """They restarted while there was no connection."""
    assert Ids(5_000, NOW).see(37, NOW + 60_000) == (Seen.RESTART, (0, 36))


def test_ids_set_back_slightly_do_not_make_a_gap_of_all_history() -> None:
    ids = Ids(3_000_000, NOW)

    assert ids.see(2_999_000, NOW + 60_000) == (Seen.RESTART, None)
    assert ids.see(2_999_001, NOW + 60_001) == (Seen.NEXT, None)


@pytest.mark.parametrize("wild", [2**62, 5_000_000_000, 7])
def test_an_implausible_id_is_reported_and_changes_nothing(wild: int) -> None:
    ids = Ids(3_000_000_000)

    assert ids.see(wild, NOW) == (Seen.WILD, None)
    assert ids.last == 3_000_000_000
    assert ids.see(3_000_000_001, NOW) == (Seen.NEXT, None)
    assert ids.see(3_000_000_004, NOW) == (Seen.NEXT, (3_000_000_002, 3_000_000_003))


def test_implausible_ids_do_not_confirm_each_other() -> None:
    ids = Ids(100)

    for wild in (2**62, 2**62, 2**61, 2**62 + FAR):
        assert ids.see(wild, NOW) == (Seen.WILD, None)
    assert ids.see(101, NOW) == (Seen.NEXT, None)


def test_after_a_long_outage_the_second_trade_reveals_a_gap_with_the_first() -> None:
    ids = Ids(100)
    there = 30 * FAR

    assert ids.see(there, NOW) == (Seen.WILD, None)
    assert ids.see(there + 1, NOW) == (Seen.NEXT, (101, there))
    assert ids.see(there + 2, NOW) == (Seen.NEXT, None)


def test_ids_that_restart_far_below_are_accepted_from_the_second_on() -> None:
    ids = Ids(3_000_000_000, NOW)

    assert ids.see(0, NOW + 1) == (Seen.WILD, None)
    assert ids.see(1, NOW + 2) == (Seen.RESTART, (0, 0))
    assert ids.see(2, NOW + 3) == (Seen.NEXT, None)


@given(
    interval=st.sampled_from(["1m", "1h", "3d", "1w", "1M"]),
    present=st.lists(st.sampled_from(["closed", "open", "lost"]), min_size=1, max_size=40),
)
def test_every_kline_before_the_last_close_was_received_or_is_in_a_gap(interval: str, present: list[str]) -> None:
    at = 1_767_225_600_000 if interval != "1w" else 1_767_571_200_000  # 2026-01-01; a Monday
    closes = Closes(interval, intervals.preceding(interval, at))
    first, taken, missing = at, set(), set()
    for what in present:
        if what != "lost":
            gap = closes.see(at, closed=what == "closed")
            if what == "closed":
                taken.add(at)
            if gap is not None:
                missing |= set(between(interval, *gap))
        at = intervals.following(interval, at)
    assert closes.last is not None
    assert taken | missing == set(between(interval, first, closes.last))
    assert not taken & missing


def between(interval: str, first: int, last: int) -> list[int]:
    found = []
    while first <= last:
        found.append(first)
        first = intervals.following(interval, first)
    assert len(found) == intervals.count(interval, found[0], last) if found else True
    return found


def test_an_open_kline_reveals_a_missed_close() -> None:
    closes = Closes("1h", 0)

    assert closes.see(3 * 3_600_000, closed=False) == (3_600_000, 2 * 3_600_000)
    assert closes.see(3 * 3_600_000, closed=True) is None


def test_a_kline_off_the_interval_grid_neither_makes_nor_hides_a_gap() -> None:
    closes = Closes("1h", 0)
    hour = 3_600_000

    assert closes.see(hour + 838, closed=True) is None
    assert closes.see(2 * hour, closed=True) is None
    assert closes.see(4 * hour + 838, closed=True) == (3 * hour, 3 * hour)


@given(interval=st.sampled_from([*intervals.LENGTH_MS, "1M"]), at=st.integers(10**12, 2 * 10**12))
def test_every_moment_belongs_to_the_kline_that_opens_before_it(interval: str, at: int) -> None:
    opening = intervals.opening(interval, at)

    assert opening <= at < intervals.end(interval, at)
    assert intervals.opening(interval, opening) == opening
    assert intervals.end(interval, opening) == intervals.following(interval, opening)


def test_the_size_of_a_gap_is_counted_in_rows() -> None:
    assert Gap("recent_trades", "X", "", 5, 9).size == 5
    assert Gap("klines", "X", "1m", 0, 120_000).size == 3
    assert Gap("klines", "X", "1M", 1_767_225_600_000, 1_772_323_200_000).size == 3  # January to March

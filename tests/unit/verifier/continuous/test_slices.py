"""Which slices are proven next, and which proofs can be merged."""

import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptocdc_adapters.postgres.proofs import Proof
from cryptocdc_core.catalogue import by_table
from cryptocdc_core.storage.windows import Window, partitions_of, subtract
from cryptocdc_verifier.comparing.pace import Pace
from cryptocdc_verifier.continuous.proofs import merged
from cryptocdc_verifier.continuous.slices import (
    FEW_ROWS,
    GRACE_MS,
    HOUR_MS,
    LENGTHS,
    MANY_ROWS,
    MINUTE_MS,
    cut,
    full_hours,
    next_length,
    provable,
    proven_through,
    unproven_s,
)

DAY = 24 * HOUR_MS
spans = st.tuples(st.integers(0, 50), st.integers(1, 20)).map(lambda pair: Window(pair[0], pair[0] + pair[1]))


def proof(start, end, rows=1):
    return Proof(Window(start, end), rows, rows * 10, 7)


@given(st.lists(spans), st.lists(spans))
def test_subtraction_leaves_exactly_what_is_not_taken(windows, taken):
    left = subtract(windows, taken)
    for at in range(80):
        wanted = any(at in window for window in windows) and not any(at in window for window in taken)
        assert any(at in window for window in left) == wanted


def test_minutes_are_provable_once_the_grace_period_has_passed():
    now = 10 * DAY + 5 * MINUTE_MS + GRACE_MS
    assert provable([9 * DAY, 10 * DAY], 0, now) == [Window(9 * DAY, 10 * DAY), Window(10 * DAY, now - GRACE_MS)]
    assert provable([10 * DAY], 0, now - 1)[-1].end == 10 * DAY + 4 * MINUTE_MS


def test_days_without_a_partition_and_hours_about_to_expire_are_not_provable():
    assert provable([3 * DAY], 3 * DAY + HOUR_MS + 1, 5 * DAY) == [Window(3 * DAY + 2 * HOUR_MS, 4 * DAY)]


def test_proven_through_is_the_start_of_the_first_unproven_range():
    wanted = [Window(0, DAY), Window(3 * DAY, 4 * DAY)]
    assert proven_through(wanted, []) == 0
    assert proven_through(wanted, [proof(0, HOUR_MS), proof(2 * HOUR_MS, DAY)]) == HOUR_MS
    assert proven_through(wanted, [proof(0, DAY)]) == 3 * DAY
    assert proven_through(wanted, [proof(0, DAY), proof(3 * DAY, 4 * DAY)]) == 4 * DAY
    assert proven_through([], []) is None


def test_proof_behind_counts_only_what_can_be_proven_by_now():
    now = 10 * DAY + 5 * MINUTE_MS + GRACE_MS + 59_000
    assert unproven_s([10 * DAY], 0, now, 10 * DAY + 5 * MINUTE_MS) == 0, "the sixth minute can't be proven yet"
    assert unproven_s([10 * DAY], 0, now, 10 * DAY + 3 * MINUTE_MS) == 120
    assert unproven_s([10 * DAY], 0, 13 * DAY, 11 * DAY) == 0, "nothing was captured since: there is nothing to prove"
    assert unproven_s([], 0, now, 10 * DAY) == 0


@given(st.integers(0, 200), st.integers(1, 400), st.sampled_from(LENGTHS))
def test_slices_cover_an_unproven_range_and_never_cross_an_hour(start, minutes, length):
    gap = Window(start * MINUTE_MS, (start + minutes) * MINUTE_MS)
    slices = list(cut(gap, length))
    assert slices[0].start == gap.start
    assert slices[-1].end == gap.end
    assert all(left.end == right.start for left, right in pairwise(slices))
    assert all(s.start // HOUR_MS == (s.end - 1) // HOUR_MS for s in slices)


def test_slices_grow_with_few_rows_and_shrink_with_many():
    assert next_length(5, MANY_ROWS + 1) == 2
    assert next_length(5, FEW_ROWS - 1) == 10
    assert next_length(5, FEW_ROWS) == 5
    assert (next_length(1, MANY_ROWS + 1), next_length(60, 0)) == (1, 60)


def test_only_completely_proven_hours_are_merged():
    half = HOUR_MS // 2
    whole = [proof(0, half, 1), proof(half, HOUR_MS, 2)]
    holed = [proof(HOUR_MS, HOUR_MS + 1), proof(HOUR_MS + 2, 2 * HOUR_MS)]
    single = [proof(2 * HOUR_MS, 3 * HOUR_MS)]
    assert full_hours([*whole, *holed, *single]) == [whole]
    assert merged(whole) == Proof(Window(0, HOUR_MS), 3, 30, 7)


def test_rows_are_limited_to_the_pace():
    now = [0.0]

    def wait(seconds):
        now[0] += seconds

    pace = Pace(1000, threading.Event(), lambda: now[0], wait)
    for _ in range(50):
        pace(100)
    assert now[0] == pytest.approx(5)
    now[0] += 100  # a pause is not followed by a burst
    for _ in range(10):
        pace(100)
    assert now[0] == pytest.approx(106)


def test_one_second_candles_are_read_by_day_and_others_by_month():
    klines, november = by_table("klines"), 1_793_491_200_000
    window = Window(november + DAY + 1, november + 3 * DAY)
    seconds = partitions_of(klines, ("BTCUSDT", "1s"), window)
    assert [partition.bucket for partition in seconds] == [november + DAY, november + 2 * DAY]
    assert seconds[0].window(klines) == Window(november + DAY, november + 2 * DAY)
    (minutes,) = partitions_of(klines, ("BTCUSDT", "1m"), window)
    assert minutes.window(klines) == Window(november, november + 30 * DAY)

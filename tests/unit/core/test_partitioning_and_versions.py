"""Kafka's murmur2; and versions, of which the greater wins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptocdc_core.catalogue import Bucket
from cryptocdc_core.rows.versions import FUTURE_TOLERANCE_MS, SETTLE_MS, Rank, deletion_version, kline_version, version
from cryptocdc_core.storage.partitioning import murmur2, partition_of


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        # org.apache.kafka.common.utils.UtilsTest.testMurmur2
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_equals_kafkas(key, signed):
    assert murmur2(key) == signed % 2**32


@given(st.text("ABCXYZ019_.-", min_size=1, max_size=20), st.integers(1, 96))
def test_the_partition_of_a_symbol_is_in_range(symbol, partitions):
    assert 0 <= partition_of(symbol, partitions) < partitions


times = st.integers(0, 2**42)
ranks = st.sampled_from(Rank)


@given(times, times, ranks, ranks)
def test_a_later_event_outranks_any_rank_of_an_earlier_one(a, b, one, other):
    if a != b:
        assert (version(a, one) < version(b, other)) == (a < b)
    assert (version(a, one) < version(a, other)) == (one < other)


@given(times, times, times, times)
def test_a_closed_kline_outranks_every_open_one_and_the_final_outranks_both(end, open_at, closed_at, final_at):
    opened = kline_version(open_at, end, Rank.OPEN)
    closed = kline_version(closed_at, end, Rank.CLOSED)
    final = kline_version(final_at, end, Rank.FINAL)
    assert opened < closed < final


@given(times, times, st.integers(1, 2**30))
def test_the_later_of_two_final_responses_wins(end, asked, later):
    assert kline_version(end + asked, end, Rank.FINAL) < kline_version(end + asked + later, end, Rank.FINAL)


@given(
    st.integers(1, 2**42),
    st.integers(-10_000, SETTLE_MS - SETTLE_MS // 500 - 1),
    st.integers(SETTLE_MS // 1000, SETTLE_MS),
)
def test_the_later_of_two_open_responses_wins_even_after_the_interval(end, asked, later):
    if asked + later < SETTLE_MS - SETTLE_MS // 1000:  # the last two thousandths share a version
        first, second = kline_version(end + asked, end, Rank.OPEN), kline_version(end + asked + later, end, Rank.OPEN)
        assert first < second < kline_version(end, end, Rank.CLOSED)


@given(times, times, times)
def test_the_same_close_has_the_same_version_from_any_source(close, a, b):
    assert kline_version(a, close, Rank.CLOSED) == kline_version(b, close, Rank.CLOSED)


@given(times, st.integers(0, FUTURE_TOLERANCE_MS - 1), ranks)
def test_a_delete_outranks_a_row_from_a_clock_ahead_of_ours(now, ahead, rank):
    assert deletion_version(now * 1000) > version(now + ahead, rank)


@given(st.integers(0, 2**42), st.sampled_from(Bucket))
def test_every_moment_is_in_exactly_one_bucket(at, bucket):
    start = bucket.floor(at)
    assert start <= at < bucket.next(start)
    assert bucket.floor(start) == start
    assert bucket.floor(bucket.next(start)) == bucket.next(start)

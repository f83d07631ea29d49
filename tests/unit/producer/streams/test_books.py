"""The local order book, compared with a naive one that keeps every level."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.producer.books import DEPTH, INTERVAL, START, Levels, depth
from tests.unit.producer.conftest import BINANCE

from cryptocdc_core.rows.typed import OrderBookRow
from cryptocdc_core.rows.versions import version
from cryptocdc_exchanges.port import BookSnapshot, BookUpdate
from cryptocdc_producer.streams.book import FAR, Applied, Book, Side

quantities = st.sampled_from(["0.000", "0", "1.500", "2.0", "0.001"])


def changes(lowest: int, highest: int) -> st.SearchStrategy[Levels]:
    prices = st.integers(lowest, highest).map(lambda n: f"{n}.00")
    return st.lists(st.tuples(prices, quantities), max_size=8, unique_by=lambda level: level[0])


bids_changes, asks_changes = changes(1, 30), changes(31, 60)
diffs = st.lists(
    st.tuples(bids_changes, asks_changes, st.integers(1, 700), st.integers(1, 3)),
    min_size=1,
    max_size=40,
)
"""Of each: bids, asks, ms since the one before, update ids it spans."""


class Naive:
    """Every level in one dictionary, sorted on each access."""

    def __init__(self, bids: Levels, asks: Levels) -> None:
        self.sides = [dict(bids), dict(asks)]

    def apply(self, diff: BookUpdate) -> None:
        for side, levels in zip(self.sides, (diff.bids, diff.asks), strict=True):
            for price, quantity in levels:
                side[price] = quantity

    def top(self) -> tuple[list[str], list[str], list[str], list[str]]:
        found: list[list[str]] = []
        for side, descending in zip(self.sides, (True, False), strict=True):
            levels = sorted(
                ((p, q) for p, q in side.items() if Decimal(q) != 0), key=lambda at: Decimal(at[0]), reverse=descending
            )[:DEPTH]
            found += [[p for p, _ in levels], [q for _, q in levels]]
        return found[0], found[1], found[2], found[3]


def held_by(row: OrderBookRow) -> tuple[object, ...]:
    return (
        row.last_update_id, row.bid_prices, row.bid_quantities, row.ask_prices, row.ask_quantities, row.event_time
    )  # fmt: skip


@settings(max_examples=40)
@given(bids=bids_changes, asks=asks_changes, sequence=diffs, snapshot_after=st.integers(0, 10))
def test_each_bucket_s_row_equals_a_naive_book_after_its_last_diff(
    bids: Levels, asks: Levels, sequence: list[tuple[Levels, Levels, int, int]], snapshot_after: int
) -> None:
    """The snapshot arrives after any number of diffs, each of which it may already contain."""
    at, next_id, stream = 1_000_000, 100, []
    for bid_changes, ask_changes, later, span in sequence:
        at += later
        stream.append(depth(next_id, next_id + span - 1, bid_changes, ask_changes, at))
        next_id += span
    held = stream[:snapshot_after]
    truth = Naive(bids, asks)
    for diff in held:
        truth.apply(diff)
    last_id = held[-1].last_id if held else 99
    snapshot = [[(p, q) for p, q in side.items() if Decimal(q) != 0] for side in truth.sides]
    expected = {}
    for diff in stream[snapshot_after:]:
        truth.apply(diff)
        expected[diff.event_time - diff.event_time % INTERVAL] = (diff.last_id, *truth.top(), diff.event_time)

    book = Book("X", DEPTH, INTERVAL, BINANCE.order_book)
    arrived_before = min(snapshot_after, len(stream))
    rows = [row for diff in stream[:arrived_before] if (row := book.receive(diff, diff.event_time)[1])]
    enough, more = book.load(BookSnapshot(last_id, *snapshot))
    assert enough
    rows += more
    rows += [row for diff in stream[arrived_before:] if (row := book.receive(diff, diff.event_time)[1])]
    if (last := book.flush()) is not None:
        rows.append(last)

    assert {row.bucket_time: held_by(row) for row in rows} == expected
    assert [row.bucket_time for row in rows] == sorted(expected)
    assert all(row.version == version(row.event_time) for row in rows)


@settings(max_examples=20)
@given(sequence=diffs)
def test_a_diff_sent_twice_changes_nothing(sequence: list[tuple[Levels, Levels, int, int]]) -> None:
    """Two overlapping connections deliver each diff twice, the second time perhaps late."""
    once, twice = Book("X", DEPTH, INTERVAL, BINANCE.order_book), Book("X", DEPTH, INTERVAL, BINANCE.order_book)
    for book in (once, twice):
        book.load(BookSnapshot(0, [], []))
    at, next_id, before = 0, 1, None
    for bids, asks, later, span in sequence:
        at += later
        diff = depth(next_id, next_id + span - 1, bids, asks, at)
        next_id += span
        _, row = once.receive(diff, at)
        assert twice.receive(diff, at)[1] == row
        for again in (diff, before):
            if again is not None:
                assert twice.receive(again, at) == (Applied.IGNORED, None)
        before = diff
    assert twice.flush() == once.flush()


def test_a_snapshot_older_than_the_first_diff_is_refused() -> None:
    book = Book("X", DEPTH, INTERVAL, BINANCE.order_book)
    assert book.receive(depth(11, 12, [], []), 0)[0] is Applied.BUFFERED

    assert book.load(BookSnapshot(9, [("1.0", "1")], []))[0] is False
    assert not book.synced
    assert book.load(BookSnapshot(10, [("1.0", "1")], []))[0] is True


def test_a_book_that_waits_long_for_its_snapshot_keeps_the_newest_diffs() -> None:
    book = Book("X", DEPTH, INTERVAL, BINANCE.order_book)
    for number in range(1, 1001):
        book.receive(depth(number, number, [("1.0", "1")], [], number * 100), 0)

    assert book.load(BookSnapshot(399, [], []))[0] is False
    assert book.load(BookSnapshot(400, [], []))[0] is True
    assert book.flush().last_update_id == 1000  # type: ignore[union-attr]


def test_a_skipped_update_id_ends_the_bucket_and_requests_a_snapshot() -> None:
    book = Book("X", DEPTH, INTERVAL, BINANCE.order_book)
    book.load(BookSnapshot(10, [("1.0", "1")], []))
    book.receive(depth(11, 12, [("2.0", "1")], [], at=500), 0)

    applied, row = book.receive(depth(14, 15, [("3.0", "1")], [], at=600), 0)

    assert applied is Applied.GAP
    assert row is not None
    assert (row.last_update_id, row.bid_prices) == (12, ["2.0", "1.0"])
    assert not book.synced
    assert book.load(BookSnapshot(14, [("3.0", "1")], [])) == (True, [])
    assert book.flush().last_update_id == 15  # type: ignore[union-attr]


def test_a_gap_while_the_snapshot_is_fetched_requests_another_one() -> None:
    book = Book("X", DEPTH, INTERVAL, BINANCE.order_book)
    book.receive(depth(11, 12, [], []), 0)
    book.receive(depth(15, 16, [], []), 0)

    assert book.load(BookSnapshot(11, [], []))[0] is False
    assert book.load(BookSnapshot(15, [], []))[0] is True


def test_levels_beyond_a_full_snapshot_are_not_guessed() -> None:
    """Once the whole known range is used up, the book is fetched again instead of showing levels with gaps between."""
    book = Book("X", 2, INTERVAL, BINANCE.order_book)
    book.load(BookSnapshot(10, [(f"{n}.0", "1") for n in range(10, 4, -1)], [("11.0", "1")]), 6)
    assert book.receive(depth(11, 11, [("2.0", "9")], []), 0)[0] is Applied.APPLIED
    eaten = [(f"{n}.0", "0") for n in range(10, 5, -1)]

    assert book.receive(depth(12, 12, eaten, []), 0)[0] is Applied.EXHAUSTED
    assert book.flush() is None


def test_a_side_that_grows_too_large_keeps_its_best_levels() -> None:
    side = Side(best=1)
    side.load([], 1000)
    side.apply([(f"{n}", "1") for n in range(1, 4002)])

    assert side.top(2) == [("4001", "1"), ("4000", "1")]
    assert side.knows(1000)
    assert not side.knows(1001)


def test_the_same_price_with_other_digits_is_the_same_level() -> None:
    book = Book("X", DEPTH, INTERVAL, BINANCE.order_book)
    book.load(BookSnapshot(0, [("1.50", "1")], []))
    book.receive(depth(1, 1, [("1.500", "0.00")], [("2", "1")]), 0)

    row = book.flush()
    assert row is not None
    assert (row.bid_prices, row.ask_prices) == ([], ["2"])


def test_a_clock_that_steps_back_never_lowers_a_version() -> None:
    book = Book("X", DEPTH, INTERVAL, BINANCE.order_book)
    book.load(BookSnapshot(0, [], []))
    book.receive(depth(1, 1, [("1", "1")], [], at=1900), 0)
    book.receive(depth(2, 2, [("2", "1")], [], at=1800), 0)
    book.receive(depth(3, 3, [("3", "1")], [], at=900), 0)

    row = book.flush()

    assert row is not None
    assert (row.bucket_time, row.last_update_id, row.event_time) == (1000, 3, 1900)


def followed(last_id: int = 9_000_000, diffs: int = 4) -> Book:
    """A book that has followed `diffs` diffs, one update id and 100 ms each, since its snapshot."""
    book = Book("X", DEPTH, INTERVAL, BINANCE.order_book)
    book.load(BookSnapshot(last_id, [("1.0", "1")], [("2.0", "1")]))
    for number in range(1, diffs + 1):
        at = START - (diffs - number) * 100
        assert book.receive(depth(last_id + number, last_id + number, [], [], at), at)[0] is Applied.APPLIED
    return book


def test_a_book_whose_update_ids_restart_recovers_with_a_snapshot() -> None:
    """At update id 9000004; then 1 to 2, 3, 4 and so on: 581 diffs."""
    book = followed()
    at, found, rows = START, [], []
    for number in range(1, 582):
        at += 100
        applied, row = book.receive(depth(1 if number == 1 else number + 1, number + 1, [], [], at), at)
        found.append(applied)
        rows += [row] if row is not None else []
        if applied is Applied.RESTART:
            assert book.load(BookSnapshot(number + 1, [("1.5", "7")], [("2.0", "1")])) == (True, [])

    assert found.count(Applied.RESTART) == 1
    assert found.index(Applied.RESTART) <= 10
    assert found[found.index(Applied.RESTART) + 1 :] == [Applied.APPLIED] * (580 - found.index(Applied.RESTART))
    assert [row.bucket_time for row in rows] == [START + n * INTERVAL for n in range(58)]
    assert rows[0].bid_prices == ["1.0"]
    assert rows[-1].bid_prices == ["1.5"]


def test_a_snapshot_from_before_the_update_ids_restarted_is_fetched_again() -> None:
    """No diff arrived in between: the snapshot itself is at 9000004."""
    book = Book("X", DEPTH, INTERVAL, BINANCE.order_book)
    book.load(BookSnapshot(9_000_004, [("1.0", "1")], [("2.0", "1")]))
    found = [
        book.receive(depth(number + 1, number + 1, [], [], START + number * 100), START + number * 100)[0]
        for number in range(581)
    ]

    assert found.count(Applied.STALLED) == 1
    assert found.index(Applied.STALLED) == 151
    assert set(found[152:]) == {Applied.BUFFERED}
    assert book.load(BookSnapshot(600, [], []))[0]


def test_a_late_stream_does_not_require_a_snapshot() -> None:
    """The exchange's REST is ahead of its stream, here by ten seconds."""
    book = Book("X", DEPTH, INTERVAL, BINANCE.order_book)
    book.receive(depth(1, 1, [], [], START), START)
    book.load(BookSnapshot(101, [("1.0", "1")], [("2.0", "1")]))

    found = [book.receive(depth(n, n, [], [], START + n * 100), START + n * 100)[0] for n in range(2, 110)]

    assert found == [Applied.IGNORED] * 100 + [Applied.APPLIED] * 8


def test_a_late_overlapping_connection_does_not_reset_the_book() -> None:
    """Another server may date the same changes slightly differently, and split them differently."""
    book = followed(diffs=100)
    late = [depth(9_000_000 + n, 9_000_001 + n, [], [], START - (100 - n) * 100 + 900) for n in range(1, 100)]

    assert {book.receive(diff, START)[0] for diff in late} == {Applied.IGNORED}
    assert book.receive(depth(9_000_101, 9_000_101, [], [], START + 100), START + 100)[0] is Applied.APPLIED


def test_update_ids_that_restart_while_the_snapshot_is_fetched_are_accepted() -> None:
    book = Book("X", DEPTH, INTERVAL, BINANCE.order_book)
    for number in range(5):
        book.receive(depth(9_000_000 + number, 9_000_000 + number, [], [], START + number * 100), 0)
    for number in range(1, 20):
        book.receive(depth(number, number, [], [], START + 400 + number * 100), 0)

    assert book.load(BookSnapshot(15, [("1.0", "1")], [])) == (True, [])
    assert book.receive(depth(20, 20, [], [], START + 2400), 0)[0] is Applied.APPLIED


def test_an_update_id_absurdly_far_ahead_is_not_accepted_alone() -> None:
    book = followed()

    assert book.receive(depth(2**62, 2**62, [("1.9", "1")], [], START + 100), 0) == (Applied.WILD, None)
    assert book.receive(depth(9_000_005, 9_000_005, [], [], START + 200), 0)[0] is Applied.APPLIED
    assert book.flush().bid_prices == ["1.0"]  # type: ignore[union-attr]


def test_update_ids_that_continue_far_ahead_are_accepted_after_a_snapshot() -> None:
    book = followed()
    first = 9_000_004 + 2 * FAR

    assert book.receive(depth(first, first, [], [], START + 100), 0)[0] is Applied.WILD
    applied, row = book.receive(depth(first + 1, first + 1, [], [], START + 200), 0)

    assert applied is Applied.FAR
    assert row is not None
    assert book.load(BookSnapshot(first + 1, [("1.0", "1")], [])) == (True, [])
    assert book.receive(depth(first + 2, first + 2, [], [], START + 300), 0)[0] is Applied.APPLIED


def test_an_implausible_id_during_a_fetch_does_not_make_all_snapshots_stale() -> None:
    book = Book("X", DEPTH, INTERVAL, BINANCE.order_book)
    assert book.receive(depth(100, 100, [], [], START), 0)[0] is Applied.BUFFERED
    assert book.receive(depth(2**62, 2**62, [], [], START + 100), 0)[0] is Applied.WILD
    assert book.receive(depth(101, 101, [], [], START + 200), 0)[0] is Applied.BUFFERED

    assert book.load(BookSnapshot(100, [], []))[0]

    first = Book("X", DEPTH, INTERVAL, BINANCE.order_book)
    first.receive(depth(2**62, 2**62, [], [], START), 0)
    for number in range(20):
        first.receive(depth(number, number, [], [], START + 100 + number * 100), 0)
    assert first.load(BookSnapshot(19, [], []))[0]


@pytest.mark.parametrize("best_ask", ["1.0", "0.9"])
def test_a_crossed_book_makes_no_row_and_waits_for_a_snapshot(best_ask: str) -> None:
    book = followed()
    book.receive(depth(9_000_005, 9_000_005, [], [(best_ask, "1")], START + 100), 0)

    applied, row = book.receive(depth(9_000_006, 9_000_006, [], [], START + 1000), 0)

    assert (applied, row) == (Applied.CROSSED, None)
    assert book.load(BookSnapshot(9_000_006, [("1.0", "1")], [("2.0", "1")])) == (True, [])
    assert book.receive(depth(9_000_007, 9_000_007, [], [], START + 1100), 0)[0] is Applied.APPLIED
    row = book.flush()
    assert row is not None
    assert (row.bid_prices, row.ask_prices) == (["1.0"], ["2.0"])


def test_a_book_that_is_crossed_when_flushed_is_discarded() -> None:
    book = followed()
    book.receive(depth(9_000_005, 9_000_005, [("2.5", "1")], [], START + 100), 0)

    assert book.flush() is None
    assert not book.synced


def test_a_book_that_the_exchange_reports_as_crossed_is_stored_as_reported() -> None:
    """As in an auction before trading. Once it is no longer crossed, a crossed book is an error again."""
    book = Book("X", DEPTH, INTERVAL, BINANCE.order_book)
    book.load(BookSnapshot(1, [("3.0", "1")], [("2.0", "1")]))
    for number, asks in ((2, []), (3, [("2.0", "0"), ("4.0", "1")]), (4, [("2.5", "1")])):
        book.receive(depth(number, number, [], asks, START + number * INTERVAL), 0)
    found = book.receive(depth(5, 5, [], [], START + 5 * INTERVAL), 0)

    assert found == (Applied.CROSSED, None)


def test_a_crossed_snapshot_makes_rows() -> None:
    book = Book("X", DEPTH, INTERVAL, BINANCE.order_book)
    book.load(BookSnapshot(1, [("3.0", "1")], [("2.0", "1")]))
    book.receive(depth(2, 2, [], [], START), 0)

    row = book.flush()
    assert row is not None
    assert (row.bid_prices, row.ask_prices) == (["3.0"], ["2.0"])

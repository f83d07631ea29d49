"""The local order book against a naive one that knows everything."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptocdc_core.versions import version
from cryptocdc_producer import books
from cryptocdc_producer.books import Applied, Book, Side
from cryptocdc_producer.frames import Depth

Levels = list[tuple[str, str]]
INTERVAL = 1000
DEPTH = 5

prices = st.integers(1, 60).map(lambda n: f"{n}.00")
quantities = st.sampled_from(["0.000", "0", "1.500", "2.0", "0.001"])
changes = st.lists(st.tuples(prices, quantities), max_size=8, unique_by=lambda level: level[0])
diffs = st.lists(
    st.tuples(changes, changes, st.integers(1, 700), st.integers(1, 3)),
    min_size=1,
    max_size=40,
)
"""Of each: bids, asks, ms since the one before, update ids it spans."""


def depth(first: int, last: int, bids: Levels, asks: Levels, at: int = 0) -> Depth:
    return Depth(event_time=at, symbol="X", first_id=first, last_id=last, bids=bids, asks=asks)


class Naive:
    """Every level in one dictionary, sorted anew for each look."""

    def __init__(self, bids: Levels, asks: Levels) -> None:
        self.sides = [dict(bids), dict(asks)]

    def apply(self, diff: Depth) -> None:
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


@settings(max_examples=40)
@given(bids=changes, asks=changes, sequence=diffs, snapshot_after=st.integers(0, 10))
def test_each_bucket_s_row_is_what_a_naive_book_holds_after_its_last_diff(
    bids: Levels, asks: Levels, sequence: list[tuple[Levels, Levels, int, int]], snapshot_after: int
) -> None:
    """The snapshot comes after any number of diffs, each of which it may or may not hold already."""
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

    book = Book("X", DEPTH, INTERVAL)
    arrived_before = min(snapshot_after, len(stream))
    rows = [row for diff in stream[:arrived_before] if (row := book.receive(diff, diff.event_time)[1])]
    enough, more = book.load(last_id, *snapshot)
    assert enough
    rows += more
    rows += [row for diff in stream[arrived_before:] if (row := book.receive(diff, diff.event_time)[1])]
    if (last := book.flush()) is not None:
        rows.append(last)

    assert {row[1]: (row[2], *row[3:7], row[7]) for row in rows} == expected
    assert [row[1] for row in rows] == sorted(expected)
    assert all(row[9] == version(row[7]) for row in rows)


@settings(max_examples=20)
@given(sequence=diffs)
def test_a_diff_sent_twice_changes_nothing(sequence: list[tuple[Levels, Levels, int, int]]) -> None:
    """Two connections that overlap bring each diff twice, the second time perhaps late."""
    once, twice = Book("X", DEPTH, INTERVAL), Book("X", DEPTH, INTERVAL)
    for book in (once, twice):
        book.load(0, [], [])
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


def test_a_snapshot_older_than_the_first_diff_is_not_taken() -> None:
    book = Book("X", DEPTH, INTERVAL)
    assert book.receive(depth(11, 12, [], []), 0)[0] is Applied.BUFFERED

    assert book.load(9, [("1.0", "1")], [])[0] is False
    assert not book.synced
    assert book.load(10, [("1.0", "1")], [])[0] is True


def test_a_skipped_update_id_ends_the_bucket_and_asks_for_a_snapshot() -> None:
    book = Book("X", DEPTH, INTERVAL)
    book.load(10, [("1.0", "1")], [])
    book.receive(depth(11, 12, [("2.0", "1")], [], at=500), 0)

    applied, row = book.receive(depth(14, 15, [("3.0", "1")], [], at=600), 0)

    assert applied is Applied.GAP
    assert row is not None
    assert row[2:4] == (12, ["2.0", "1.0"])
    assert not book.synced
    assert book.load(14, [("3.0", "1")], []) == (True, [])
    assert book.flush()[2] == 15  # type: ignore[index]


def test_diffs_that_skip_while_the_snapshot_was_on_its_way_ask_for_another() -> None:
    book = Book("X", DEPTH, INTERVAL)
    book.receive(depth(11, 12, [], []), 0)
    book.receive(depth(15, 16, [], []), 0)

    assert book.load(11, [], [])[0] is False
    assert book.load(15, [], [])[0] is True


def test_levels_beyond_a_full_snapshot_are_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the whole known range eaten up the book is fetched anew instead of showing levels with holes between."""
    monkeypatch.setattr(books, "SNAPSHOT_LEVELS", 6)
    book = Book("X", 2, INTERVAL)
    book.load(10, [(f"{n}.0", "1") for n in range(10, 4, -1)], [("11.0", "1")])
    assert book.receive(depth(11, 11, [("2.0", "9")], []), 0)[0] is Applied.APPLIED
    eaten = [(f"{n}.0", "0") for n in range(10, 5, -1)]

    assert book.receive(depth(12, 12, eaten, []), 0)[0] is Applied.EXHAUSTED
    assert book.flush() is None


def test_a_side_that_grew_is_pruned_to_its_best() -> None:
    side = Side(best=1)
    side.load([], books.SNAPSHOT_LEVELS)
    side.apply([(f"{n}", "1") for n in range(1, 4 * books.SNAPSHOT_LEVELS + 2)])

    assert side.top(2) == [(f"{4 * books.SNAPSHOT_LEVELS + 1}", "1"), (f"{4 * books.SNAPSHOT_LEVELS}", "1")]
    assert side.knows(books.SNAPSHOT_LEVELS)
    assert not side.knows(books.SNAPSHOT_LEVELS + 1)


def test_the_same_price_written_otherwise_is_the_same_level() -> None:
    book = Book("X", DEPTH, INTERVAL)
    book.load(0, [("1.50", "1")], [])
    book.receive(depth(1, 1, [("1.500", "0.00")], [("2", "1")]), 0)

    assert book.flush()[3:6] == ([], [], ["2"])  # type: ignore[index]


def test_a_clock_that_steps_back_never_lowers_a_version() -> None:
    book = Book("X", DEPTH, INTERVAL)
    book.load(0, [], [])
    book.receive(depth(1, 1, [("1", "1")], [], at=1900), 0)
    book.receive(depth(2, 2, [("2", "1")], [], at=1800), 0)
    book.receive(depth(3, 3, [("3", "1")], [], at=900), 0)

    row = book.flush()

    assert row is not None
    assert (row[1], row[2], row[7]) == (1000, 3, 1900)

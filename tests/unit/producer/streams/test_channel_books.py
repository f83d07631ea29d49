"""Order books whose snapshots arrive over their channel."""

from __future__ import annotations

from tests.unit.producer.books import DEPTH, INTERVAL, START, Levels, depth

from cryptocdc_exchanges.chains import consecutive, in_order
from cryptocdc_exchanges.port import BookUpdate, OrderBook
from cryptocdc_producer.streams.book import Applied, Book


def channel_book() -> Book:
    """A book whose snapshots arrive over its channel."""
    return Book("X", DEPTH, INTERVAL, OrderBook("channel", (), consecutive))


def snapshot(last_id: int, bids: Levels, at: int) -> BookUpdate:
    return BookUpdate(symbol="X", event_time=at, first_id=0, last_id=last_id, bids=bids, asks=[], snapshot=True)


def test_a_snapshot_from_the_channel_replaces_the_book_and_updates_follow_it() -> None:
    book = channel_book()
    assert book.receive(snapshot(10, [("1.0", "1")], START), START) == (Applied.SNAPSHOT, None)
    assert book.receive(depth(11, 12, [("2.0", "1")], [], START + 1), START)[0] is Applied.APPLIED
    assert book.receive(depth(14, 14, [], [], START + 2), START)[0] is Applied.GAP
    assert not book.synced
    assert book.receive(snapshot(20, [("3.0", "1")], START + 1000), START)[0] is Applied.SNAPSHOT

    book.receive(depth(21, 21, [], [], START + 1001), START)
    row = book.flush()
    assert row is not None
    assert (row.bid_prices, row.last_update_id) == (["3.0"], 21)


def test_a_snapshot_with_neither_id_nor_time_replaces_the_book() -> None:
    book = Book("X", DEPTH, INTERVAL, OrderBook("channel", (), in_order))
    for price in ("1.0", "2.0"):
        assert book.receive(snapshot(0, [(price, "1")], START), START)[0] is Applied.SNAPSHOT
        at = START + 500
        assert book.receive(depth(at, at, [], [("9.0", "1")], at), at)[0] is Applied.APPLIED

    row = book.flush()
    assert row is not None
    assert (row.bid_prices, row.ask_prices) == (["2.0"], ["9.0"])


def test_an_older_snapshot_of_another_connection_changes_nothing() -> None:
    book = channel_book()
    book.receive(snapshot(10, [("1.0", "1")], START), START)
    book.receive(depth(11, 12, [("2.0", "1")], [], START + 500), START)

    assert book.receive(snapshot(11, [("1.5", "1")], START + 400), START) == (Applied.IGNORED, None)
    assert book.receive(depth(13, 13, [], [], START + 600), START)[0] is Applied.APPLIED


def test_an_announced_restart_of_update_ids_is_accepted() -> None:
    book = channel_book()
    book.receive(snapshot(100, [("1.0", "1")], START), START)

    assert book.receive(depth(101, 3, [("2.0", "1")], [], START + 1), START)[0] is Applied.APPLIED
    assert book.receive(depth(4, 5, [], [], START + 2), START)[0] is Applied.APPLIED


def test_an_update_without_changes_keeps_the_book_and_makes_no_row() -> None:
    book = channel_book()
    book.receive(snapshot(100, [("1.0", "1")], START), START)

    for later in (60_000, 120_000):
        assert book.receive(depth(101, 100, [], [], START + later), START) == (Applied.APPLIED, None)
    assert not book.pending
    assert book.receive(depth(101, 107, [("2.0", "1")], [], START + 120_100), START)[0] is Applied.APPLIED


def test_an_update_without_changes_reveals_a_missed_update() -> None:
    book = channel_book()
    book.receive(snapshot(100, [("1.0", "1")], START), START)

    assert book.receive(depth(108, 107, [], [], START + 60_000), START)[0] is Applied.GAP


def test_a_book_whose_updates_have_no_ids_makes_rows_without_them() -> None:
    book = Book("X", DEPTH, INTERVAL, OrderBook("channel", (), in_order))
    common = {"symbol": "X", "event_time": START, "first_id": START, "last_id": START, "asks": [], "numbered": False}
    book.receive(BookUpdate(**common, bids=[("1.0", "1")], snapshot=True), START)  # type: ignore[arg-type]

    assert book.receive(BookUpdate(**common, bids=[("2.0", "1")]), START)[0] is Applied.APPLIED  # type: ignore[arg-type]
    row = book.flush()
    assert row is not None
    assert (row.bid_prices, row.last_update_id) == (["2.0", "1.0"], None)

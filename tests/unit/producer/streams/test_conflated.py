"""Best bids and asks, mark prices: the last one of each interval, in order, and nothing lost at the end."""

from __future__ import annotations

from typing import Any

import pytest
from tests.rows import make_row
from tests.unit.producer.conftest import NOW, make_capture, make_feed

from cryptocdc_core.rows.typed import BestQuotesRow, MarkPricesRow
from cryptocdc_producer.streams.last_rows import REPEATED_MS, LastRows

INTERVAL_MS = 100


def quote(at_ms: int, update_id: int | None, **values: Any) -> BestQuotesRow:
    event = NOW + at_ms
    return make_row(BestQuotesRow, event_time=event, update_id=update_id, version=event * 1000, **values)


def written(*offered: BestQuotesRow, quotes: LastRows[BestQuotesRow] | None = None) -> list[int | None]:
    """Return the update ids of the rows written while these arrive, and of those held at the end."""
    quotes = quotes or LastRows[BestQuotesRow](INTERVAL_MS)
    ended = [quotes.offer(row, 0.0)[0] for row in offered]
    last = quotes.release("BTCUSDT")
    return [row.update_id for row in [*ended, last] if row is not None]


def test_the_last_quote_of_each_interval_is_written() -> None:
    assert written(quote(0, 1), quote(40, 2), quote(99, 3), quote(100, 4), quote(250, 5)) == [3, 4, 5]


def test_quotes_replaced_within_an_interval_are_counted() -> None:
    quotes = LastRows[BestQuotesRow](INTERVAL_MS)
    assert [quotes.offer(quote(at, at), 0.0)[1] for at in (0, 40, 99, 100)] == [0, 1, 1, 0]


def test_a_quote_is_due_when_its_interval_is_over_and_only_once() -> None:
    quotes = LastRows[BestQuotesRow](INTERVAL_MS)
    quotes.offer(quote(0, 1), 5.0)
    assert quotes.due(5.05) == []
    assert [row.update_id for row in quotes.due(5.1)] == [1]
    assert quotes.due(9.0) == []
    assert quotes.release("BTCUSDT") is None


def test_a_later_quote_of_a_written_interval_is_written_with_a_higher_version() -> None:
    quotes = LastRows[BestQuotesRow](INTERVAL_MS)
    quotes.offer(quote(0, 1), 5.0)
    (first,) = quotes.due(6.0)
    quotes.offer(quote(0, 2), 6.0)  # of the same millisecond
    (second,) = quotes.due(7.0)
    assert (second.update_id, second.event_time) == (2, first.event_time)
    assert second.version > first.version


def test_versions_rise_though_the_clock_steps_back_a_little() -> None:
    quotes = LastRows[BestQuotesRow](INTERVAL_MS)
    rows = [quotes.offer(quote(at, number), 0.0)[0] for number, at in enumerate((110, 60, 20, 210, 300))]
    found = [row for row in rows if row is not None]
    assert [row.update_id for row in found] == [2, 3]
    assert sorted(row.version for row in found) == [row.version for row in found]


def test_a_clock_that_was_an_hour_ahead_delays_nothing() -> None:
    assert written(quote(3_600_000, 1), quote(0, 2), quote(100, 3)) == [1, 2, 3]


def test_a_quote_that_an_overlapping_connection_repeats_is_not_written_again() -> None:
    assert written(quote(0, 7), quote(100, 8), quote(150, 7), quote(200, 8)) == [7, 8]


def test_update_ids_that_restart_are_accepted() -> None:
    assert written(quote(0, 700), quote(REPEATED_MS + 1, 1), quote(REPEATED_MS + 101, 2)) == [700, 1, 2]


def test_quotes_without_update_ids_are_accepted() -> None:
    assert len(written(quote(0, None), quote(100, None), quote(200, None))) == 3


@pytest.mark.parametrize("ending", ["remove", "finish"])
def test_held_quotes_are_written_when_the_capture_ends(ending: str) -> None:
    it = make_capture(make_feed({"bestQuotes": {"interval": "10s"}}))
    frame = b'{"stream":"btcusdt@bookTicker","data":{"u":5,"s":"BTCUSDT","b":"1.5","B":"2","a":"1.6","A":"3"}}'
    it.receive(frame)
    assert it.rows("best_quotes") == []
    getattr(it.capture, ending)(*(["BTCUSDT"] if ending == "remove" else []))
    (row,) = it.rows("best_quotes")
    assert (row.update_id, row.bid_price, row.ask_price) == (5, "1.5", "1.6")
    assert (row.event_time, row.version) == (row.received_at, row.received_at * 1000)
    assert it.refused == []


def mark(at_ms: int) -> MarkPricesRow:
    return make_row(MarkPricesRow, event_time=NOW + at_ms, version=(NOW + at_ms) * 1000)


def test_a_mark_price_received_over_two_connections_is_written_once() -> None:
    last = LastRows[MarkPricesRow](1000)
    offered = [last.offer(mark(at), 0.0)[0] for at in (0, 0, 1000, 1000, 2000)]
    assert [row.event_time - NOW for row in offered if row is not None] == [0, 1000]

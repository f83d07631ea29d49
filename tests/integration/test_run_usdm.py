"""A whole run of USD-M perpetuals: disturbed at the simulator, and replayed from the recordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration import recorded
from tests.integration.conftest import Starter, feed_document
from tests.integration.test_run import TABLES, assert_equal, assert_no_gap, fault, finish, rows_in_cassandra, rows_of
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform


def test_perpetuals_that_were_cut_dropped_and_repeated_are_whole_and_equal(start: Starter) -> None:
    with start(feed_document("perpetuals", ["BTCUSDT", "ETHUSDT"], exchange="binance-usdm")) as it:
        assert it.applied.rest_url.endswith("/binance-usdm")
        wait_for("rows of every stream in Cassandra", lambda: all(rows_in_cassandra(it, t) for t in TABLES), 120)
        fault(it, "drop-trades", symbol="BTCUSDT", count=40)
        fault(it, "duplicate", count=100)
        fault(it, "depth-gap", symbol="BTCUSDT", count=3)
        wait_for("the gap filled", lambda: it.figures().gap_rows_filled > 0 and it.figures().gaps_open == 0, 90)
        fault(it, "cut")
        before = rows_in_cassandra(it, "order_book")
        wait_for("more order books", lambda: rows_in_cassandra(it, "order_book") > before + 4, 90)
        wait_for("no gap open", lambda: it.figures().gaps_open == 0, 90)
        result = finish(it)
        assert_no_gap(it, it.applied.symbols)
        query = f"SELECT DISTINCT bid_price FROM {it.plan.names.schema}.crypto_24h_stats"
        assert rows_of(it, query) == [(None,)], "the venue does not report it"

    assert_equal(result)
    assert set(result["counts"]) == TABLES


def test_recorded_perpetuals_run_through_exact_to_the_digit(start: Starter, futures_capture: Path) -> None:
    document = recorded.feed()
    document["metadata"]["name"] = "recorded-perpetuals"
    document["spec"] |= {"exchange": "binance-usdm", "symbols": {"names": ["SUSHIUSDT", "AKROUSDT"]}}
    with start(document, source=f"capture:{futures_capture}") as it:
        wait_for("the end of the capture", it.simulator.capture_finished, 120)  # type: ignore[union-attr]
        result = finish(it)
        books = recorded.stored_books(it)
        trades = recorded.stored(it, "recent_trades", "symbol, trade_id, price, quantity")

    assert_equal(result)
    assert sorted(map(tuple, trades)) == sorted(recorded.expected_trades(futures_capture))
    assert books == recorded.expected_books(futures_capture)

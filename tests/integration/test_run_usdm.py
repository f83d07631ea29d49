"""A whole run of USD-M perpetuals: disturbed at the simulator, and replayed from the recordings."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import requests

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_local.running.run import Run
from tests.integration import grafana, recorded
from tests.integration.api_client import healthy, rows
from tests.integration.conftest import PERPETUAL_STREAMS, PERPETUAL_TABLES, Starter, feed_document
from tests.integration.runs import TABLES, assert_equal, assert_no_gap, fault, finish, rows_in_cassandra, rows_of
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform


def test_dropped_and_repeated_perpetual_data_ends_complete_and_equal(start: Starter) -> None:
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


def test_mark_prices_open_interest_and_liquidations_are_served_shown_and_proven(start: Starter) -> None:
    streams = {**PERPETUAL_STREAMS, "bestQuotes": {"interval": "100ms"}}
    with start(feed_document("marks", ["BTCUSDT", "ETHUSDT"], streams, exchange="binance-usdm")) as it:
        wait_for("the API", lambda: healthy(it.address))
        tables = [*PERPETUAL_TABLES, "best_quotes"]
        wait_for("rows of every stream in Cassandra", lambda: all(rows_in_cassandra(it, t) for t in tables), 180)
        it.programs.kill(it.programs.names("producer")[0])
        before = rows_in_cassandra(it, "mark_prices")
        wait_for("mark prices of the next producer", lambda: rows_in_cassandra(it, "mark_prices") > before + 4, 90)
        (mark,) = rows(it.address, "/mark_prices", symbol="BTCUSDT")
        assert float(mark["mark_price"]) > 0
        assert mark["next_funding_time_ms"] > mark["event_time_ms"]
        assert {row["symbol"] for row in rows(it.address, "/open_interest")} == {"BTCUSDT", "ETHUSDT"}
        panels_have_rows(it)
        result = finish(it)

    assert_equal(result)
    assert set(result["counts"]) == set(tables)


def panels_have_rows(it: Run) -> None:
    """The dashboard's queries of these tables return rows from every source, of the symbol that has liquidations."""
    ((symbol,), *_) = rows_of(it, f"SELECT symbol FROM {it.plan.names.schema}.liquidations")
    now = int(time.time() * 1000)
    chosen = grafana.Chosen(it.plan.names.fid, symbol, (symbol,), "1m", now - 600_000, now)
    cluster, session = cassandra.connect(it.servers.cassandra, it.plan.names.keyspace)
    try:
        for title, target in grafana.of_tables("market-cassandra", PERPETUAL_TABLES):
            assert list(session.execute(chosen.filled(target["target"]))), title
    finally:
        cluster.shutdown()
    for title, target in grafana.of_tables("market-postgresql", PERPETUAL_TABLES):
        assert rows_of(it, chosen.filled(target["rawSql"])), title
    for title, target in grafana.of_tables("market-api", PERPETUAL_TABLES):
        asked = {param["key"]: chosen.filled(param["value"]) for param in target["url_options"]["params"]}
        assert requests.get(f"{it.address}{target['url']}", params=asked, timeout=30).json(), title


def test_recorded_perpetuals_are_stored_exactly_to_the_digit(start: Starter, futures_capture: Path) -> None:
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

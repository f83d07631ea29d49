"""Best bids and asks: added to a running feed, captured through the death of the producer, served and proven."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_local.running.run import Run
from tests.integration import grafana
from tests.integration.api_client import ask, healthy, rows
from tests.integration.conftest import Starter, feed_document
from tests.integration.runs import assert_equal, assert_no_gap, change, finish, rows_in_cassandra, rows_of
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

SYMBOLS = ["BTCUSDT", "ETHUSDT"]
TRADES: dict[str, Any] = {"recentTrades": {"source": "websocket"}}
INTERVAL_MS = 100


def quotes_of(it: Run, symbol: str) -> list[tuple[int, int, int]]:
    """Event time in ms, update id and version of a symbol's quotes in PostgreSQL, in the order of time."""
    return rows_of(
        it,
        "SELECT (extract(epoch FROM event_time) * 1000)::bigint, update_id, version"
        f" FROM {it.plan.names.schema}.best_quotes WHERE symbol = %s ORDER BY event_time",
        symbol,
    )


def test_best_quotes_are_captured_served_and_proven_despite_a_killed_producer(start: Starter) -> None:
    with start(feed_document("quotes", SYMBOLS, TRADES)) as it:
        wait_for("the API", lambda: healthy(it.address))
        wait_for("trades", lambda: rows_in_cassandra(it, "recent_trades") > 20)
        tables = "SELECT relname FROM pg_class WHERE relname = 'best_quotes' AND relnamespace = %s::regnamespace"
        assert rows_of(it, tables, it.plan.names.schema) == [], "a feed that does not ask for it has no table of it"
        change(it, feed_document("quotes", SYMBOLS, {**TRADES, "bestQuotes": {"interval": f"{INTERVAL_MS}ms"}}))
        wait_for("quotes", lambda: rows_in_cassandra(it, "best_quotes") > 100, 90)

        it.programs.kill(it.programs.names("producer")[0])
        before = rows_in_cassandra(it, "best_quotes")
        wait_for("quotes of the next producer", lambda: rows_in_cassandra(it, "best_quotes") > before + 100, 90)

        wait_for("the API that serves quotes", lambda: healthy(it.address) and api_serves(it), 60)
        newest = rows(it.address, "/best_quotes")
        assert {row["symbol"] for row in newest} == set(SYMBOLS)
        for row in newest:
            assert Decimal(row["spread"]) == Decimal(row["ask_price"]) - Decimal(row["bid_price"]) > 0
        averages = rows(it.address, "/best_quotes/averages", symbol="BTCUSDT", step="1s", limit=5)
        assert all(Decimal(step["bid"]) < Decimal(step["ask"]) for step in averages)
        panels_have_rows(it)

        result = finish(it)
        assert_no_gap(it, tuple(SYMBOLS))
        for symbol in SYMBOLS:
            stored = quotes_of(it, symbol)
            assert [version for *_, version in stored] == sorted(version for *_, version in stored)
            assert [number for _, number, _ in stored] == sorted(number for _, number, _ in stored)
            intervals = {at // INTERVAL_MS for at, *_ in stored}
            # A quiet interval is written by the clock: a change that comes late in it makes a second row.
            assert len(stored) < 2 * len(intervals)

    assert_equal(result)
    assert result["counts"]["best_quotes"] > 200


def api_serves(it: Run) -> bool:
    return ask(it.address, "/best_quotes").ok


def panels_have_rows(it: Run) -> None:
    """The dashboard's queries of both databases return numbers."""
    at = quotes_of(it, "BTCUSDT")[-1][0]
    chosen = grafana.Chosen(it.plan.names.fid, "BTCUSDT", tuple(SYMBOLS), "1m", at - 60_000, at)
    cluster, session = cassandra.connect(it.servers.cassandra, it.plan.names.keyspace)
    try:
        of_quotes = [target for _, target in grafana.targets("market-cassandra") if "best_quotes" in target["target"]]
        assert len(of_quotes) == 2
        for target in of_quotes:
            found = list(session.execute(chosen.filled(target["target"])))
            assert found
            assert all(isinstance(value, float) for value in found[0][1:-1])
    finally:
        cluster.shutdown()
    of_quotes = [target for _, target in grafana.targets("market-postgresql") if "best_quotes" in target["rawSql"]]
    assert len(of_quotes) == 2
    for target in of_quotes:
        assert rows_of(it, chosen.filled(target["rawSql"]))

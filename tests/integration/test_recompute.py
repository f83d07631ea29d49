"""`cryptocdc analyze recompute` on real servers: rows that are gone or lack trades are there again, proven equal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cassandra.cluster import Session

from cryptocdc_core.catalogue import Stream, by_table
from cryptocdc_local.applier import Servers
from tests.integration.command import Answer, cryptocdc
from tests.integration.feed_by_hand import HOUR_MS, session_of, started
from tests.integration.market import SYMBOLS, Market, running
from tests.integration.rows import insert

pytestmark = [pytest.mark.platform, pytest.mark.soak]  # Spark and all servers, for minutes

TABLES = ("bars", "realized_volatility", "book_metrics", "anomalies", "forecasts")


@pytest.fixture(scope="module")
def market(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    with started(Market(servers, tmp_path_factory.mktemp("recompute"))) as made:
        yield made


@pytest.fixture(scope="module")
def cql(market: Market) -> Iterator[Session]:
    with session_of(market) as session:
        yield session


def stored(cql: Session, stream: Stream) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Every row by its key: its columns with all digits, its write time, and the bucket; of forecasts those that are
    completed, since others are not recomputed."""
    names = (*stream.column_names, stream.bucket_column)
    columns = ", ".join(f'"{name}"' for name in names)
    rows = cql.execute(f"SELECT {columns}, WRITETIME(event_time) AS written FROM {stream.table}")
    keys = [names.index(name) for name in stream.key]
    return {tuple(row[at] for at in keys): tuple(map(str, row)) for row in rows if getattr(row, "completed", True)}


def recompute(market: Market, environment: dict[str, str], *more: str) -> Answer:
    return cryptocdc(
        environment | market.environment, "analyze", "recompute", "-f", market.file, "--source", "simulated",
        "--from", market.base_ms, "--to", market.base_ms + HOUR_MS, "--json", *more, limit_s=600,
    )  # fmt: skip


def test_rows_that_were_removed_or_lack_trades_are_written_again_as_the_analyzer_wrote_them(
    market: Market, cql: Session, command_environment: dict[str, str]
) -> None:
    for minute in range(8):
        market.trade(minute)
    books = [market.base_ms + second * 1000 for second in range(480)]
    insert(market.servers.postgres, market.plan.names, by_table("order_book"), books, SYMBOLS[0])
    with running(market):
        proven = market.verify()
        assert proven.reason is None
        before = {table: stored(cql, by_table(table)) for table in TABLES}
        assert all(before.values())

        for table in TABLES:
            cql.execute(f"TRUNCATE {table}")
        # As an analyzer wrote it that knew fewer trades: the oldest, since rows before a first one are not due.
        symbol, interval, opened = min(key for key in before["bars"] if key[1] == "1m")
        day = opened.replace(hour=0, minute=0)
        cql.execute(
            "INSERT INTO bars (symbol, interval, day, open_time, close, trade_count, version)"
            " VALUES (%s, %s, %s, %s, 1, 1, 1) USING TIMESTAMP 1",
            (symbol, interval, day, opened),
        )
        lost = market.verify()
        assert (lost.tables["bars"].missing, lost.tables["bars"].different) == (proven.tables["bars"].rows - 1, 1)

        answer = recompute(market, command_environment)
        assert answer.code == 0, answer.err
        assert answer.json()["tables"] == {
            table: {"rows": len(rows), "expired": 0, "refused": 0} for table, rows in before.items()
        }
        assert {table: stored(cql, by_table(table)) for table in TABLES} == before
        again = market.verify()
        assert (again.reason, again.rows) == (None, proven.rows)

        # Repeated over what is there, for one symbol: nothing changes.
        answer = recompute(market, command_environment, "--symbol", SYMBOLS[0])
        assert answer.code == 0, answer.err
        assert {table: stored(cql, by_table(table)) for table in TABLES} == before


def test_a_symbol_without_stored_rows_is_refused(market: Market, command_environment: dict[str, str]) -> None:
    answer = recompute(market, command_environment, "--symbol", "DOGEUSDT")
    assert answer.code == 2
    assert answer.err.strip().endswith(f"--symbol: DOGEUSDT is not accepted; accepted: {', '.join(SYMBOLS)}")


def test_a_feed_that_was_never_applied_is_refused(
    servers: Servers, tmp_path: Path, command_environment: dict[str, str]
) -> None:
    never = Market(servers, tmp_path)
    never.file.write_text(never.file.read_text().replace("name: computed", "name: never-applied"))
    answer = recompute(never, command_environment)
    assert answer.code == 3
    assert "apply the feed first" in answer.err

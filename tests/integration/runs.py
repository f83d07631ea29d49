"""What tests do with a run: read its rows, disturb the simulator, finish it, and check the result."""

from __future__ import annotations

from typing import Any

import requests

from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_local.applier import apply
from cryptocdc_local.running import run
from cryptocdc_local.running.counting import count_rows
from cryptocdc_local.running.draining import drain
from cryptocdc_local.running.proof import prove
from cryptocdc_local.running.run import Run
from tests.integration.conftest import CAPTURED
from tests.integration.waiting import wait_for

TABLES = {stream.table for stream in CAPTURED}


def finish(it: Run) -> dict[str, Any]:
    """Fill what is missing, stop capturing, wait until all is carried, compare; the rows in PostgreSQL by table beside
    the report."""
    assert drain(it, lambda _: None) == []
    report = prove(it.applied, it.servers, lambda _: None)
    return {"counts": count_rows(it.servers, it.plan), **report}


def assert_equal(result: dict[str, Any]) -> None:
    assert (result["missing"], result["extra"], result["different"]) == (0, 0, 0), result
    assert result["equal"], result
    assert result["rows"] == sum(result["counts"].values())


def rows_in_cassandra(it: Run, table: str) -> int:
    return it.figures().streams[table].cassandra


def fault(it: Run, name: str, **parameters: object) -> None:
    """Have the simulator do something wrong: see cryptocdc_simulator.control."""
    url = f"{it.applied.rest_url}/simulator/faults/{name}"
    requests.post(url, params={k: str(v) for k, v in parameters.items()}, timeout=5).raise_for_status()


def trade_ids(it: Run, symbol: str) -> list[int]:
    """A symbol's trade ids in PostgreSQL, in order."""
    table = f"{it.plan.names.schema}.recent_trades"
    return [row[0] for row in rows_of(it, f"SELECT trade_id FROM {table} WHERE symbol = %s ORDER BY trade_id", symbol)]


def rows_of(it: Run, query: str, *values: object) -> list[tuple[Any, ...]]:
    connection = postgres.connect(it.servers.postgres, "test", autocommit=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall()
    finally:
        connection.close()


def assert_no_gap(it: Run, symbols: tuple[str, ...]) -> None:
    for symbol in symbols:
        ids = trade_ids(it, symbol)
        assert ids, symbol
        missing = sorted(set(range(ids[0], ids[-1] + 1)) - set(ids))
        assert not missing, f"{symbol}: {len(missing)} of {ids[-1] - ids[0] + 1} trades missing, first {missing[:5]}"


def change(it: Run, document: dict[str, Any]) -> None:
    """As `cryptocdc apply` does while the feed runs."""
    applied = run.resolved(document, it.chosen, it.applied.symbols)
    apply(run.planned_of(applied, it.servers), it.servers, lambda _: None)
    it.store.write(applied)
    wait_for("the change taken over", lambda: it.applied == applied and it.event == "change to the feed applied", 90)

"""Nulls through the whole platform: PostgreSQL, Debezium, Kafka, Cassandra, verifier, trace and API."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cassandra.cluster import Session

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_core.catalogue import Stream, Type
from cryptocdc_core.catalogue.streams import CRYPTO_24H_STATS, KLINES
from cryptocdc_core.names import quoted
from cryptocdc_local import applier
from cryptocdc_local.platform import Platform
from cryptocdc_local.running.proof import prove
from cryptocdc_local.running.run import Run
from tests.integration.api_client import ask, healthy, rows
from tests.integration.command import cryptocdc
from tests.integration.conftest import CAPTURED, feed_document, starter
from tests.integration.rows import insert
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

SYMBOL = "BTC-USD"
"""Not captured: its rows are those of these tests."""
NULLABLE = [stream for stream in CAPTURED if stream.nullable]
MINUTE_MS = 60_000
VALUES = {Type.BIGINT: "5", Type.DECIMAL: "0.50", Type.TIMESTAMP: "timestamp 'epoch'"}
"""In SQL."""


@pytest.fixture(scope="module")
def it(platform: Platform, simulator_port: int) -> Iterator[Run]:
    with (
        pytest.MonkeyPatch.context() as patch,
        starter(platform, simulator_port, patch) as start,
        start(feed_document("nulls", ["BTCUSDT"]), rate=0.25) as run,
    ):
        wait_for("the API", lambda: healthy(run.address))
        wait_for("candles", lambda: ask(run.address, "/klines", symbol="BTCUSDT").json(), 120)
        yield run


@pytest.fixture(scope="module")
def cql(it: Run) -> Iterator[Session]:
    cluster, session = cassandra.connect(it.servers.cassandra, it.plan.names.keyspace)
    yield session
    cluster.shutdown()


@pytest.fixture(scope="module")
def minute() -> int:
    """The start of this minute, in milliseconds: rows of today, as captured ones are."""
    now = int(time.time() * 1000)
    return now - now % MINUTE_MS


def put(it: Run, stream: Stream, at_ms: int, **values: object) -> None:
    insert(it.servers.postgres, it.plan.names, stream, [at_ms], SYMBOL, **values)


def sql(it: Run, statement: str) -> None:
    connection = postgres.connect(it.servers.postgres, "test", autocommit=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()


def found(it: Run, stream: Stream, at_ms: int) -> dict[str, Any] | None:
    """A row as the API answers it."""
    answer = ask(it.address, f"/{stream.table}", symbol=SYMBOL, from_=at_ms, to=at_ms + 1, limit=1)
    body = answer.json() if answer.ok else []
    return body[0] if body else None


def proven_equal(it: Run) -> None:
    report = prove(it.applied, it.servers, lambda _: None)
    assert report["equal"], report


def nulls(stream: Stream) -> dict[str, None]:
    return {column.name: None for column in stream.nullable}


def test_nulls_are_replicated_once_a_table_of_an_earlier_release_is_adapted(it: Run, minute: int) -> None:
    """While the producer goes on: candles of the captured symbol come all the time."""
    table = f"{quoted(it.plan.names.schema)}.{quoted(KLINES.table)}"
    sql(it, f"ALTER TABLE {table} " + ", ".join(f"ALTER {quoted(c.name)} SET NOT NULL" for c in KLINES.nullable))
    put(it, KLINES, minute - 2 * MINUTE_MS)
    put(it, CRYPTO_24H_STATS, minute - MINUTE_MS)  # so that the API knows the symbol
    wait_for("a row without nulls", lambda: found(it, KLINES, minute - 2 * MINUTE_MS))

    applier.apply(it.plan, it.servers, lambda _: None)
    put(it, KLINES, minute - MINUTE_MS, **nulls(KLINES))

    row: dict[str, Any] | None = wait_for("a row with nulls", lambda: found(it, KLINES, minute - MINUTE_MS))
    assert row is not None
    assert {name for name, value in row.items() if value is None} == set(nulls(KLINES))
    proven_equal(it)


@pytest.mark.parametrize("stream", NULLABLE, ids=lambda s: s.table)
def test_a_row_with_nulls_is_equal_everywhere_and_has_no_tombstone(
    it: Run, cql: Session, minute: int, stream: Stream
) -> None:
    put(it, stream, minute, **nulls(stream))
    row: dict[str, Any] | None = wait_for("the row", lambda: found(it, stream, minute))
    assert row is not None
    assert set(nulls(stream)) <= {name for name, value in row.items() if value is None}
    proven_equal(it)

    names = [column.name for column in stream.nullable]
    written = cql.execute(
        f"SELECT {', '.join(f'WRITETIME({quoted(name)})' for name in names)} FROM {stream.table}"
        f" WHERE {where(stream, minute)}",
        trace=True,
    )
    assert list(written.one()) == [None] * len(names), "never set, and never deleted"
    assert tombstones(written) == 0


@pytest.mark.parametrize("stream", NULLABLE, ids=lambda s: s.table)
def test_a_value_can_become_null_and_a_null_a_value(it: Run, cql: Session, minute: int, stream: Stream) -> None:
    first, second = minute - 10 * MINUTE_MS, minute - 11 * MINUTE_MS
    put(it, stream, first)
    put(it, stream, second, **nulls(stream))
    wait_for("both rows", lambda: found(it, stream, first) and found(it, stream, second))
    table = f"{quoted(it.plan.names.schema)}.{quoted(stream.table)}"
    for at, values in ((first, {}), (second, VALUES)):
        new = ", ".join(f"{quoted(column.name)} = {values.get(column.type, 'NULL')}" for column in stream.nullable)
        row = f"symbol = '{SYMBOL}' AND {quoted(stream.time)} = timestamp 'epoch' + {at} * interval '1 ms'"
        sql(it, f"UPDATE {table} SET {new}, version = version + 1 WHERE {row}")

    def became(at_ms: int, *, null: bool) -> bool:
        row = found(it, stream, at_ms) or {}
        return all((row[name] is None) == null for name in nulls(stream))

    wait_for("the value to be null", lambda: became(first, null=True))
    wait_for("the null to be a value", lambda: became(second, null=False))
    proven_equal(it)
    read = cql.execute(f"SELECT * FROM {stream.table} WHERE {where(stream, first)}", trace=True)
    assert read.one()
    assert tombstones(read) == 0, "a row deletion within a living row is not counted as one"


def test_the_newest_statistics_keep_no_values_of_earlier_ones(it: Run, minute: int) -> None:
    put(it, CRYPTO_24H_STATS, minute + 1000, trade_count=5)
    put(it, CRYPTO_24H_STATS, minute + 2000, trade_count=None)

    def newest() -> dict[str, Any]:
        return next(row for row in rows(it.address, "/crypto_24h_stats") if row["symbol"] == SYMBOL)

    wait_for("the newest", lambda: newest()["event_time_ms"] == minute + 2000)
    assert newest()["trade_count"] is None
    assert newest()["volume"] is not None
    assert SYMBOL not in {row["symbol"] for row in rows(it.address, "/top", by="trades")}
    assert SYMBOL in {row["symbol"] for row in rows(it.address, "/top", by="volume")}


def test_a_row_with_nulls_is_traced(it: Run, minute: int, command_environment: dict[str, str], tmp_path: Path) -> None:
    put(it, KLINES, minute - 3 * MINUTE_MS, **nulls(KLINES))
    wait_for("the row", lambda: found(it, KLINES, minute - 3 * MINUTE_MS))
    file = tmp_path / "nulls.yaml"
    file.write_text(yaml.safe_dump(it.applied.document), encoding="utf-8")
    key = ["--key", "interval=1m", "--key", f"open_time={minute - 3 * MINUTE_MS}"]
    answer = cryptocdc(
        command_environment, "trace", "-f", file, "--symbol", SYMBOL, "--stream", "klines", *key, "--json"
    )
    traced = answer.json()
    assert (answer.code, traced["equal"], traced["differing"]) == (0, True, {}), answer
    assert set(traced["values"]) == {"postgres", "kafka", "cassandra"}
    for row in traced["values"].values():
        assert {name for name, value in row.items() if value is None} == set(nulls(KLINES))


def where(stream: Stream, at_ms: int) -> str:
    """The whole primary key of a row that `put` has made."""
    key: dict[str, Any] = dict.fromkeys(stream.key, at_ms) | {"symbol": SYMBOL, "interval": "1m"}
    bucket = stream.bucket_start(key)
    return " AND ".join(
        f"{quoted(name)} = {repr(value) if isinstance(value, str) else value}"
        for name, value in {**{name: key[name] for name in stream.key}, stream.bucket_column: bucket}.items()
    )


def tombstones(read: Any) -> int:
    """How many Cassandra has counted while it read."""
    events = [event.description for event in read.get_query_trace(max_wait_sec=30).events]
    counted = [
        int(found[1]) for text in events if (found := re.search(r"Read \d+ live rows and (\d+) tombstone", text))
    ]
    assert counted, events
    return sum(counted)

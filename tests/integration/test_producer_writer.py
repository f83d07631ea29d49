"""The writer on a real PostgreSQL: the newest version wins, nothing is lost, and one bad row does not affect others."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from typing import Any

import psycopg2
import pytest
from msgspec.structs import astuple, replace
from psycopg2.extensions import connection as Connection

from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_core.catalogue.streams import LATEST_PRICES, ORDER_BOOK, RECENT_TRADES
from cryptocdc_core.names import Names
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_core.rows.typed import LatestPricesRow, OrderBookRow, RecentTradesRow, Row
from cryptocdc_core.storage import ddl
from cryptocdc_local.applier import Servers
from cryptocdc_producer.storage import writer
from cryptocdc_producer.storage.intake import Entry, GapEnd, Intake
from cryptocdc_producer.storage.writer import Writer
from cryptocdc_producer.streams.continuity import Gap
from tests.faults.proxy import Link, Proxy
from tests.integration.api_client import free_port
from tests.integration.waiting import wait_for
from tests.rows import make_row

pytestmark = pytest.mark.platform

STREAMS = (RECENT_TRADES, LATEST_PRICES, ORDER_BOOK)
NAMES = Names("writer_test")
AT = 1_633_998_523_963  # in 2021: any time is accepted
DAY = ddl.DAY_MS


class Database:
    def __init__(self, servers: Servers) -> None:
        self.connect: Callable[[], Connection] = partial(postgres.connect, servers.postgres, "producer")
        self._own = postgres.connect(servers.postgres, "test", autocommit=True)

    def run(self, query: str) -> None:
        with self._own.cursor() as cursor:
            cursor.execute(query)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self._own.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def close(self) -> None:
        self._own.close()


@pytest.fixture
def database(servers: Servers) -> Iterator[Database]:
    found = Database(servers)
    found.run(f"DROP SCHEMA IF EXISTS {NAMES.schema} CASCADE")
    postgres.apply_schema(servers.postgres, ddl.postgres_schema(NAMES, STREAMS, servers.replication.user))
    yield found
    found.run(f"DROP SCHEMA {NAMES.schema} CASCADE")
    found.run(f"DROP PUBLICATION IF EXISTS {NAMES.publication}")
    found.close()


class Writing:
    """A writer on its own thread, and the rows that it refused."""

    def __init__(self, database: Database) -> None:
        metrics = ProducerMetrics("test")
        self.refused: list[tuple[Row, str]] = []
        self.intake = Intake(metrics)
        self.writer = Writer(
            NAMES, STREAMS, self.intake, database.connect, metrics,
            lambda row, problem: self.refused.append((row, problem)),
        )  # fmt: skip
        self.writer.start()

    def put(self, *entries: Entry) -> None:
        self.intake.put(*entries)

    def finish(self) -> None:
        self.intake.close()
        assert self.writer.finish(60)


@pytest.fixture
def writing(database: Database) -> Writing:
    return Writing(database)


def price(symbol: str, text: str, version: int, at: int = AT) -> LatestPricesRow:
    return LatestPricesRow(symbol=symbol, event_time=at, price=text, received_at=at, version=version)


def trade(number: int, at: int = AT) -> RecentTradesRow:
    return make_row(
        RecentTradesRow, trade_time=at + number, trade_id=number, price="96000.12000000", quantity="0.1",
        first_trade_id=number, last_trade_id=number, received_at=at, version=(at + number) * 1000,
    )  # fmt: skip


@pytest.mark.parametrize("keys", [3, 300], ids=["values", "copy"])
@pytest.mark.parametrize("seed", range(3))
def test_the_newest_version_wins_in_any_order_and_batches(
    database: Database, writing: Writing, keys: int, seed: int
) -> None:
    rows = [price(f"S{key}", f"{version}.5000", version) for key in range(keys) for version in range(1, 5)]
    random.Random(seed).shuffle(rows)
    for at in range(0, len(rows), keys):
        writing.intake.put_rows(rows[at : at + keys])
        wait_for("an empty queue", lambda: not len(writing.intake))
    writing.finish()

    found = database.rows(f"SELECT DISTINCT price::text, version FROM {NAMES.schema}.latest_prices")
    count = database.rows(f"SELECT count(*) FROM {NAMES.schema}.latest_prices")
    assert (found, count) == ([("4.5000", 4)], [(keys,)])


def test_values_are_stored_digit_by_digit(database: Database, writing: Writing) -> None:
    book = OrderBookRow(
        symbol="BTCUSDT", bucket_time=AT, last_update_id=5, bid_prices=["1.50000000", "1"],
        bid_quantities=["0.00000001", "2.0"], ask_prices=[], ask_quantities=[], event_time=AT + 7, received_at=AT + 8,
        version=9,
    )  # fmt: skip
    writing.intake.put_rows([book])
    writing.finish()

    columns = (
        "symbol, (extract(epoch FROM bucket_time) * 1000)::bigint, last_update_id, bid_prices::text[],"
        " bid_quantities::text[], ask_prices::text[], ask_quantities::text[],"
        " (extract(epoch FROM event_time) * 1000)::bigint, (extract(epoch FROM received_at) * 1000)::bigint, version"
    )
    assert database.rows(f"SELECT {columns} FROM {NAMES.schema}.order_book") == [astuple(book)]


@pytest.mark.parametrize("count", [3, 300], ids=["values", "copy"])
def test_a_null_is_stored_as_null_and_refused_where_the_column_is_not_nullable(
    database: Database, writing: Writing, count: int
) -> None:
    rows = [replace(trade(number), first_trade_id=None, last_trade_id=number or None) for number in range(count)]
    without_price = replace(trade(0), trade_id=999, price=None)
    writing.intake.put_rows([*rows, without_price])
    writing.finish()

    assert database.rows(
        "SELECT count(*), count(first_trade_id), count(last_trade_id), min(last_trade_id)"
        f" FROM {NAMES.schema}.recent_trades"
    ) == [(count, 0, count - 1, 1)]
    ((refused, problem),) = writing.refused
    assert refused == without_price
    assert 'null value in column "price"' in problem


def test_a_table_of_an_earlier_release_accepts_nulls_once_the_feed_is_applied(
    database: Database, writing: Writing, servers: Servers
) -> None:
    """Earlier releases created every column NOT NULL. Its rows, and its partitions' constraints, are there already."""
    book = OrderBookRow(
        symbol="BTCUSDT", bucket_time=AT, last_update_id=5, bid_prices=["1"], bid_quantities=["2"], ask_prices=[],
        ask_quantities=[], event_time=AT, received_at=AT, version=9,
    )  # fmt: skip
    writing.intake.put_rows([book])
    wait_for("the row", lambda: database.rows(f"SELECT FROM {NAMES.schema}.order_book"))
    database.run(f"ALTER TABLE {NAMES.schema}.order_book ALTER last_update_id SET NOT NULL")
    constrained = (
        f"SELECT relname FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid WHERE relnamespace ="
        f" '{NAMES.schema}'::regnamespace AND relkind IN ('r', 'p') AND attname = 'last_update_id' AND attnotnull"
    )
    assert len(database.rows(constrained)) > 1, "the root and its partitions"

    for _ in range(2):
        postgres.apply_schema(servers.postgres, ddl.postgres_schema(NAMES, STREAMS, servers.replication.user))
    assert database.rows(constrained) == []
    writing.intake.put_rows([replace(book, bucket_time=AT + 1000, last_update_id=None)])
    writing.finish()

    assert database.rows(f"SELECT last_update_id FROM {NAMES.schema}.order_book ORDER BY bucket_time") == [
        (5,),
        (None,),
    ]
    assert not writing.refused


def test_a_deadlock_with_a_writer_does_not_prevent_adapting_a_table(database: Database, servers: Servers) -> None:
    for table, column in (("recent_trades", "first_trade_id"), ("order_book", "last_update_id")):
        database.run(f"ALTER TABLE {NAMES.schema}.{table} ALTER {column} SET NOT NULL")
    statements = ddl.postgres_schema(NAMES, STREAMS, servers.replication.user)
    writer = database.connect()
    with ThreadPoolExecutor(1) as pool, closing(writer), writer.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {NAMES.schema}.order_book IN ROW EXCLUSIVE MODE")
        applied = pool.submit(postgres.apply_schema, servers.postgres, statements)
        waiting = "SELECT FROM pg_locks WHERE clock_timestamp() - waitstart > interval '200 ms'"
        wait_for("the applier to wait for the writer", lambda: database.rows(waiting))
        # The applier holds this one. Who has waited for a second is ended, and the applier began first.
        with suppress(psycopg2.errors.DeadlockDetected):
            cursor.execute(f"LOCK TABLE {NAMES.schema}.recent_trades IN ROW EXCLUSIVE MODE")
        writer.rollback()
        applied.result(60)
    assert (
        database.rows(
            f"SELECT FROM pg_attribute WHERE attrelid = '{NAMES.schema}.order_book'::regclass"
            " AND attname = 'last_update_id' AND attnotnull"
        )
        == []
    )


def test_applying_a_feed_again_locks_no_table(database: Database, servers: Servers) -> None:
    reader = database.connect()
    try:
        with reader.cursor() as cursor:
            cursor.execute(f"SELECT FROM {NAMES.schema}.order_book")  # holds its lock until the transaction ends
        statements = ddl.postgres_schema(NAMES, STREAMS, servers.replication.user)
        postgres.apply_schema(servers.postgres, ["SET LOCAL lock_timeout = '2s'", *statements])
    finally:
        reader.close()


def test_partitions_are_created_for_any_day_and_recreated_when_dropped(database: Database, writing: Writing) -> None:
    days = [AT, AT + DAY, AT + 400 * DAY]
    writing.intake.put_rows([price("X", "1", 1, at) for at in days])
    wait_for("the rows", lambda: len(database.rows(f"SELECT FROM {NAMES.schema}.latest_prices")) == 3)
    today = ddl.partition_name(RECENT_TRADES, int(time.time() * 1000) // DAY * DAY)
    assert database.rows(f"SELECT to_regclass('{NAMES.schema}.{today}') IS NOT NULL") == [(True,)]

    database.run(f"DROP TABLE {NAMES.schema}.{ddl.partition_name(LATEST_PRICES, AT // DAY * DAY)}")
    writing.intake.put_rows([price("X", "2", 2)])
    writing.finish()

    assert database.rows(f"SELECT price::text FROM {NAMES.schema}.latest_prices WHERE version = 2") == [("2",)]
    assert not writing.refused


@pytest.mark.parametrize("many", [20, 1000], ids=["values", "copy"])
def test_rows_refused_by_postgresql_do_not_affect_others(database: Database, writing: Writing, many: int) -> None:
    database.run(f"ALTER TABLE {NAMES.schema}.recent_trades ADD CONSTRAINT theirs CHECK (trade_id <> 7)")
    rows = [trade(number) for number in range(many)]
    too_great = replace(trade(0), trade_id=2**70)
    writing.intake.put_rows([*rows[:11], too_great, *rows[11:]])
    writing.finish()

    found = database.rows(f"SELECT trade_id FROM {NAMES.schema}.recent_trades ORDER BY trade_id")
    assert [number for (number,) in found] == [number for number in range(many) if number != 7]
    assert [getattr(row, "trade_id", None) for row, _ in writing.refused] == [7, 2**70]


def test_a_gap_is_committed_with_its_row_and_ended_after_its_filling(database: Database, writing: Writing) -> None:
    gap = Gap("recent_trades", "BTCUSDT", "", 2, 4)
    state = f"SELECT first, last, state, reason, ended_at IS NULL FROM {NAMES.schema}.gaps"
    writing.put(gap, gap)
    writing.intake.put_rows([trade(5)])
    wait_for("the row", lambda: database.rows(f"SELECT FROM {NAMES.schema}.recent_trades"))
    assert database.rows(state) == [(2, 4, "open", "", True)]

    writing.intake.put_rows([trade(number) for number in (2, 3, 4)])
    writing.put(GapEnd(gap, "filled", ""))
    writing.finish()

    assert database.rows(state) == [(2, 4, "filled", "", False)]


def test_broken_connections_lose_no_rows(database: Database, writing: Writing) -> None:
    for number in range(0, 2000, 20):
        writing.intake.put_rows([trade(n) for n in range(number, number + 20)])
        if number % 400 == 0:
            database.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'cryptocdc-producer' AND pid <> pg_backend_pid()"
            )
    writing.finish()

    assert database.rows(f"SELECT count(*), max(trade_id) FROM {NAMES.schema}.recent_trades") == [(2000, 1999)]


def test_the_writer_waits_while_postgresql_is_down(database: Database, servers: Servers) -> None:
    away = [True]
    reach = database.connect

    def connect() -> Connection:
        # Port 9 of this machine refuses, as that of a server that is down does.
        return postgres.connect(servers.postgres.model_copy(update={"port": 9}), "test") if away[0] else reach()

    database.connect = connect
    writing = Writing(database)
    writing.intake.put_rows([trade(number) for number in range(500)])
    wait_for("a retry", lambda: writing.writer._metrics.write_retries._value.get() >= 2)
    away[0] = False
    writing.finish()

    assert database.rows(f"SELECT count(*) FROM {NAMES.schema}.recent_trades") == [(500,)]


def test_a_batch_whose_connection_is_dead_without_being_closed_is_written_through_another(
    database: Database, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "ANSWER_S", 1.0)
    with Proxy([Link("postgres", free_port(), servers.postgres.port)]) as proxy:
        behind = servers.postgres.model_copy(update={"port": proxy.links["postgres"].port})
        database.connect = partial(postgres.connect, behind, "producer")
        writing = Writing(database)
        writing.intake.put_rows([price("FIRST", "1", 1)])
        stored = f"SELECT count(*) FROM {NAMES.schema}.latest_prices"
        wait_for("the first row", lambda: database.rows(stored) == [(1,)])
        proxy.set("postgres", hanging=True)
        proxy.set("postgres")
        writing.intake.put_rows([price("SECOND", "2", 1)])
        writing.finish()
        assert database.rows(stored) == [(2,)]


def test_a_writer_ends_once_postgres_has_lost_what_it_had_committed(database: Database, writing: Writing) -> None:
    """As after a backup is restored: only a new start sees from PostgreSQL what is to be captured again."""
    writing.intake.put_rows([price("KEPT", "1", 1), price("LOST", "1", 1)])
    stored = f"SELECT count(*) FROM {NAMES.schema}.latest_prices"
    wait_for("both rows", lambda: database.rows(stored) == [(2,)])
    disconnect(database)
    writing.intake.put_rows([price("LATER", "1", 1)])
    wait_for("the third row, after a mere reconnection", lambda: database.rows(stored) == [(3,)])
    database.run(f"DELETE FROM {NAMES.schema}.latest_prices WHERE symbol = 'LATER'")
    disconnect(database)
    writing.intake.put_rows([price("NEVER", "1", 1)])
    wait_for("the end of the writer", lambda: not writing.writer.alive, 30)
    assert database.rows(stored) == [(2,)]


def disconnect(database: Database) -> None:
    database.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cryptocdc-producer'"
    )


def test_a_table_of_trades_never_gets_trades_of_another_kind(
    database: Database, writing: Writing, servers: Servers
) -> None:
    aggregate, raw = (ddl.trade_kind(NAMES, kind) for kind in ("aggregate", "trade"))
    postgres.apply_schema(servers.postgres, [raw, aggregate, aggregate])
    writing.intake.put_rows([trade(1)])
    writing.finish()

    postgres.apply_schema(servers.postgres, [aggregate])
    with pytest.raises(psycopg2.errors.RaiseException, match="'trade' is not accepted; accepted: 'aggregate'"):
        postgres.apply_schema(servers.postgres, [raw])

"""The consumer's own program between real servers: rows go into PostgreSQL, and are looked for in Cassandra."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from confluent_kafka import Producer
from prometheus_client.parser import text_string_to_metric_families
from psycopg2 import sql
from psycopg2.extras import execute_values

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_adapters.kafka.clients import client_config
from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_core.catalogue.streams import LATEST_PRICES, ORDER_BOOK, RECENT_TRADES
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.planning.plan import Plan, plan
from cryptocdc_core.planning.resolve import ResolvedFeed
from cryptocdc_core.rows.versions import version
from cryptocdc_core.storage import ddl
from cryptocdc_local.applier import Servers, apply, delete
from cryptocdc_local.platform import Endpoints
from tests.integration.conftest import ALL_STREAMS, feed_document
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT")
HOUR_MS = 3_600_000


@dataclass
class House:
    """A feed of its own, applied, and the consumers that the test starts for it."""

    servers: Servers
    environment: dict[str, str]
    plan: Plan
    feed_file: Path
    session: Any
    database: Any
    now_ms: int = field(default_factory=lambda: int(time.time() * 1000))
    consumers: list[Consumer] = field(default_factory=list)

    def consumer(self) -> Consumer:
        started = Consumer(self.environment, self.feed_file)
        self.consumers.append(started)
        return started

    def execute(self, statement: str, *values: Any) -> None:
        with self.database, self.database.cursor() as cursor:
            cursor.execute(statement.format(schema=f'"{self.plan.names.schema}"'), values)

    def trade(self, trade_id: int, **values: Any) -> tuple[Any, ...]:
        at = values.pop("at", self.now_ms)
        made = {
            "symbol": SYMBOLS[trade_id % len(SYMBOLS)], "trade_time": at, "trade_id": trade_id, "price": "0.35130000",
            "quantity": "1.50", "first_trade_id": trade_id, "last_trade_id": trade_id, "buyer_is_maker": True,
            "received_at": at, "version": version(at),
        } | values  # fmt: skip
        return tuple(made.values())

    def insert(self, stream: Any, rows: list[tuple[Any, ...]]) -> None:
        """In one transaction; times are milliseconds, as everywhere."""
        marks = ", ".join(
            "to_timestamp(%s / 1000.0) AT TIME ZONE 'utc'" if c.type.name == "TIMESTAMP" else f"%s::{c.type.postgres}"
            for c in stream.columns
        )  # fmt: skip
        into = sql.SQL("INSERT INTO {} VALUES %s").format(sql.Identifier(self.plan.names.schema, stream.table))
        with self.database, self.database.cursor() as cursor:
            execute_values(cursor, into, rows, template=f"({marks})", page_size=1000)

    def rows(self, table: str, columns: str = "*") -> list[Any]:
        """All rows of a table in Cassandra. A test's tables are small."""
        return list(self.session.execute(f'SELECT {columns} FROM "{self.plan.names.keyspace}"."{table}"', timeout=60))

    def trade_ids(self) -> set[int]:
        return {row.trade_id for row in self.rows("recent_trades", "trade_id")}


class Consumer:
    """The real program, in a process of its own."""

    def __init__(self, environment: dict[str, str], feed: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        own = {
            "CRYPTOCDC_FEED": str(feed), "CRYPTOCDC_SOURCE": "simulated", "CRYPTOCDC_METRICS_HOST": "127.0.0.1",
            "CRYPTOCDC_METRICS_PORT": str(self.port),
        }  # fmt: skip
        program = str(Path(sys.executable).with_name("cryptocdc-consumer"))
        self.process = subprocess.Popen([program], env={**os.environ, **environment, **own})

    def metric(self, name: str, **labels: str) -> float:
        """The sum over all labels that are not given; 0 before it serves."""
        try:
            text = requests.get(f"http://127.0.0.1:{self.port}/metrics", timeout=5).text
        except requests.ConnectionError:
            return 0
        samples = (s for family in text_string_to_metric_families(text) for s in family.samples)
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    def partitions(self) -> float:
        return self.metric("cryptocdc_consumer_partitions")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture
def house(
    servers: Servers, endpoints: Endpoints, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[House]:  # fmt: skip
    name = "c" + str(abs(hash(request.node.name)))[:8]
    document = feed_document(name, list(SYMBOLS), retention={"postgres": "2d", "kafka": "1d", "cassandra": "3d"})
    document["spec"]["streams"] = ALL_STREAMS
    file = tmp_path / "feed.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    planned = plan(ResolvedFeed(feeds.load(file), "simulated", SYMBOLS), servers.facts)
    database = postgres.connect(servers.postgres, "test")
    cluster, session = cassandra.connect(servers.cassandra)
    made = House(servers, endpoints.environment(), planned, file, session, database)
    postgres.apply_schema(servers.postgres, planned.postgres)
    today = made.now_ms - made.now_ms % ddl.DAY_MS
    for stream in planned.streams:
        for day in range(-5, 2):
            statement = ddl.postgres_partition(planned.names, stream, today + day * ddl.DAY_MS)
            postgres.apply_schema(servers.postgres, [statement])
    try:
        yield made
    finally:
        for consumer in made.consumers:
            consumer.process.kill()
            consumer.process.wait()
        database.close()
        cluster.shutdown()
        delete(planned, servers, lambda _: None, everything=True)


def applied(house: House) -> House:
    apply(house.plan, house.servers, lambda _: None)
    return house


def test_rows_updates_deletes_and_the_snapshot_arrive(house: House) -> None:
    at = house.now_ms - house.now_ms % 10_000
    book = (["1.50", "1.40"], ["2.0", "0.00000001"], ["1.60"], ["3"])
    house.insert(RECENT_TRADES, [house.trade(1), house.trade(2)])  # before the connector: its snapshot
    applied(house)
    consumer = house.consumer()
    wait_for("the snapshot's rows", lambda: house.trade_ids() == {1, 2})

    house.insert(RECENT_TRADES, [house.trade(n, price="35130.12000000") for n in (3, 4)])
    house.insert(ORDER_BOOK, [("BTCUSDT", at, 5, *book, at, at, version(at))])
    house.insert(LATEST_PRICES, [("BTCUSDT", at + n, f"{n}.10", at, version(at + n)) for n in range(3)])
    house.execute("UPDATE {schema}.recent_trades SET price = 7.700, version = version + 1 WHERE trade_id = 3")
    house.execute("DELETE FROM {schema}.recent_trades WHERE trade_id = 4")
    house.execute("DELETE FROM {schema}.latest_prices WHERE price = 0.10")
    house.insert(RECENT_TRADES, [house.trade(5)])

    wait_for("the last row", lambda: house.trade_ids() == {1, 2, 3, 5})
    rows = {row.trade_id: row for row in house.rows("recent_trades")}
    assert (rows[1].audit.op, rows[5].audit.op) == ("r", "c")
    assert str(rows[5].price) == "0.35130000"
    assert (str(rows[3].price), rows[3].audit.op) == ("7.700", "u")
    hops = (rows[5].received_at, *rows[5].audit[2:])
    assert None not in hops
    assert list(hops[1:]) == sorted(hops[1:])
    assert rows[5].audit.lsn > rows[3].audit.lsn > 0

    wait_for("the newest price", lambda: [str(r.price) for r in house.rows("newest_prices")] == ["2.10"])
    assert {str(row.price) for row in house.rows("latest_prices")} == {"1.10", "2.10"}
    found = wait_for("the book", lambda: house.rows("order_book"))[0]
    levels = ([format(n, "f") for n in found.bid_prices], [format(n, "f") for n in found.bid_quantities])
    assert levels == book[:2]
    bins = wait_for("the heatmap", lambda: house.rows("order_book_heatmap"))
    assert sum(b.bid_quantity for b in bins) == Decimal("2.00000001")
    assert sum(b.ask_quantity for b in bins) == 3

    assert consumer.metric("cryptocdc_consumer_deletes_total") == 2
    assert consumer.stop() == 0


def test_the_ttl_is_the_remaining_retention_and_an_expired_row_is_not_written(house: House) -> None:
    applied(house)
    consumer = house.consumer()
    day_old, too_old = house.now_ms - 24 * HOUR_MS, house.now_ms - 73 * HOUR_MS
    house.insert(RECENT_TRADES, [house.trade(1), house.trade(2, at=day_old), house.trade(3, at=too_old)])
    wait_for("two rows", lambda: house.trade_ids() == {1, 2})
    wait_for("the third to be counted", lambda: consumer.metric("cryptocdc_consumer_expired_total") == 1)
    ttls = {row.trade_id: row.ttl_price for row in house.rows("recent_trades", "trade_id, TTL(price) AS ttl_price")}
    assert 71 * 3600 < ttls[1] <= 72 * 3600
    assert 47 * 3600 < ttls[2] <= 48 * 3600


def test_a_poison_record_is_a_dead_letter_and_can_be_replayed(
    house: House, command_environment: dict[str, str]
) -> None:  # fmt: skip
    applied(house)
    consumer = house.consumer()
    house.insert(RECENT_TRADES, [house.trade(1)])
    wait_for("the first row", lambda: house.trade_ids() == {1})
    topic = house.plan.names.change_topic("recent_trades")
    producer = Producer(client_config(house.servers.kafka))
    wide = {"symbol": "S" * 70_000}  # decodes and encodes, and Cassandra refuses the key
    for value in (b"garbage", None, record(house, 10, **wide), record(house, 11), record(house, 12, price="NaN")):
        producer.produce(topic, value=value, key=b"poison", partition=2)
    producer.flush()
    house.insert(RECENT_TRADES, [house.trade(n) for n in range(20, 40)])

    wait_for("the neighbours", lambda: house.trade_ids() == {1, 11, *range(20, 40)})
    wait_for("the letters", lambda: consumer.metric("cryptocdc_consumer_dead_letters_total") == 4)
    assert consumer.stop() == 0

    def dlq(action: str) -> dict[str, Any]:
        command = [
            str(Path(sys.executable).with_name("cryptocdc")),
            "dlq",
            action,
            "-f",
            str(house.feed_file),
            "--json",
        ]
        done = subprocess.run(command, env=command_environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    letters = dlq("list")["letters"]
    assert sorted(letter["reason"].split(":")[0] for letter in letters) == [
        "refused", "undecodable", "undecodable", "unencodable",
    ]  # fmt: skip
    assert {(letter["topic"], letter["partition"], letter["key"]) for letter in letters} == {(topic, 2, "poison")}
    assert dlq("replay")["replayed"] == 4
    assert dlq("replay")["replayed"] == 0
    assert dlq("list")["pending"] == 0

    house.consumer()  # nothing has become better, so the same four come back
    wait_for("the letters again", lambda: dlq("list")["pending"] == 4)


def record(house: House, trade_id: int, **values: Any) -> bytes:
    row = dict(zip(RECENT_TRADES.column_names, house.trade(trade_id), strict=True)) | values
    meta = {"__deleted": "false", "__op": "c", "__lsn": 1, "__source_ts_us": house.now_ms * 1000}
    return json.dumps(row | meta).encode()


def test_three_consumers_share_the_work_and_take_over_from_a_killed_one(house: House) -> None:
    applied(house)
    three = [house.consumer() for _ in range(3)]
    total = len(house.plan.streams) * house.plan.feed.spec.scaling.partitions
    wait_for(
        "an even share each",
        lambda: sorted(c.partitions() for c in three) == [total / 3] * 3,
        limit_s=90,
    )  # fmt: skip
    sent = 0

    def send(count: int) -> None:
        nonlocal sent
        house.insert(RECENT_TRADES, [house.trade(sent + n, at=house.now_ms + n) for n in range(count)])
        sent += count

    def until(done: Callable[[], bool]) -> None:
        """Keeps rows coming until `done`."""
        deadline = time.monotonic() + 90
        while not done():
            assert time.monotonic() < deadline
            send(100)
            time.sleep(0.1)

    until(lambda: house.trade_ids() != set())
    three[0].process.kill()
    until(lambda: three[1].partitions() + three[2].partitions() == total)
    assert three[1].stop() == 0  # and one that leaves in order hands its share on
    until(lambda: three[2].partitions() == total)
    wait_for("every row", lambda: house.trade_ids() == set(range(sent)), limit_s=90)


def test_a_column_added_to_a_captured_table_is_ignored_and_counted(house: House) -> None:
    applied(house)
    consumer = house.consumer()
    house.insert(RECENT_TRADES, [house.trade(1)])
    house.execute("ALTER TABLE {schema}.recent_trades ADD COLUMN venue text NOT NULL DEFAULT 'x'")
    house.execute(
        "INSERT INTO {schema}.recent_trades SELECT symbol, trade_time, 2, price, quantity, 2, 2, true, received_at,"
        " version, 'y' FROM {schema}.recent_trades"
    )
    wait_for("both rows", lambda: house.trade_ids() == {1, 2})
    assert consumer.metric("cryptocdc_consumer_unknown_fields_total", table="recent_trades") == 1
    assert consumer.metric("cryptocdc_consumer_dead_letters_total") == 0

"""The sink connector between real servers: the rows of the consumer, with its TTLs, derived tables and dead letters."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_adapters.kafka import clients as kafka
from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_adapters.replication.connect import Connect
from cryptocdc_core.catalogue.streams import BEST_QUOTES, KLINES, LATEST_PRICES, ORDER_BOOK, RECENT_TRADES
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.planning.plan import Topic, plan
from cryptocdc_core.planning.resolve import ResolvedFeed
from cryptocdc_core.rows.versions import version
from cryptocdc_core.storage import ddl
from cryptocdc_local.applier import Servers, delete
from cryptocdc_local.platform import Endpoints
from cryptocdc_local.running.sink import SinkConnector
from tests.integration import topics
from tests.integration.command import cryptocdc
from tests.integration.conftest import ALL_STREAMS, feed_document
from tests.integration.test_consumer import HOUR_MS, SYMBOLS, House, applied, record
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

README = Path(__file__).parents[2] / "sinks/connect/README.md"


@pytest.fixture
def house(
    servers: Servers, endpoints: Endpoints, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[House]:  # fmt: skip
    name = "k" + str(abs(hash(request.node.name)))[:8]
    document = feed_document(
        name, list(SYMBOLS), retention={"postgres": "2d", "kafka": "1d", "cassandra": "3d"}, sink={"engine": "connect"}
    )
    document["spec"]["streams"] = ALL_STREAMS
    document["spec"]["scaling"]["consumers"] = 2
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
        database.close()
        cluster.shutdown()
        delete(planned, servers, lambda _: None, everything=True)


def written_by_connect(house: House) -> SinkConnector:
    applied(house)
    sink = SinkConnector(house.plan, house.servers)
    sink.apply()
    return sink


def test_rows_updates_deletes_nulls_and_derived_tables_arrive(house: House) -> None:
    at = house.now_ms - house.now_ms % 10_000
    book = (["1.50", "1.40"], ["2.0", "0.00000001"], ["1.60"], ["3"])
    house.insert(RECENT_TRADES, [house.trade(1), house.trade(2)])  # before the connector: its snapshot
    sink = written_by_connect(house)
    wait_for("the snapshot's rows", lambda: house.trade_ids() == {1, 2})

    house.insert(RECENT_TRADES, [house.trade(n, price="35130.12000000") for n in (3, 4)])
    house.insert(ORDER_BOOK, [("BTCUSDT", at, 5, *book, at, at, version(at))])
    house.insert(LATEST_PRICES, [("BTCUSDT", at + n, f"{n}.10", at, version(at + n)) for n in range(3)])
    house.insert(BEST_QUOTES, [("BTCUSDT", at, 1, "1.0", "2.0", "3.0", "4.0", at, version(at))])
    house.insert(BEST_QUOTES, [("BTCUSDT", at + 1, None, "1.5", "2.0", None, None, at, version(at + 1))])
    candle = ("BTCUSDT", "1m", at, at + 59_999, *(["1.0"] * 5), None, 7, None, None, False, at, at, version(at))
    house.insert(KLINES, [candle])
    house.execute("UPDATE {schema}.recent_trades SET price = 7.700, version = version + 1 WHERE trade_id = 3")
    house.execute("UPDATE {schema}.klines SET trade_count = NULL, version = version + 1")
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
    wrote = house.rows("recent_trades", "trade_id, WRITETIME(price) AS at, version")
    assert all(row.at == row.version for row in wrote)

    wait_for("the newest price", lambda: [str(r.price) for r in house.rows("newest_prices")] == ["2.10"])
    assert {str(row.price) for row in house.rows("latest_prices")} == {"1.10", "2.10"}
    quote = wait_for("the newest quote", lambda: [r for r in house.rows("newest_quotes") if str(r.bid_price) == "1.5"])
    assert (quote[0].ask_price, quote[0].update_id) == (None, None)
    wait_for("a value that became null", lambda: [row.trade_count for row in house.rows("klines")] == [None])
    found = wait_for("the book", lambda: house.rows("order_book"))[0]
    levels = ([format(n, "f") for n in found.bid_prices], [format(n, "f") for n in found.bid_quantities])
    assert levels == book[:2]
    bins = wait_for("the heatmap", lambda: house.rows("order_book_heatmap"))
    assert sum(b.bid_quantity for b in bins) == Decimal("2.00000001")
    assert sum(b.ask_quantity for b in bins) == 3

    house.execute("DELETE FROM {schema}.order_book")
    wait_for("the heatmap without the book", lambda: not house.rows("order_book_heatmap"))
    assert sink.step() == ""


def test_the_ttl_is_the_remaining_retention_and_an_expired_row_is_not_written(house: House) -> None:
    written_by_connect(house)
    day_old, too_old = house.now_ms - 24 * HOUR_MS, house.now_ms - 73 * HOUR_MS
    house.insert(RECENT_TRADES, [house.trade(3, at=too_old), house.trade(2, at=day_old), house.trade(1)])
    wait_for("two rows", lambda: house.trade_ids() == {1, 2})
    ttls = {row.trade_id: row.ttl_price for row in house.rows("recent_trades", "trade_id, TTL(price) AS ttl_price")}
    assert 71 * 3600 < ttls[1] <= 72 * 3600
    assert 47 * 3600 < ttls[2] <= 48 * 3600


def test_a_poison_record_becomes_the_same_dead_letter_as_the_consumers_and_is_replayable(
    house: House, command_environment: dict[str, str]
) -> None:  # fmt: skip
    sink = written_by_connect(house)
    house.insert(RECENT_TRADES, [house.trade(1)])
    wait_for("the first row", lambda: house.trade_ids() == {1})
    topic = house.plan.names.change_topic("recent_trades")
    wide = {"symbol": "S" * 70_000}  # decodes and encodes, and Cassandra refuses the key
    poison = [b"garbage \xff", None, record(house, 10, **wide), record(house, 12, price="NaN")]
    offsets = [topics.put(house.servers.kafka, topic, 2, b"poison", value) for value in poison]
    topics.put(house.servers.kafka, topic, 2, b"sound", record(house, 11))
    house.insert(RECENT_TRADES, [house.trade(n) for n in range(20, 40)])

    wait_for("the neighbours", lambda: house.trade_ids() == {1, 11, *range(20, 40)})
    letters = wait_for("the letters", lambda: _letters(house) if len(_letters(house)) == 4 else None)
    assert sorted(letter.headers["cryptocdc.reason"].split(":")[0] for letter in letters) == [
        "refused", "undecodable", "undecodable", "unencodable",
    ]  # fmt: skip
    assert {letter.headers["cryptocdc.feed"] for letter in letters} == {house.plan.names.fid}
    by_offset = {int(letter.headers["cryptocdc.offset"]): letter for letter in letters}
    assert [by_offset[offset].value for offset in offsets] == poison
    assert {letter.key for letter in letters} == {b"poison"}
    assert {(x.headers["cryptocdc.topic"], x.headers["cryptocdc.partition"]) for x in letters} == {(topic, "2")}
    assert sink.step() == ""

    def dlq(action: str) -> dict[str, Any]:
        answer = cryptocdc(command_environment, "dlq", action, "-f", house.feed_file, "--json")
        assert answer.code == 0, answer.err
        found: dict[str, Any] = json.loads(answer.out)
        return found

    assert dlq("list")["pending"] == 4
    assert dlq("replay")["replayed"] == 4
    # Nothing has become better, so the same four come back.
    wait_for("the letters again", lambda: dlq("list")["pending"] == 4)


def _letters(house: House) -> list[topics.Found]:
    return topics.read(house.servers.kafka, house.plan.names.dead_letter_topic)


ORDER: list[dict[str, Any]] = [
    {"field": "id", "type": "int64", "optional": False},
    {"field": "customer_id", "type": "string", "optional": False},
    {"field": "ordered_at", "type": "int64", "optional": False},
    {"field": "updated_at", "type": "int64", "optional": False},
    {
        "field": "amount", "type": "bytes", "optional": True, "name": "org.apache.kafka.connect.data.Decimal",
        "version": 1, "parameters": {"scale": "2"},
    },
]  # fmt: skip
SOURCE = [{"field": name, "type": "int64", "optional": False} for name in ("ts_us", "lsn")]
ENVELOPE = {
    "type": "struct", "name": "shop.public.orders.Envelope", "optional": False,
    "fields": [
        {"field": "before", "type": "struct", "name": "shop.Order", "optional": True, "fields": ORDER},
        {"field": "after", "type": "struct", "name": "shop.Order", "optional": True, "fields": ORDER},
        {"field": "source", "type": "struct", "name": "shop.Source", "optional": False, "fields": SOURCE},
        {"field": "op", "type": "string", "optional": False},
    ],
}  # fmt: skip


def order(id: int, at_ms: int, cents: int | None, op: str = "c", after_ms: int = 0) -> bytes:
    """A change of a foreign table as Debezium's connector and Kafka's JsonConverter with schemas write it."""
    amount = None if cents is None else base64.b64encode(cents.to_bytes(8, "big", signed=True)).decode()
    updated_ms = at_ms + after_ms
    row = {"id": id, "customer_id": "c7", "ordered_at": at_ms, "updated_at": updated_ms, "amount": amount}
    image = {"before": row, "after": None} if op == "d" else {"before": None, "after": row}
    payload = {**image, "source": {"ts_us": updated_ms * 1000, "lsn": 5}, "op": op}
    return json.dumps({"schema": ENVELOPE, "payload": payload}).encode()


def test_the_connector_of_the_readme_writes_a_foreign_table_from_connects_records(house: House) -> None:
    settings, at_ms = house.servers.kafka, house.now_ms - HOUR_MS
    connect, name, topic = Connect(house.servers.connect.url), "shop-orders", "shop.orders"
    config: dict[str, str] = json.loads(README.read_text("utf-8").split("```json")[1].split("```")[0])
    mapping = json.loads(config["mapping"])
    mapping[topic]["operation"] = {"field": "__op", "write": ["c", "u"], "delete": ["d"]}
    (table,) = mapping[topic]["tables"]
    table["delete"] = {"where": ["customer", "day", "ordered_at", "id"], "timestamp": "__source_ts_us"}
    given = house.plan.sink_connector or {}
    config |= {key: value for key, value in given.items() if key.startswith("cassandra.")} | {
        "mapping": json.dumps(mapping),
        "errors.deadletterqueue.topic.replication.factor": "1",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "true",
        "transforms": "unwrap",
        "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
        "transforms.unwrap.add.fields": "op,lsn,source.ts_us",
        "transforms.unwrap.delete.tombstone.handling.mode": "rewrite",
    }
    house.session.execute(
        "CREATE KEYSPACE shop WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}"
    )
    try:
        house.session.execute(
            "CREATE TABLE shop.orders_by_day (customer text, day timestamp, ordered_at timestamp, id bigint,"
            " amount decimal, PRIMARY KEY ((customer, day), ordered_at, id))"
        )
        kafka.apply_topics(settings, [Topic(topic, 1, {})], 1)
        for value in (
            order(1, at_ms, 1990), order(2, at_ms, 5), order(3, at_ms, -10_000_000_000_01),
            order(1, at_ms, 2500, "u", after_ms=7), order(1, at_ms, 1, "u", after_ms=3),  # the second is older
            order(2, at_ms, 5, "d", after_ms=9),
        ):  # fmt: skip
            topics.put(settings, topic, 0, None, value)
        connect.apply(name, config)
        connect.wait_running(name)
        topics.put(settings, topic, 0, None, order(4, at_ms, None))
        read = "SELECT id, amount, WRITETIME(amount) AS at, TTL(amount) AS ttl, day FROM shop.orders_by_day"
        rows = wait_for("the last order", lambda: _by_id(house, read, 4))
    finally:
        connect.remove(name)
        kafka.delete_topics(settings, [topic, "shop.dlq"])
        house.session.execute("DROP KEYSPACE shop", timeout=60)
    assert rows.keys() == {1, 3, 4}
    assert {id: row.amount and str(row.amount) for id, row in rows.items()} == {
        1: "25.00", 3: "-10000000000.01", 4: None,
    }  # fmt: skip
    assert rows[1].at == (at_ms + 7) * 1000
    assert 7_776_000 - 3_600 - 120 < rows[1].ttl <= 7_776_000 - 3_600


def _by_id(house: House, query: str, last: int) -> dict[int, Any] | None:
    found = {row.id: row for row in house.session.execute(query, timeout=60)}
    return found if last in found else None

"""The converter in Connect, compared with the transform and the converter whose bytes it writes."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cryptocdc_adapters.replication.connect import Connect
from cryptocdc_core.names import quoted
from cryptocdc_core.planning.connector import CONVERTER, for_plugins
from cryptocdc_core.storage.ddl import DAY_MS
from cryptocdc_local import applier
from cryptocdc_local.applier import Servers
from tests.integration.conftest import CAPTURED
from tests.integration.feed_by_hand import Feed
from tests.integration.topics import read
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

TRADES = "recent_trades"
SYMBOLS = ("BTCUSDT", 'quoted"\\BTC', "币安人生USDT 🚀")


@pytest.fixture
def feed(servers: Servers, tmp_path: Path) -> Iterator[Feed]:
    it = Feed(servers, tmp_path, "converted")
    applier.apply(it.plan, servers, lambda _: None)
    yield it
    it.stop()


def test_the_records_of_every_table_are_the_same_bytes_with_and_without_the_converter(feed: Feed) -> None:
    connect, name = Connect(feed.servers.connect.url), feed.plan.names.connector
    assert CONVERTER in (connect.config(name) or {}).values()
    connect.wait_running(name)
    ours = records(feed)
    connect.stop(name)
    connect.wait_stopped(name)
    connect.apply(name, for_plugins(feed.plan.connector, ()))
    connect.resume(name)
    connect.wait_running(name)
    assert records(feed) == ours
    heartbeats = read(feed.servers.kafka, feed.plan.names.heartbeat_topic)
    assert {re.sub(rb"\d+", b"0", found.value or b"") for found in heartbeats} == {b'{"ts_ms":0}'}


def test_an_upgrade_switches_running_connectors_to_the_converter_without_a_loss(
    servers: Servers, tmp_path: Path
) -> None:
    it = Feed(servers, tmp_path, "upgraded", scaling={"partitions": 3, "connectors": 2})
    connect = Connect(servers.connect.url)
    before = {shard.connector: for_plugins(config, ()) for shard, config in it.plan.connectors.items()}
    after = {shard.connector: config for shard, config in it.plan.connectors.items()}
    symbols = tuple(f"SYMBOL{number}" for number in range(8))  # some for each connector
    start = int(time.time() * 1000) // DAY_MS * DAY_MS
    inserted, switched = [0], threading.Event()

    def insert() -> None:
        while not switched.is_set():
            for symbol in symbols:
                it.insert(TRADES, [start + inserted[0]], symbol)
            inserted[0] += 1

    try:
        it.start()
        for name, config in before.items():
            connect.apply(name, config)
            connect.wait_running(name)
        with ThreadPoolExecutor(1) as pool:
            inserting = pool.submit(insert)
            try:
                wait_for("rows with the transform", lambda: inserted[0] > 20, 60)
                applier.apply(it.plan, servers, lambda _: None)
                assert {name: connect.config(name) for name in after} == after
                there = inserted[0]
                wait_for("rows with the converter", lambda: inserted[0] > there + 20, 60)
            finally:
                switched.set()
            inserting.result()
        report = it.verify()
        assert (report.rows, report.reason) == (inserted[0] * len(symbols), None)
        sent = [json.loads(found.value or b"") for found in read(servers.kafka, it.plan.names.change_topic(TRADES))]
        assert {(row["symbol"], row["trade_id"]) for row in sent if row["__op"] == "c"} == {
            (symbol, start + at) for symbol in symbols for at in range(inserted[0])
        }
        assert read(servers.kafka, it.plan.names.dead_letter_topic) == []
    finally:
        it.stop()


Records = dict[str, list[tuple[bytes | None, bytes]]]
"""Keys and values, by topic."""


def records(feed: Feed) -> Records:
    """Insert, update and delete rows of every table; return their records, without position and time."""
    day = int(time.time() * 1000) // DAY_MS * DAY_MS
    before = {
        topic: {(it.partition, it.offset) for it in read(feed.servers.kafka, topic)}
        for topic in feed.plan.change_topics
    }
    for stream in CAPTURED:
        for symbol in SYMBOLS:
            feed.insert(stream.table, [day], symbol)
        table = f"{quoted(feed.plan.names.schema)}.{quoted(stream.table)}"
        nulls = ", ".join(f"{quoted(column.name)} = NULL" for column in stream.nullable)
        feed.sql(f"UPDATE {table} SET version = version + 1{f', {nulls}' if nulls else ''}")
        feed.sql(f"DELETE FROM {table}")

    def arrived() -> Records | None:
        found = {
            topic: sorted(
                (it.key, masked(it.value))
                for it in read(feed.servers.kafka, topic)
                if (it.partition, it.offset) not in before[topic]
            )
            for topic in before
        }
        return found if all(len(new) == 3 * len(SYMBOLS) for new in found.values()) else None

    return wait_for("the records of every table", arrived, 60)


def masked(value: bytes | None) -> bytes:
    """Return a record's value with zeros for where and when PostgreSQL committed it."""
    assert value is not None
    return re.sub(rb'("__lsn"|"__source_ts_us"):\d+', rb"\1:0", value)

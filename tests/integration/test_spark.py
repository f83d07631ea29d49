"""The Spark job between real servers: the rows of the consumer, with its TTLs, derived tables and dead letters, also
when its checkpoint is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_core.catalogue.streams import BEST_QUOTES, KLINES, LATEST_PRICES, ORDER_BOOK, RECENT_TRADES
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.planning.plan import plan
from cryptocdc_core.planning.resolve import ResolvedFeed
from cryptocdc_core.rows.versions import version
from cryptocdc_core.storage import ddl
from cryptocdc_local.applier import Servers, delete
from cryptocdc_local.platform import Endpoints, Platform
from cryptocdc_local.running.sink import spark_environment
from tests.integration import topics
from tests.integration.api_client import free_port
from tests.integration.command import cryptocdc
from tests.integration.conftest import ALL_STREAMS, feed_document
from tests.integration.test_consumer import HOUR_MS, SYMBOLS, House, applied, record
from tests.integration.waiting import wait_for

pytestmark = [pytest.mark.platform, pytest.mark.timeout(1500)]
"""The first one installs Spark, 350 MB."""


class Job:
    """The real program, in a process of its own."""

    def __init__(self, house: House, platform: Platform, checkpoint: Path) -> None:
        self.port, self.log = free_port(), checkpoint.with_suffix(".log")
        own = {
            "CRYPTOCDC_FEED": str(house.feed_file), "CRYPTOCDC_SOURCE": "simulated",
            "CRYPTOCDC_METRICS_HOST": "127.0.0.1", "CRYPTOCDC_METRICS_PORT": str(self.port),
        }  # fmt: skip
        spark = spark_environment(platform, house.plan.names.fid) | {"CRYPTOCDC_CHECKPOINT": str(checkpoint)}
        program = str(Path(sys.executable).with_name("cryptocdc-spark"))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [program], env={**os.environ, **house.environment, **spark, **own}, stderr=log, stdout=log
            )

    def metric(self, name: str, **labels: str) -> float:
        """The sum over all labels that are not given; 0 before it serves."""
        try:
            text = requests.get(f"http://127.0.0.1:{self.port}/metrics", timeout=5).text
        except requests.ConnectionError:
            return 0
        samples = (s for family in text_string_to_metric_families(text) for s in family.samples)
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    def logged(self, words: str) -> bool:
        return words in self.log.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def house(
    servers: Servers, endpoints: Endpoints, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[House]:  # fmt: skip
    name = "s" + str(abs(hash(request.node.name)))[:8]
    document = feed_document(
        name, list(SYMBOLS), retention={"postgres": "2d", "kafka": "1d", "cassandra": "3d"}, sink={"engine": "spark"}
    )
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
        database.close()
        cluster.shutdown()
        delete(planned, servers, lambda _: None, everything=True)


@pytest.fixture
def job(house: House, platform: Platform, tmp_path: Path) -> Iterator[Any]:
    """What starts a job on the feed, with the same checkpoint each time; jobs that still run are killed."""
    started: list[Job] = []

    def start() -> Job:
        started.append(Job(house, platform, tmp_path / "checkpoint"))
        return started[-1]

    applied(house)
    yield start
    for each in started:
        print(each.log.read_text(encoding="utf-8", errors="replace")[-6000:])
        if each.process.poll() is None:
            each.kill()


def test_rows_updates_deletes_nulls_ttls_and_dead_letters_are_those_of_the_consumer(
    house: House, job: Any, command_environment: dict[str, str]
) -> None:
    at = house.now_ms - house.now_ms % 10_000
    day_old, too_old = house.now_ms - 24 * HOUR_MS, house.now_ms - 73 * HOUR_MS
    book = (["1.50", "1.40"], ["2.0", "0.00000001"], ["1.60"], ["3"])
    house.insert(
        RECENT_TRADES, [house.trade(1), house.trade(2), house.trade(6, at=day_old), house.trade(7, at=too_old)]
    )
    running = job()
    wait_for("the first rows", lambda: house.trade_ids() == {1, 2, 6}, 240)

    house.insert(RECENT_TRADES, [house.trade(n, price="35130.12000000") for n in (3, 4)])
    house.insert(ORDER_BOOK, [("BTCUSDT", at + n, 5, *book, at, at, version(at)) for n in (0, 1_000)])
    house.insert(LATEST_PRICES, [("BTCUSDT", at + n, f"{n}.10", at, version(at + n)) for n in range(3)])
    house.insert(BEST_QUOTES, [("BTCUSDT", at, 1, "1.0", "2.0", "3.0", "4.0", at, version(at))])
    house.insert(BEST_QUOTES, [("BTCUSDT", at + 1, None, "1.5", "2.0", None, None, at, version(at + 1))])
    candle = ("BTCUSDT", "1m", at, at + 59_999, *(["1.0"] * 5), None, 7, None, None, False, at, at, version(at))
    house.insert(KLINES, [candle])
    house.execute("UPDATE {schema}.recent_trades SET price = 7.700, version = version + 1 WHERE trade_id = 3")
    house.execute("UPDATE {schema}.klines SET trade_count = NULL, version = version + 1")
    house.execute("DELETE FROM {schema}.recent_trades WHERE trade_id = 4")
    house.execute("DELETE FROM {schema}.latest_prices WHERE price = 0.10")
    topic = house.plan.names.change_topic("recent_trades")
    wide = {"symbol": "S" * 70_000}  # Cassandra refuses the key
    number = record(house, 13, price="1.0").replace(b'"price": "1.0"', b'"price": 1.0')
    poison = [b"garbage \xff", None, record(house, 10, **wide), record(house, 12, price="NaN"), number]
    offsets = [topics.put(house.servers.kafka, topic, 2, b"poison", value) for value in poison]
    house.insert(RECENT_TRADES, [house.trade(5)])

    wait_for("the last row", lambda: house.trade_ids() == {1, 2, 3, 5, 6}, 120)
    rows = {row.trade_id: row for row in house.rows("recent_trades")}
    assert {rows[n].audit.op for n in (1, 2, 5, 6)} == {"c"}
    assert str(rows[5].price) == "0.35130000"
    assert (str(rows[3].price), rows[3].audit.op) == ("7.700", "u")
    hops = (rows[5].received_at, *rows[5].audit[2:])
    assert None not in hops
    assert list(hops[1:]) == sorted(hops[1:])
    assert rows[5].audit.lsn > rows[3].audit.lsn > 0
    wrote = {
        row.trade_id: row
        for row in house.rows("recent_trades", "trade_id, WRITETIME(price) AS at, version, TTL(price) AS ttl")
    }
    assert all(row.at == row.version for row in wrote.values())
    assert 71 * 3600 < wrote[1].ttl <= 72 * 3600
    assert 47 * 3600 < wrote[6].ttl <= 48 * 3600

    wait_for("the newest price", lambda: [str(r.price) for r in house.rows("newest_prices")] == ["2.10"])
    wait_for("the delete", lambda: {str(row.price) for row in house.rows("latest_prices")} == {"1.10", "2.10"})
    quote = wait_for("the newest quote", lambda: [r for r in house.rows("newest_quotes") if str(r.bid_price) == "1.5"])
    assert (quote[0].ask_price, quote[0].update_id) == (None, None)
    wait_for("a value that became null", lambda: [row.trade_count for row in house.rows("klines")] == [None])
    found = wait_for("the books", lambda: rows if len(rows := house.rows("order_book")) == 2 else None)
    for row in found:
        assert ([format(n, "f") for n in row.bid_prices], [format(n, "f") for n in row.bid_quantities]) == book[:2]
    bins = wait_for("the heatmap", lambda: house.rows("order_book_heatmap"))
    assert sum(b.bid_quantity for b in bins) == Decimal("2.00000001")
    house.execute("DELETE FROM {schema}.order_book")
    wait_for("the heatmap without the book", lambda: not house.rows("order_book_heatmap"))

    def dlq(action: str) -> dict[str, Any]:
        answer = cryptocdc(command_environment, "dlq", action, "-f", house.feed_file, "--json")
        assert answer.code == 0, answer.err
        listed: dict[str, Any] = json.loads(answer.out)
        return listed

    letters = {letter["offset"]: letter for letter in dlq("list")["letters"]}
    assert [letters[offset]["reason"].split(":")[0] for offset in offsets] == [
        "undecodable", "undecodable", "refused", "unencodable", "undecodable",
    ]  # fmt: skip
    assert {(letter["topic"], letter["partition"], letter["key"]) for letter in letters.values()} == {
        (topic, 2, "poison")
    }
    assert running.metric("cryptocdc_consumer_dead_letters_total") == 5
    assert running.metric("cryptocdc_consumer_expired_total") >= 1
    assert running.metric("cryptocdc_consumer_commit_to_ack_seconds_count", table="recent_trades") > 0
    assert not running.logged("could not write")
    assert running.stop() == 0


@pytest.mark.soak  # some minutes
def test_nothing_is_lost_when_it_is_killed_its_checkpoint_lost_or_foreign_or_partitions_are_added(
    house: House, job: Any, tmp_path: Path
) -> None:
    kafka, names = house.servers.kafka, house.plan.names
    topic, checkpoint = names.change_topic("recent_trades"), tmp_path / "checkpoint"

    def committed() -> int:
        return sum(topics.committed(kafka, names.consumer_group, topic, partition) for partition in range(6))

    house.insert(RECENT_TRADES, [house.trade(n) for n in range(100)])
    first = job()
    wait_for("the first rows", lambda: house.trade_ids() == set(range(100)), 240)
    wait_for("their offsets", lambda: committed() == 100)
    first.kill()

    house.insert(RECENT_TRADES, [house.trade(n) for n in range(100, 3_000)])
    second = job()
    wait_for("some rows", lambda: len(house.trade_ids()) > 100, 240)
    second.kill()

    shutil.rmtree(checkpoint)
    house.insert(RECENT_TRADES, [house.trade(n) for n in range(3_000, 3_100)])
    third = job()
    wait_for("all rows without a checkpoint", lambda: house.trade_ids() == set(range(3_100)), 240)
    assert third.logged("there is no checkpoint: continuing at the committed offsets of the feed's group")
    wait_for("their offsets", lambda: committed() == 3_100)
    assert third.stop() == 0

    owner = json.loads((checkpoint / "feed.json").read_text(encoding="utf-8"))
    (checkpoint / "feed.json").write_text(json.dumps(owner | {"fid": "another"}), encoding="utf-8")
    house.insert(RECENT_TRADES, [house.trade(n) for n in range(3_100, 3_200)])
    fourth = job()
    wait_for("all rows with another feed's checkpoint", lambda: house.trade_ids() == set(range(3_200)), 240)
    assert fourth.logged("the checkpoint is of another, not of")

    topics.add_partitions(kafka, topic, 7)
    topics.put(kafka, topic, 6, b"BTCUSDT", record(house, 3_200))
    wait_for("a row of the new partition", lambda: 3_200 in house.trade_ids(), 120)
    wait_for("its offset", lambda: topics.committed(kafka, names.consumer_group, topic, 6) == 1)
    assert fourth.stop() == 0
    fifth = job()
    wait_for("the checkpoint to be used", lambda: fifth.logged("resuming at the checkpoint"), 240)
    house.insert(RECENT_TRADES, [house.trade(3_201)])
    wait_for("one more row", lambda: 3_201 in house.trade_ids(), 120)

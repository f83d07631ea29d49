"""Each cause of a difference is made by hand; `verify --repair` repairs what it may and says why it leaves the rest."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cassandra.cluster import Session
from confluent_kafka import Producer

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_adapters.kafka.clients import client_config
from cryptocdc_adapters.metrics.serving import Health
from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_adapters.postgres.copying import Upsert
from cryptocdc_core.catalogue import Type, by_table
from cryptocdc_core.program.metrics import VerifierMetrics
from cryptocdc_core.rows.typed import KlinesRow
from cryptocdc_local.applier import Servers
from cryptocdc_verifier.continuous.captured import Continuous
from cryptocdc_verifier.delivery.waiting import delivery_of
from cryptocdc_verifier.repair.decision import EXTRA, FUTURE, OPEN
from cryptocdc_verifier.repair.resend import Resent, resend
from cryptocdc_verifier.verify import sides
from tests.integration.conftest import CAPTURED
from tests.integration.feed_by_hand import HOUR_MS, Feed, hour_before_last, session_of, started
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

ROWS = 50


@pytest.fixture(scope="module")
def feed(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feed]:
    with started(Feed(servers, tmp_path_factory.mktemp("feeds"), "mended")) as made:
        yield made


@pytest.fixture(scope="module")
def cql(feed: Feed) -> Iterator[Session]:
    with session_of(feed) as session:
        yield session


@pytest.fixture(scope="module")
def hour(feed: Feed) -> int:
    """The start of the hour before the last, from which on every table has a row a second, equal on both sides."""
    hour = hour_before_last()
    for stream in CAPTURED:
        feed.insert(stream.table, [hour + second * 1000 for second in range(ROWS)])
    assert feed.verify().equal
    return hour


def where(table: str, at: int) -> str:
    """The CQL condition of the row at `at`, in milliseconds."""
    stream = by_table(table)
    prefix = ["BTCUSDT", "1m"][: len(stream.partition)]
    values: dict[str, object] = dict(zip(stream.partition, map(repr, prefix), strict=True))
    values[stream.bucket_column] = stream.bucket_of(prefix).floor(at)
    values |= {name: at for name in stream.clustering if stream.types[name] in (Type.TIMESTAMP, Type.BIGINT)}
    return " AND ".join(f"{name} = {value}" for name, value in values.items())


def at_sql(table: str, at: int) -> str:
    """The SQL condition of the row at `at`, in milliseconds."""
    return f"{by_table(table).time} = timestamp 'epoch' + {at} * interval '1 ms'"


def update(feed: Feed, table: str, at: int, values: str) -> None:
    feed.sql(f"UPDATE {feed.plan.names.schema}.{table} SET {values} WHERE {at_sql(table, at)}")


@contextmanager
def unseen_by_the_slot(feed: Feed, table: str) -> Iterator[None]:
    """What is committed to the table meanwhile never reaches Kafka."""
    names = feed.plan.names
    feed.sql(f"ALTER PUBLICATION {names.publication} DROP TABLE {names.schema}.{table}")
    yield
    feed.sql(f"ALTER PUBLICATION {names.publication} ADD TABLE {names.schema}.{table}")


def repaired(feed: Feed) -> dict[str, Any]:
    """Run `verify --repair` and return its report, with the exit code as `code`."""
    done = feed.command("--repair", "--json")
    assert done.returncode in (0, 1), done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert report["equal"] is (done.returncode == 0)
    return report


def causes(report: dict[str, Any]) -> dict[str, dict[str, int]]:
    return {table: found["causes"] for table, found in report["repair"]["tables"].items()}


def reasons(report: dict[str, Any]) -> dict[str, dict[str, str]]:
    """By table and cause, why rows were left."""
    return {
        table: {left["cause"]: left["why"] for left in found["left"]}
        for table, found in report["repair"]["tables"].items()
    }


def test_nothing_is_sent_again_where_both_sides_are_equal(feed: Feed, hour: int) -> None:
    report = repaired(feed)

    assert report["repair"] == {"repaired": 0, "left": 0, "tables": {}}


def test_missing_and_different_rows_are_sent_again_and_equal_afterwards(feed: Feed, cql: Session, hour: int) -> None:
    now = int(time.time() * 1000)
    # Missing: never passed the slot; deleted by hand.
    with unseen_by_the_slot(feed, "crypto_24h_stats"):
        feed.insert("crypto_24h_stats", [hour + 60_000])
    cql.execute(f"DELETE FROM latest_prices WHERE {where('latest_prices', hour + 1000)}")
    # Different: a wall clock, a deleted column, a lost update, an older version's value where the newer one has none.
    cql.execute(f"UPDATE recent_trades SET price = 1.5 WHERE {where('recent_trades', hour)}")
    cql.execute(f"DELETE price FROM recent_trades WHERE {where('recent_trades', hour + 1000)}")
    with unseen_by_the_slot(feed, "klines"):
        update(feed, "klines", hour, "close = 2.5, version = version + 1000")
    feed.insert("best_quotes", [now], bid_price=None)
    assert feed.verify().missing == 2
    older = f"UPDATE best_quotes USING TIMESTAMP {now * 1000 - 1000} SET bid_price = 3.5"
    cql.execute(f"{older} WHERE {where('best_quotes', now)}")

    report = repaired(feed)

    assert causes(report) == {
        "crypto_24h_stats": {"never_sent": 1},
        "latest_prices": {"deleted_by_hand": 1},
        "recent_trades": {"wall_clock": 1, "column_deleted": 1},
        "klines": {"update_lost": 1},
        "best_quotes": {"older_value": 1},
    }
    assert (report["equal"], report["repair"]["left"]) == (True, 0)


def test_a_raised_price_does_not_replace_the_newest_one(feed: Feed, cql: Session, hour: int) -> None:
    newest = cql.execute("SELECT toUnixTimestamp(event_time) AS at FROM newest_prices").one()

    assert newest.at == hour + (ROWS - 1) * 1000


def test_order_books_stored_out_of_line_are_sent_with_all_levels(feed: Feed, cql: Session, hour: int) -> None:
    at = hour + 2000
    levels = "(SELECT array_agg(random()::numeric * 1000000) FROM generate_series(1, 1000))"
    update(feed, "order_book", at, f"bid_prices = {levels}, ask_prices = {levels}, version = version + 1000")
    assert feed.verify().equal
    cql.execute(f"DELETE FROM order_book WHERE {where('order_book', at)}")

    report = repaired(feed)

    assert causes(report) == {"order_book": {"deleted_by_hand": 1}}
    assert report["equal"]


@pytest.mark.soak  # a minute
def test_rows_hidden_by_a_delete_are_left_until_the_deletes_time_has_passed(feed: Feed, hour: int) -> None:
    again, unseen = hour + 3000, hour + 9000
    for at in (again, unseen):
        feed.sql(f"DELETE FROM {feed.plan.names.schema}.best_quotes WHERE {at_sql('best_quotes', at)}")
    feed.insert("best_quotes", [again])
    with unseen_by_the_slot(feed, "best_quotes"):
        feed.insert("best_quotes", [unseen])

    report = repaired(feed)

    assert reasons(report) == {"best_quotes": {"delete_wins": FUTURE.text, "insert_lost": FUTURE.text}}
    assert "repairable_from" in report["repair"]["tables"]["best_quotes"]
    # The second delete is a moment later than the first, so one row may be repaired before the other.
    found: Counter[str] = Counter()

    def equal() -> bool:
        report = repaired(feed)
        found.update(causes(report).get("best_quotes", {}))
        return bool(report["equal"])

    wait_for("the deletes' time has passed", equal)
    assert found == {"delete_wins": 1, "insert_lost": 1}


def test_a_candle_that_may_still_change_is_left_and_repaired_once_it_is_final(
    feed: Feed, cql: Session, hour: int
) -> None:
    at = hour + 4000
    update(feed, "klines", at, "closed = false, version = version + 1")
    assert feed.verify().equal
    cql.execute(f"DELETE FROM klines WHERE {where('klines', at)}")

    assert reasons(repaired(feed)) == {"klines": {"deleted_by_hand": OPEN.text}}
    update(feed, "klines", at, "closed = true, version = version + 1")
    assert repaired(feed)["equal"]


def test_a_later_report_of_a_repaired_candle_wins(feed: Feed, cql: Session, hour: int) -> None:
    at, now = hour + 4000, int(time.time() * 1000)
    row = KlinesRow(
        symbol="BTCUSDT", interval="1m", open_time=at, close_time=at, open="1", high="1", low="1", close="77",
        volume="1", quote_volume="1", trade_count=1, taker_buy_volume="1", taker_buy_quote_volume="1", closed=True,
        event_time=now, received_at=now, version=now * 1000 + 2,
    )  # fmt: skip
    connection = postgres.connect(feed.servers.postgres, "test")
    with connection, connection.cursor() as cursor:
        Upsert(feed.plan.names, by_table("klines")).write(cursor, [row])
    connection.close()

    assert feed.verify().equal
    assert cql.execute(f"SELECT close FROM klines WHERE {where('klines', at)}").one().close == 77


def test_a_row_that_has_changed_meanwhile_is_not_sent_again(feed: Feed, hour: int) -> None:
    stream, at = by_table("klines"), hour + 5000
    update(feed, "klines", at, "close = 8.5, version = version + 1000")
    connection = postgres.connect(feed.servers.postgres, "test", autocommit=True)
    key = (b"BTCUSDT", b"1m", str(at).encode())
    try:
        assert resend(connection, feed.plan.names, stream, [Resent(key, at * 1000, at * 1000 + 5_000)]) == 0
        assert resend(connection, feed.plan.names, stream, [Resent(key, at * 1000 + 1000, at * 1000 + 1000)]) == 1
    finally:
        connection.close()
    assert feed.verify().equal


@pytest.mark.soak  # a minute
def test_a_repair_that_was_killed_is_completed_by_the_next(feed: Feed, cql: Session, hour: int) -> None:
    begin, rows = hour + HOUR_MS // 2, 3000
    feed.insert("recent_trades", list(range(begin, begin + rows)))
    assert feed.verify().equal
    cql.execute(f"DELETE FROM recent_trades WHERE symbol = 'BTCUSDT' AND hour = {hour} AND trade_time >= {begin}")
    process = subprocess.Popen(
        [sys.executable, "-m", "cryptocdc_local.main", "verify", "-f", str(feed.file), "--repair"],
        env=feed.environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    table = f"{feed.plan.names.schema}.recent_trades"
    raised = f"SELECT count(*) FROM {table} WHERE trade_id >= {begin} AND version <> trade_id * 1000"
    wait_for("some rows have a raised version", lambda: feed.sql(raised)[0][0])
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    assert feed.sql(raised)[0][0] < rows

    report = repaired(feed)

    assert report["equal"]
    assert 0 < report["repair"]["repaired"] <= rows


def test_what_may_be_harmful_is_left_with_the_reason(feed: Feed, cql: Session, hour: int) -> None:
    # Two values of one version; a newer version in Cassandra; a dead letter.
    with unseen_by_the_slot(feed, "recent_trades"):
        update(feed, "recent_trades", hour + 6000, "price = 9.5")
    newer = (hour + 7000) * 1000 + 5000
    cql.execute(
        f"UPDATE recent_trades USING TIMESTAMP {newer} SET version = {newer}, price = 4.5 WHERE"
        f" {where('recent_trades', hour + 7000)}"
    )
    with unseen_by_the_slot(feed, "latest_prices"):
        feed.insert("latest_prices", [hour + 61_000])
    names = feed.plan.names
    producer = Producer(client_config(feed.servers.kafka))
    producer.produce(
        names.dead_letter_topic, key=b'{"symbol":"BTCUSDT"}',
        value=json.dumps({"symbol": "BTCUSDT", "event_time": hour + 61_000, "price": "no number"}).encode(),
        headers={
            "cryptocdc.reason": b"price: no decimal", "cryptocdc.topic": names.change_topic("latest_prices").encode(),
        },
    )  # fmt: skip
    assert producer.flush(30) == 0
    # Extra rows: nothing of their table is repaired.
    ghost = where("klines", hour).replace("BTCUSDT", "GHOST")
    cql.execute(f"UPDATE klines SET close = 1.0 WHERE {ghost}")
    cql.execute(f"DELETE FROM klines WHERE {where('klines', hour + 8000)}")

    report = repaired(feed)

    assert report["repair"]["repaired"] == 0
    why = reasons(report)
    assert "which of them is the exchange's is unknown" in why["recent_trades"]["newer_version"]
    assert "both have the same version" in why["recent_trades"]["same_version"]
    assert "dlq replay" in why["latest_prices"]["dead_letter"]
    assert why["klines"] == {"missing": EXTRA.text, "extra": EXTRA.text}
    shown = feed.command("--repair")
    assert shown.returncode == 1
    assert "left" in shown.stdout

    cql.execute(f"DELETE FROM klines WHERE {ghost}")

    assert causes(repaired(feed))["klines"] == {"deleted_by_hand": 1}


def test_the_continuous_verifier_repairs_as_many_rows_as_the_feed_allows(servers: Servers, tmp_path: Path) -> None:
    limited = Feed(
        servers, tmp_path, "healed", streams={"latestPrices": {}}, repair={"enabled": True, "maxRowsPerHour": 3}
    )
    limited.start()
    cluster, session = cassandra.connect(servers.cassandra)
    names, metrics = limited.plan.names, VerifierMetrics("test")
    begin = int(time.time() * 1000) // HOUR_MS * HOUR_MS - 2 * HOUR_MS

    def value(what: str, **labels: str) -> float | None:
        labels = {"feed": names.fid, "table": "latest_prices", **labels}
        return metrics.registry.get_sample_value(f"cryptocdc_verifier_{what}", labels)

    def missing(rows: int) -> None:
        for second in range(rows):
            at = where("latest_prices", begin + second * 1000)
            session.execute(f"DELETE FROM {names.keyspace}.latest_prices WHERE {at}")

    try:
        limited.insert("latest_prices", [begin + second * 1000 for second in range(10)])
        assert limited.verify().equal
        missing(2)
        with sides(limited.target) as (pg, cs):
            delivery = delivery_of(limited.target, pg)
            continuous = Continuous(
                limited.target, pg, cs, delivery, metrics, Health(60), threading.Event(), rows_per_s=1_000_000
            )
            continuous.prove()
            assert value("repaired_rows_total", cause="deleted_by_hand") == 2
            assert value("differences", kind="missing") == 0
            missing(4)
            limited.insert("latest_prices", [begin + 500])  # so that the slice is proven again
            continuous.prove()
            assert value("repaired_rows_total", cause="deleted_by_hand") == 3
            assert value("unrepaired_rows", reason="limit") == 3
            assert value("differences", kind="missing") == 3
    finally:
        cluster.shutdown()
        limited.stop()

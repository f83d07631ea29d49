"""The verifier names what was altered, removed and added; it proves slices, and drops partitions only after proof."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cassandra.cluster import Session
from confluent_kafka import Producer

from cryptocdc_adapters.kafka.clients import client_config
from cryptocdc_adapters.metrics.serving import Health
from cryptocdc_core.catalogue import by_table
from cryptocdc_core.program.metrics import VerifierMetrics
from cryptocdc_core.storage.ddl import DAY_MS
from cryptocdc_local.applier import Servers
from cryptocdc_verifier.continuous.captured import Continuous
from cryptocdc_verifier.continuous.proofs import Proofs
from cryptocdc_verifier.continuous.slices import proven_through
from cryptocdc_verifier.delivery.waiting import delivery_of
from cryptocdc_verifier.report import Report
from cryptocdc_verifier.retention import Retention
from cryptocdc_verifier.target import VerifyError
from cryptocdc_verifier.transport import Transport
from cryptocdc_verifier.verify import sides
from tests.integration.conftest import CAPTURED
from tests.integration.feed_by_hand import HOUR_MS, Feed, hour_before_last, session_of, started
from tests.integration.topics import put

pytestmark = pytest.mark.platform


@pytest.fixture(scope="module")
def feed(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feed]:
    with started(Feed(servers, tmp_path_factory.mktemp("feeds"), "verdict")) as made:
        yield made


@pytest.fixture(scope="module")
def cql(feed: Feed) -> Iterator[Session]:
    with session_of(feed) as session:
        yield session


@pytest.fixture(scope="module")
def hour() -> int:
    return hour_before_last()


def causes(report: Report) -> dict[str, str]:
    """By kind, the cause given for its one key."""
    found = {key["kind"]: key["cause"] for key in report.keys or []}
    assert len(found) == len(report.keys or [])
    return found


def test_a_feed_without_rows_is_not_equal(feed: Feed) -> None:
    report = feed.verify()

    assert not report.equal
    assert "nothing was compared" in (report.reason or "")
    assert feed.command("--json").returncode == 1


def test_rows_of_every_table_are_proven_equal_to_the_digit(feed: Feed, hour: int) -> None:
    for stream in CAPTURED:
        feed.insert(stream.table, [hour + second * 1000 for second in range(50)])

    report = feed.verify()

    assert (report.reason, report.rows) == (None, 50 * len(CAPTURED))
    assert {name: table.rows for name, table in report.tables.items()} == {s.table: 50 for s in CAPTURED}


def test_altered_removed_and_added_rows_are_named(feed: Feed, cql: Session, hour: int) -> None:
    at = "symbol = 'BTCUSDT' AND hour = %s AND trade_time = %s AND trade_id = %s"
    cql.execute(f"UPDATE recent_trades SET price = 1.5 WHERE {at}", (hour, hour, hour))
    cql.execute("DELETE FROM latest_prices WHERE symbol = 'BTCUSDT' AND day = %s AND event_time = %s",
                (hour - hour % DAY_MS, hour + 1000))  # fmt: skip
    cql.execute("INSERT INTO klines (symbol, interval, month, open_time, close) VALUES ('GHOST', '1m', %s, %s, 1.0)",
                (by_table("klines").bucket.floor(hour), hour))  # fmt: skip

    report = feed.verify()
    found = causes(report)

    assert report.reason == "1 missing, 1 extra, 1 different"
    assert {k["kind"]: k["table"] for k in report.keys or []} == {
        "missing": "latest_prices", "extra": "klines", "different": "recent_trades"
    }  # fmt: skip
    assert "price" in found["different"]
    assert "written by hand without USING TIMESTAMP" in found["different"]
    assert "deleted in Cassandra by hand" in found["missing"]
    assert "written to Cassandra by hand" in found["extra"]
    result = feed.command("--explain")
    assert result.returncode == 1
    assert "GHOST" in result.stdout
    assert json.loads(feed.command("--json").stdout)["missing"] == 1


def test_verification_covers_exactly_the_given_window(feed: Feed, hour: int) -> None:
    report = feed.verify(start=hour + 2000, end=hour + 12_000)

    assert (report.reason, report.rows) == (None, 10 * len(CAPTURED))


def test_a_change_in_the_dead_letters_is_reported_as_quarantined(feed: Feed, cql: Session, hour: int) -> None:
    names = feed.plan.names
    row = {"symbol": "BTCUSDT", "event_time": hour + 1000, "price": "no number"}
    topic = names.change_topic("latest_prices").encode()
    producer = Producer(client_config(feed.servers.kafka))
    producer.produce(
        names.dead_letter_topic, key=b'{"symbol":"BTCUSDT"}', value=json.dumps(row).encode(),
        headers={"cryptocdc.reason": b"price: no decimal", "cryptocdc.topic": topic},
    )  # fmt: skip
    assert producer.flush(30) == 0

    report = feed.verify()

    assert (report.quarantined, report.quarantined_symbols) == (1, {"BTCUSDT": 1})
    assert "dead letter: price: no decimal" in causes(report)["missing"]


def test_a_key_deleted_and_inserted_again_is_reported_with_its_delete(feed: Feed, hour: int) -> None:
    schema = feed.plan.names.schema
    at = hour + 5000
    where = f"symbol = 'BTCUSDT' AND bucket_time = timestamp 'epoch' + {at} * interval '1 ms'"
    feed.sql(f"DELETE FROM {schema}.order_book WHERE {where}")
    feed.insert("order_book", [at])

    report = feed.verify()

    cause = next(key["cause"] for key in report.keys or [] if key["table"] == "order_book")
    assert report.tables["order_book"].missing == 1
    assert "deleted in PostgreSQL and inserted again" in cause


def test_a_stalled_consumer_is_reported(feed: Feed, hour: int) -> None:
    feed.stop_consumer()
    feed.insert("klines", [hour + 60_000])

    with pytest.raises(VerifyError, match=f"consumer group {feed.plan.names.consumer_group} has not committed"):
        feed.verify(stalled_s=2)

    feed.start_consumer()


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--from", "yesterday"], "--from: 'yesterday'"),
        (["--from", "2026-01-02", "--to", "2026-01-01"], "--to: '2026-01-01'"),
        (["--source", "dream"], "--source: 'dream'"),
    ],
)
def test_bad_input_is_named_with_what_is_accepted(feed: Feed, more: list[str], named: str) -> None:
    result = feed.command(*more)

    assert result.returncode == 2
    assert named in result.stderr
    assert "accepted" in result.stderr


def test_changed_slices_are_proven_again_and_partitions_dropped_afterwards(servers: Servers, tmp_path: Path) -> None:
    kept = Feed(servers, tmp_path, "slices", streams={"recentTrades": {}}, retention={"postgres": "1d"})
    kept.start()
    try:
        _prove_and_drop(kept)
    finally:
        kept.stop()


def _prove_and_drop(feed: Feed) -> None:
    stream = by_table("recent_trades")
    now = int(time.time() * 1000)
    today = now - now % DAY_MS
    old = today - 3 * DAY_MS
    feed.insert("recent_trades", [old + HOUR_MS, old + HOUR_MS + 1, today])
    metrics = VerifierMetrics("test")
    with sides(feed.target) as (pg, cs):
        delivery = delivery_of(feed.target, pg)
        stop = threading.Event()
        continuous = Continuous(feed.target, pg, cs, delivery, metrics, Health(60), stop, rows_per_s=1_000_000)
        retention = Retention(feed.target, pg, metrics)
        proofs = Proofs(pg.connection, feed.plan.names)

        assert retention.drop_old() == []  # nothing is proven yet

        continuous.prove()
        through = metrics.proven_through.labels(feed.plan.names.fid, stream.table)._value.get() * 1000
        assert now - through < 100_000
        assert sum(proof.rows for proof in proofs.of(stream)) == 3

        feed.insert("recent_trades", [old + HOUR_MS + 2])
        assert retention.drop_old() == []  # a row came after the proof

        continuous.prove()  # finds the changed slice
        continuous.prove()  # proves it again
        assert metrics.reproofs.labels(feed.plan.names.fid, stream.table)._value.get() == 1
        assert sum(proof.rows for proof in proofs.of(stream)) == 4

        assert retention.drop_old() == [f"recent_trades_p{time.strftime('%Y%m%d', time.gmtime(old / 1000))}"]
        with pg.snapshot() as rows:
            assert rows.days(stream) == [today]
            assert proven_through([], []) is None

    report = feed.verify()
    assert (report.reason, report.rows) == (None, 1)  # what was dropped is in Cassandra still, and not extra

    feed.insert("recent_trades", [old + HOUR_MS + 3])  # a late row recreates the partition
    report = feed.verify()
    assert (report.reason, report.rows) == (None, 2)


def test_a_candle_that_closes_does_not_set_back_what_is_proven(servers: Servers, tmp_path: Path) -> None:
    """The proof of the slice in which it had opened is made again before anything is published."""
    candles = Feed(servers, tmp_path, "candles", streams={"klines": {"intervals": ["1h"]}})
    candles.start()
    table = f"{candles.plan.names.schema}.klines"
    opened = int(time.time() * 1000) // HOUR_MS * HOUR_MS - 2 * HOUR_MS
    metrics = VerifierMetrics("test")

    def through() -> float:
        shown: float = metrics.proven_through.labels(candles.plan.names.fid, "klines")._value.get() * 1000
        return shown

    try:
        candles.insert("klines", [opened])
        candles.sql(f"UPDATE {table} SET closed = false, version = version + 1")
        with sides(candles.target) as (pg, cs):
            continuous = Continuous(
                candles.target, pg, cs, delivery_of(candles.target, pg), metrics, Health(60), threading.Event(),
                rows_per_s=1_000_000,
            )  # fmt: skip
            continuous.prove()
            before = through()
            assert before > opened
            candles.sql(f"UPDATE {table} SET closed = true, version = version + 1")
            continuous.prove()
            assert through() >= before
        labels = {"feed": candles.plan.names.fid, "table": "klines"}
        assert metrics.registry.get_sample_value("cryptocdc_verifier_reproofs_total", labels) == 1
        behind = metrics.registry.get_sample_value("cryptocdc_verifier_unproven_seconds", labels)
        assert behind in (0, 60), "a minute may have ended since"
    finally:
        candles.stop()


def test_lag_and_dead_letters_are_exported_without_a_consumer_to_tell_them(servers: Servers, tmp_path: Path) -> None:
    feed = Feed(servers, tmp_path, "transport", streams={"klines": {}})
    feed.start()
    metrics, names = VerifierMetrics("test"), feed.plan.names
    topic = names.change_topic("klines")

    def exported(what: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"cryptocdc_verifier_{what}", {"feed": names.fid, **labels})

    try:
        with sides(feed.target) as (pg, _):
            transport, delivery = Transport(feed.target, pg, metrics), delivery_of(feed.target, pg)
            feed.insert("klines", [int(time.time() * 1000) - 60_000])
            put(servers.kafka, topic, 0, b"poison", b"garbage")
            delivery.wait(0)
            transport.publish()
            assert (exported("lag_records", topic=topic), exported("dead_letters")) == (0, 1)
            assert exported("connector_running", connector=names.connector) == 1
            assert exported("slot_usable", slot=names.slot) == 1
            feed.stop_consumer()
            put(servers.kafka, topic, 1, b"poison", b"garbage")
            transport.publish()
            assert (exported("lag_records", topic=topic), exported("dead_letters")) == (1, 1)
    finally:
        feed.stop()

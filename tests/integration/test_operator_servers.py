"""The operator's work with the platform's servers, tested with real ones: this needs no cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from cassandra import Unauthorized

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_adapters.kafka.clients import apply_topics, delete_topics
from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_adapters.replication.connect import Connect, ConnectorState
from cryptocdc_adapters.replication.shards import ShardState
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.planning.plan import Plan, plan
from cryptocdc_core.planning.resolve import ResolvedFeed
from cryptocdc_core.storage.shards import Shard
from cryptocdc_local.applier import Servers
from cryptocdc_local.platform import Platform
from cryptocdc_local.platform.credentials import read
from cryptocdc_local.platform.endpoints import POSTGRES_SUPERUSER
from cryptocdc_operator.servers.platform import PlatformServers, Role
from cryptocdc_operator.servers.port import KAFKA, Refused, ServerError
from cryptocdc_operator.settings import OperatorSettings
from tests.integration.conftest import feed_document
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

SETTINGS = OperatorSettings(
    namespace="none",
    producer_image="none",
    consumer_image="none",
    alerter_image="none",
    analyzer_image="none",
    exporter_image="none",
)


def planned(platform: PlatformServers, name: str, **trades: str) -> Plan:
    feed = feeds.parse(feed_document(name, ["BTCUSDT", "ETHUSDT"], {"recentTrades": trades, "klines": {}}))
    # Here Connect takes the password from its environment.
    facts = replace(platform.facts, replication_password="${env:CRYPTOCDC_REPLICATION_PASSWORD}")
    return plan(ResolvedFeed(feed, "simulated", ("BTCUSDT", "ETHUSDT")), facts)


@pytest.fixture
def operated(servers: Servers) -> PlatformServers:
    return PlatformServers(servers, SETTINGS)


def only(it: Plan) -> Shard:
    (shard,) = it.connectors
    return shard


@pytest.fixture
def made(servers: Servers, operated: PlatformServers) -> Iterator[Plan]:
    """A feed's plan; whatever a test made of it is removed."""
    it = planned(operated, "operated")
    yield it
    Connect(servers.connect.url).delete(it.names.connector)
    operated.drop_slot(only(it))
    operated.drop_data(it.names)
    delete_topics(servers.kafka, [topic.name for topic in it.topics])


def test_missing_tables_are_detected_created_and_removed(operated: PlatformServers, made: Plan) -> None:
    observed = operated.observe(made)
    assert observed.unreachable == {}
    assert observed.missing_tables == (
        "PostgreSQL heartbeat", "PostgreSQL klines", "PostgreSQL recent_trades",
        "Cassandra klines", "Cassandra recent_trades",
    )  # fmt: skip
    assert (observed.shards, observed.configs, observed.lag) == ({}, {}, 0)

    operated.apply_tables(made)
    operated.apply_tables(made)
    assert operated.observe(made).missing_tables == ()

    operated.drop_data(made.names)
    operated.drop_data(made.names)
    assert len(operated.observe(made).missing_tables) == 5


def test_a_table_missing_from_the_publication_is_detected(
    servers: Servers, operated: PlatformServers, made: Plan
) -> None:
    operated.apply_tables(made)
    postgres.apply_schema(
        servers.postgres, [f'ALTER PUBLICATION "{made.names.publication}" DROP TABLE "{made.names.schema}".klines']
    )
    assert operated.observe(made).missing_tables == ("PostgreSQL klines",)


def test_trades_of_another_kind_are_refused_with_a_clear_message(
    servers: Servers, operated: PlatformServers, made: Plan
) -> None:
    operated.apply_tables(made)
    table = f'"{made.names.schema}".recent_trades'
    connection = postgres.connect(servers.postgres, "test", autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {table}_p PARTITION OF {table} DEFAULT")
        cursor.execute(
            f"INSERT INTO {table} SELECT (jsonb_populate_record(NULL::{table}, jsonb_build_object("
            + ", ".join(f"'{c.name}', {_any(c.type.postgres)}" for c in made.streams[0].columns)
            + "))).*"
        )
    connection.close()
    with pytest.raises(Refused, match=r"spec\.streams\.recentTrades\.kind: 'trade' is not accepted"):
        operated.apply_tables(planned(operated, "operated", kind="trade"))


def _any(kind: str) -> str:
    """Some value of a type, as JSON."""
    if kind.startswith("timestamp"):
        return "'2026-11-21T12:00:00'"
    return {"text": "'x'", "boolean": "true"}.get(kind, "1")


def test_symbols_are_written_and_removed(servers: Servers, operated: PlatformServers, made: Plan) -> None:
    apply_topics(servers.kafka, made.topics, 1)
    assert operated.write_symbols(made.names, made.symbols) == (["BTCUSDT", "ETHUSDT"], [])
    assert operated.write_symbols(made.names, made.symbols) == ([], [])
    assert operated.write_symbols(made.names, {}) == ([], ["BTCUSDT", "ETHUSDT"])


def test_the_replicas_of_existing_topics_are_observed(servers: Servers, operated: PlatformServers, made: Plan) -> None:
    def seen() -> Mapping[str, int] | None:
        """None while Kafka does not answer: a broker that has just started has no coordinator for a while."""
        observed = operated.observe(made)
        return observed.topics if observed.answers(KAFKA) else None

    wait_for("no topic", lambda: seen() == {})
    apply_topics(servers.kafka, made.topics[:2], 1)
    wait_for("both topics", lambda: seen() == {topic.name: 1 for topic in made.topics[:2]})


def test_a_connector_with_a_failed_task_is_stopped_reset_and_removed(
    servers: Servers, operated: PlatformServers, made: Plan
) -> None:
    name, connect = made.names.connector, Connect(servers.connect.url)

    def state() -> ConnectorState:
        found = operated.connector_state(name)
        assert found is not None
        return found

    apply_topics(servers.kafka, made.topics, 1)
    operated.apply_tables(made)
    connect.apply(name, made.connector)
    wait_for("the connector streams", lambda: operated.observe(made).shard(only(made)).placed and state().running)
    operated.stop_connector(name)
    wait_for("the connector is stopped", lambda: state().ended)
    operated.drop_slot(only(made))
    operated.start_connector(name)
    wait_for("its task misses the slot", lambda: state().failed)
    assert not state().ended

    with pytest.raises(Refused, match="STOPPED"):
        operated.reset_connector(name)
    operated.stop_connector(name)
    wait_for("the failed connector is stopped", lambda: state().ended)
    operated.reset_connector(name)
    assert operated.observe(made).shard(only(made)).position is None
    operated.delete_connector(name)
    operated.delete_connector(name)
    assert operated.connector_state(name) is None
    operated.drop_slot(only(made))
    assert operated.observe(made).shards == {}


def test_a_missing_replaced_or_invalidated_slot_is_lost_until_a_new_snapshot(
    platform: Platform, servers: Servers, operated: PlatformServers, made: Plan
) -> None:
    name, slot = made.names.connector, made.names.slot
    connect = Connect(servers.connect.url)

    def found() -> ShardState:
        return operated.observe(made).shard(only(made))

    def lost() -> str | None:
        return found().lost

    def streams() -> bool:
        now = found()
        return now.running and now.position is not None and now.position.lsn > 0 and now.slot is not None

    def stop() -> None:
        connect.stop(name)
        connect.wait_stopped(name)

    apply_topics(servers.kafka, made.topics, 1)
    operated.apply_tables(made)
    connect.apply(name, made.connector)
    wait_for("the connector streams", streams)
    assert operated.observe(made).carries(only(made), made.connector)
    for _ in range(20):  # heartbeats move position and slot on all the while
        assert lost() is None

    stop()
    assert lost() is None, "a connector that is stopped has lost nothing"
    operated.drop_slot(only(made))
    operated.drop_slot(only(made))
    assert "gone" in str(lost())

    user = servers.postgres.model_copy(update=servers.replication.model_dump())
    connection = postgres.connect(user, "test", autocommit=True)
    try:
        with connection.cursor() as cursor:
            postgres.apply_schema(servers.postgres, [f'UPDATE "{made.names.schema}".heartbeat SET beat_at = now()'])
            cursor.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (slot,))
    finally:
        connection.close()
    assert "not the one" in str(lost())

    operated.drop_slot(only(made))
    operated.reset_connector(name)
    assert lost() is None, "without a position there is nothing to lose"
    connect.resume(name)
    wait_for("the connector streams again", streams)
    assert lost() is None

    stop()
    with kept_log(platform, servers, "1MB") as superuser:
        for _ in range(3):
            superuser.execute("SELECT pg_logical_emit_message(true, 'test', 'x'), pg_switch_wal()")
        superuser.execute("CHECKPOINT")
        assert "removed log" in str(lost())


@contextmanager
def kept_log(platform: Platform, servers: Servers, limit: str) -> Iterator[Any]:
    """PostgreSQL keeps no more than `limit` for a slot. A superuser's cursor."""
    credentials = read(platform.settings.home / "credentials.json")
    assert credentials is not None
    login = {"user": POSTGRES_SUPERUSER, "password": credentials.postgres_superuser}
    connection = postgres.connect(servers.postgres.model_copy(update=login), "test", autocommit=True)
    try:
        with connection.cursor() as superuser:
            superuser.execute("ALTER SYSTEM SET max_slot_wal_keep_size = %s", (limit,))
            superuser.execute("SELECT pg_reload_conf()")
            try:
                yield superuser
            finally:
                superuser.execute("ALTER SYSTEM RESET max_slot_wal_keep_size")
                superuser.execute("SELECT pg_reload_conf()")
    finally:
        connection.close()


def test_a_role_can_do_only_what_it_is_granted(servers: Servers, made: Plan) -> None:
    login = servers.cassandra.model_copy(update={"username": "operated_reader", "password": "first's"})
    writer = Role(login.model_copy(update={"username": "operated_writer"}), ("SELECT", "MODIFY"))
    try:
        operated = PlatformServers(servers, SETTINGS, [Role(login, ("SELECT",)), writer])
        operated.apply_tables(made)
        assert operated.observe(made).missing_tables == ()
        cluster, session = cassandra.connect(login)
        try:
            assert session.execute(f'SELECT * FROM "{made.names.keyspace}".klines LIMIT 1').one() is None
            for statement in (f'TRUNCATE "{made.names.keyspace}".klines', "SELECT * FROM system_auth.roles"):
                with pytest.raises(Unauthorized):
                    session.execute(statement)
        finally:
            cluster.shutdown()
        cluster, session = cassandra.connect(writer.login)
        try:
            session.execute(f'TRUNCATE "{made.names.keyspace}".klines')
            for statement in (f'DROP TABLE "{made.names.keyspace}".klines', "SELECT * FROM system_auth.roles"):
                with pytest.raises(Unauthorized):
                    session.execute(statement)
        finally:
            cluster.shutdown()

        # Another password, as when the secret was changed, and a right that somebody took away.
        role = Role(login.model_copy(update={"password": "second"}), ("SELECT",))
        changed = PlatformServers(servers, SETTINGS, [role])
        lacking = (f"Cassandra permissions of operated_reader (SELECT) on {made.names.keyspace}",)
        assert changed.observe(made).missing_tables == lacking

        def applied() -> bool:
            """Cassandra takes another password every five seconds, and the operator comes again."""
            try:
                changed.apply_tables(made)
            except ServerError:
                return False
            return True

        wait_for("the password may be changed", applied)
        # Cassandra keeps what it knows of a login for two seconds.
        wait_for("the new password is taken", lambda: changed.observe(made).missing_tables == ())
        revoke = f'REVOKE SELECT ON KEYSPACE "{made.names.keyspace}" FROM operated_reader'
        cassandra.apply_schema(servers.cassandra, [revoke])
        assert changed.observe(made).missing_tables == lacking
    finally:
        cassandra.apply_schema(
            servers.cassandra, ["DROP ROLE IF EXISTS operated_reader", "DROP ROLE IF EXISTS operated_writer"]
        )

"""Parts of the servers' ports that need no server: settings from secrets, proofs from metrics, the stall watchdog."""

import re

import pytest
from confluent_kafka import KafkaError, KafkaException
from prometheus_client import generate_latest
from tests.unit.core.feeds import feed
from tests.unit.operator.doubles import FACTS
from tests.unit.operator.world import ADDRESSES, SETTINGS

from cryptocdc_adapters.kafka import clients as kafka
from cryptocdc_adapters.kafka import offsets
from cryptocdc_adapters.metrics.figures import parse
from cryptocdc_adapters.replication.connect import Connect, ConnectError, ConnectorState, Position
from cryptocdc_core.names import Names
from cryptocdc_core.planning.plan import plan
from cryptocdc_core.planning.resolve import ResolvedFeed
from cryptocdc_core.program.metrics import VerifierMetrics
from cryptocdc_core.program.settings import SettingsError
from cryptocdc_core.storage.shards import shards
from cryptocdc_operator.reconcile.stall_watchdog import LIMIT_S, Progress
from cryptocdc_operator.servers.external import proof_in
from cryptocdc_operator.servers.platform import PlatformServers, server_settings
from cryptocdc_operator.servers.port import ServerError
from cryptocdc_operator.settings import Addresses, OperatorSettings

SECRETS = {name: {"username": f"u-{name}", "password": f"p-{name}", "ca.crt": "CA"} for name in SETTINGS.secrets}
ENVIRONMENT = {
    "CRYPTOCDC_OPERATOR_NAMESPACE": "cdc",
    "CRYPTOCDC_OPERATOR_PRODUCER_IMAGE": "p",
    "CRYPTOCDC_OPERATOR_CONSUMER_IMAGE": "c",
    "CRYPTOCDC_OPERATOR_ALERTER_IMAGE": "a",
    "CRYPTOCDC_OPERATOR_ANALYZER_IMAGE": "n",
    "CRYPTOCDC_OPERATOR_EXPORTER_IMAGE": "e",
}


def test_settings_come_from_the_environment():
    made = OperatorSettings.from_env(
        ENVIRONMENT
        | {
            "CRYPTOCDC_OPERATOR_KAFKA_CA_SECRET": "none",
            "CRYPTOCDC_OPERATOR_NETWORK_POLICIES": "false",
            "CRYPTOCDC_OPERATOR_PRODUCER_RESOURCES": '{"limits": {"memory": "1Gi"}}',
        }
    )
    assert made.kafka_ca_secret is None
    assert not made.network_policies
    assert made.producer_resources == {"limits": {"memory": "1Gi"}}
    assert "requests" in made.consumer_resources
    assert "cryptocdc-cluster-ca-cert" not in made.secrets


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CRYPTOCDC_OPERATOR_NAMESPACE", ""),
        ("CRYPTOCDC_OPERATOR_PRODUCER_RESOURCES", "much"),
        ("CRYPTOCDC_OPERATOR_TOPIC_REPLICATION", "0"),
        ("CRYPTOCDC_OPERATOR_IMAGE_PULL_POLICY", "Sometimes"),
    ],
)
def test_an_invalid_setting_is_named(variable, value):
    with pytest.raises(SettingsError, match=variable):
        OperatorSettings.from_env(ENVIRONMENT | {variable: value})


def test_the_servers_settings_are_read_from_secrets():
    made = server_settings(SETTINGS, ADDRESSES, SECRETS)
    assert (made.postgres.user, made.postgres.password) == ("u-cryptocdc-postgres-app", "p-cryptocdc-postgres-app")
    assert (made.kafka.username, made.kafka.mechanism) == ("cryptocdc-operator", "SCRAM-SHA-512")
    assert made.kafka.ca_file is not None
    assert made.kafka.ca_file.read_text() == "CA"
    assert made.cassandra.ca_file is None
    facts = PlatformServers(made, SETTINGS).facts
    assert facts.replication_user == "u-cryptocdc-replication"
    assert facts.replication_password == "${secrets:cdc/cryptocdc-replication:password}"
    assert facts.postgres_sslmode == "require"
    assert facts.cassandra_replication == "{'class': 'NetworkTopologyStrategy', 'dc1': 1}"


def test_connect_gets_the_writers_login_to_cassandra_by_reference_and_never_as_text():
    for ca, wanted in ((None, None), ("cassandra-ca", "${secrets:cdc/cassandra-ca:ca.crt}")):
        settings = SETTINGS.model_copy(update={"cassandra_ca_secret": ca})
        secrets = SECRETS | {"cassandra-ca": {"ca.crt": "CA"}}
        facts = PlatformServers(server_settings(settings, ADDRESSES, secrets), settings).facts
        assert (facts.cassandra_hosts, facts.cassandra_port) == ("cryptocdc-dc1-service", 9042)
        assert facts.cassandra_user == "${secrets:cdc/cryptocdc-writer:username}"
        assert facts.cassandra_password == "${secrets:cdc/cryptocdc-writer:password}"
        assert facts.cassandra_ca == wanted
        made = plan(ResolvedFeed(feed(sink={"engine": "connect"}), "exchange", ("BTCUSDT",)), facts)
        assert "p-cryptocdc-writer" not in str(made.sink_connector)


def test_unreachable_servers_are_named_briefly():
    nowhere = {
        "CRYPTOCDC_POSTGRES_PORT": "1", "CRYPTOCDC_KAFKA_BOOTSTRAP": "127.0.0.1:1", "CRYPTOCDC_CASSANDRA_PORT": "1",
        "CRYPTOCDC_CONNECT_URL": "http://127.0.0.1:1",
    }  # fmt: skip
    settings = SETTINGS.model_copy(update={"postgres_ca_secret": None, "kafka_ca_secret": None})
    servers = PlatformServers(server_settings(settings, Addresses(nowhere), SECRETS), settings)
    for call, message in (
        (lambda: servers.drop_slot(shards(Names("majors"), 1)[0]), "PostgreSQL.*port 1 failed: Connection refused"),
        (lambda: servers.restart_connector("majors"), "no connection to http://127.0.0.1:1/connectors/majors/restart"),
    ):
        with pytest.raises(ServerError) as raised:
            call()
        assert re.search(message, f"{raised.value.server}: {raised.value}")
        assert len(str(raised.value)) < 150


def test_addresses_contain_no_secret():
    assert Addresses.from_env({"CRYPTOCDC_POSTGRES_PASSWORD": "p", "CRYPTOCDC_POSTGRES_HOST": "h", "HOME": "/"}) == {
        "CRYPTOCDC_POSTGRES_HOST": "h"
    }


@pytest.mark.parametrize(
    ("variable", "value"),
    [("CRYPTOCDC_KAFKA_BOOTSTRAP", "kafka"), ("CRYPTOCDC_POSTGRES_PORT", "x"), ("CRYPTOCDC_CASSANDRA_PORT", "0")],
)
def test_an_invalid_address_ends_the_operator_when_it_starts_and_not_each_pass(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable}: '{value}': "):
        Addresses.from_env({variable: value})


def test_a_feed_is_proven_through_its_least_proven_table():
    metrics = VerifierMetrics("test")
    for fid, at in (("majors", 1000), ("others", 1)):
        metrics.proven_through.labels(fid, "klines").set(at)
        metrics.proven_through.labels(fid, "recent_trades").set(at + 60)
        metrics.proven_rows.labels(fid, "klines").set(5)
        metrics.proven_rows.labels(fid, "recent_trades").set(7)
    metrics.differences.labels("others", "klines", "missing").set(3)
    samples = parse([generate_latest(metrics.registry).decode()], 0)
    proof = proof_in(samples, "majors")
    assert proof.through is not None
    assert (proof.differences, proof.rows, proof.through.timestamp()) == (0, 12, 1000)
    assert proof_in(samples, "others").differences == 3
    assert proof_in(samples, "unknown").through is None


def test_repaired_and_left_rows_are_summed_over_the_tables():
    metrics = VerifierMetrics("test")
    for table in ("klines", "recent_trades"):
        metrics.repaired_rows.labels("majors", table, "update_lost").inc(2)
        metrics.unrepaired_rows.labels("majors", table, "limit").set(1)
        metrics.unrepaired_rows.labels("majors", table, "extra").set(0)
    proof = proof_in(parse([generate_latest(metrics.registry).decode()], 0), "majors")
    assert (proof.repaired, proof.left) == ({"update_lost": 4}, {"limit": 2})


def test_a_feed_that_is_not_reconciled_is_reported():
    now = 0.0
    progress = Progress(lambda: now)
    assert progress.stalled([]) == []
    progress.record("majors")
    now = LIMIT_S - 1
    assert progress.stalled(["majors", "others"]) == []
    now = LIMIT_S + 1
    assert progress.stalled(["majors", "others"]) == ["majors"]
    assert progress.stalled(["others"]) == [], "a removed feed is not reported"
    progress.record("majors")
    now = 2 * LIMIT_S
    assert progress.stalled(["majors", "others"]) == ["others"], "a new feed gets the same time"


def test_a_feed_that_is_gone_is_forgotten():
    progress = Progress()
    progress.record("majors")
    progress.record("others")
    assert progress.removed(["others"]) == ["majors"]
    progress.stalled(["others"])
    assert progress.removed(["others"]) == []


@pytest.mark.parametrize(
    ("offsets", "position"),
    [
        ([], None),
        ([{"partition": {}, "offset": {"lsn": 5, "lsn_proc": 7, "lsn_commit": 6}}], Position(7, given=False)),
        ([{"partition": {}, "offset": {"lsn": 5}}], Position(5, given=True)),
        ([{"partition": {}, "offset": {"snapshot": "true"}}], Position(0, given=False, snapshot=True)),
    ],
)
def test_a_connectors_position_is_its_greatest_committed_one(monkeypatch, offsets, position):
    class Answer:
        status_code = 200

        def json(self):
            return {"offsets": offsets}

    connect = Connect("http://connect")
    monkeypatch.setattr(connect, "_call", lambda *_, **__: Answer())
    assert connect.position("majors") == position


@pytest.mark.parametrize(
    ("state", "tasks"), [("FAILED", ("FAILED",)), ("FAILED", ()), ("STOPPED", ()), ("UNASSIGNED", ())]
)
def test_the_position_is_unknown_if_connect_can_not_read_it(monkeypatch, state, tasks):
    """Connect responds like this while it can't read the secret that the configuration names."""
    connect = Connect("http://connect")

    def refuse(*_, **__):
        raise ConnectError("GET /connectors/majors/offsets: 500: Failed to retrieve Secret cryptocdc-replication")

    monkeypatch.setattr(connect, "_call", refuse)
    assert connect.position_if_readable("majors", ConnectorState(state, tasks, "")) is None
    with pytest.raises(ConnectError, match="Failed to retrieve Secret"):
        connect.position_if_readable("majors", ConnectorState("RUNNING", ("RUNNING",), ""))


@pytest.mark.parametrize(
    ("code", "unreachable"),
    [
        (KafkaError.NOT_LEADER_FOR_PARTITION, False),
        (KafkaError._UNKNOWN_PARTITION, False),
        (KafkaError._TRANSPORT, True),
        (KafkaError._AUTHENTICATION, True),
    ],
)
def test_a_newly_created_topic_does_not_make_kafka_unreachable(monkeypatch, code, unreachable):
    def fail(*_):
        raise KafkaException(KafkaError(code))

    monkeypatch.setattr(offsets, "group_lag", fail)
    monkeypatch.setattr(kafka, "replication", lambda *_: {"majors.symbols": 1})
    for looks in ("_observe_postgres", "_observe_connect", "_observe_cassandra"):
        monkeypatch.setattr(PlatformServers, looks, lambda *_: {})
    servers = PlatformServers(server_settings(SETTINGS, ADDRESSES, SECRETS), SETTINGS)
    observed = servers.observe(plan(ResolvedFeed(feed(), "exchange", ("BTCUSDT",)), FACTS))
    assert (set(observed.unreachable) == {"Kafka"}) is unreachable
    assert observed.lag is None


def test_a_server_with_an_invalid_response_is_named_and_others_still_count(monkeypatch):
    def odd(*_):
        raise KeyError("tasks")

    monkeypatch.setattr(PlatformServers, "_observe_connect", odd)
    monkeypatch.setattr(PlatformServers, "_observe_postgres", lambda *_: {"missing_tables": ("PostgreSQL klines",)})
    monkeypatch.setattr(PlatformServers, "_observe_cassandra", lambda *_: {})
    monkeypatch.setattr(PlatformServers, "_observe_kafka", lambda *_: {"lag": 3})
    servers = PlatformServers(server_settings(SETTINGS, ADDRESSES, SECRETS), SETTINGS)
    observed = servers.observe(plan(ResolvedFeed(feed(), "exchange", ("BTCUSDT",)), FACTS))
    assert observed.unreachable == {"Connect": "KeyError: 'tasks'"}
    assert (observed.lag, observed.missing_tables) == (3, ("PostgreSQL klines",))

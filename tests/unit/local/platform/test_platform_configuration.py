"""The servers' configuration, as text: loopback only, passwords everywhere, durability never traded."""

import json
from pathlib import Path

import pytest
import yaml

from cryptocdc_core.program.settings import (
    CassandraSettings,
    ConnectSettings,
    KafkaSettings,
    PostgresSettings,
    ReplicationSettings,
)
from cryptocdc_local.platform.credentials import Credentials
from cryptocdc_local.platform.endpoints import endpoints
from cryptocdc_local.platform.servers.cassandra import cassandra_yaml
from cryptocdc_local.platform.servers.connect import connect_properties, rest_login
from cryptocdc_local.platform.servers.kafka import server_properties
from cryptocdc_local.platform.servers.postgres import PG_HBA_CONF, lock_is_foreign, postgresql_conf
from cryptocdc_local.platform.settings import Ports

PORTS = Ports(1001, 1002, 1003, 1004, 1005, 1006)


def properties(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_postgres_decodes_logically_and_keeps_what_it_commits() -> None:
    text = postgresql_conf(PORTS.postgres)
    settings = dict(line.split("#")[0].strip().split(" = ") for line in text.splitlines())
    assert settings["wal_level"] == "logical"
    assert settings["port"] == "1001"
    assert settings["listen_addresses"] == "'127.0.0.1'"
    assert settings["timezone"] == "'UTC'"
    assert "max_slot_wal_keep_size" in settings
    assert not {"fsync", "synchronous_commit", "full_page_writes"} & settings.keys()


def test_postgres_lets_nobody_in_without_a_password() -> None:
    rules = [line.split() for line in PG_HBA_CONF.splitlines() if not line.startswith("#")]
    assert rules
    assert all(rule[-1] == "scram-sha-256" and rule[-2] == "127.0.0.1/32" for rule in rules)


def test_kafka_asks_for_a_login_on_every_listener() -> None:
    found = properties(server_properties(PORTS, Path("/data"), "secret"))
    assert found["listeners"] == "CLIENT://127.0.0.1:1002,CONTROLLER://127.0.0.1:1003"
    protocols = dict(pair.split(":") for pair in found["listener.security.protocol.map"].split(","))
    assert set(protocols.values()) == {"SASL_PLAINTEXT"}
    assert 'password="secret"' in found["listener.name.client.plain.sasl.jaas.config"]


def test_kafka_does_not_auto_create_topics_and_needs_one_replica() -> None:
    found = properties(server_properties(PORTS, Path("/data"), "secret"))
    assert found["auto.create.topics.enable"] == "false"
    assert {v for k, v in found.items() if k.endswith("replication.factor")} == {"1"}


@pytest.mark.parametrize("path", ["/with space/x", "/p\u00e4th", "/\U0001f980", "/back\\slash"])
def test_java_properties_escape_paths_correctly(path: str) -> None:
    """Java's properties are ISO 8859-1: what lies beyond ASCII must be escaped, or Kafka writes somewhere else."""
    for text, key in (
        (server_properties(PORTS, Path(path), "secret"), "log.dirs"),
        (connect_properties(PORTS, [Path(path)], "secret"), "plugin.path"),
    ):
        assert text.isascii()
        assert json.loads(f'"{properties(text)[key]}"') == path


def test_connect_logs_in_for_each_of_its_clients() -> None:
    found = properties(connect_properties(PORTS, [Path("/plugins")], "secret"))
    for prefix in ("", "producer.", "consumer.", "admin."):
        assert found[f"{prefix}security.protocol"] == "SASL_PLAINTEXT"
        assert 'password="secret"' in found[f"{prefix}sasl.jaas.config"]


def test_connect_flushes_offsets_every_second_and_requires_a_login() -> None:
    found = properties(connect_properties(PORTS, [Path("/plugins")], "secret"))
    assert found["listeners"] == "http://127.0.0.1:1004"
    assert "BasicAuth" in found["rest.extension.classes"]
    assert found["offset.flush.interval.ms"] == "1000"
    assert found["connector.client.config.override.policy"] == "All"
    assert found["value.converter.schemas.enable"] == "false"
    assert found["scheduled.rebalance.max.delay.ms"] == "0"
    assert 'file="/users"' in rest_login(Path("/users"))


def test_cassandra_acknowledges_only_durable_writes_and_requires_a_login() -> None:
    found = yaml.safe_load(cassandra_yaml(PORTS, Path("/data")))
    assert found["commitlog_sync"] == "batch"
    assert found["commit_failure_policy"] == found["disk_failure_policy"] == "die"  # and is started again
    assert found["authenticator"] == "PasswordAuthenticator"
    assert found["authorizer"] == "CassandraAuthorizer"
    assert found["rpc_address"] == found["listen_address"] == "127.0.0.1"
    assert (found["native_transport_port"], found["storage_port"]) == (1005, 1006)
    folders = [found[key] for key in found if key.endswith("_directory")] + found["data_file_directories"]
    assert all(folder.startswith("/data/") for folder in folders)


@pytest.mark.parametrize(
    "kind", [PostgresSettings, ReplicationSettings, KafkaSettings, ConnectSettings, CassandraSettings]
)
def test_the_programs_read_every_endpoint_by_its_name(kind: type[PostgresSettings]) -> None:
    environment = endpoints(PORTS, Credentials()).environment()
    read = kind.from_env(environment).model_dump(mode="json")
    told = {kind.variable(name): str(value) for name, value in read.items()}
    ours = {name: value for name, value in environment.items() if name in told}
    assert ours
    assert {name: told[name] for name in ours} == ours


def test_every_endpoint_is_read_by_some_program() -> None:
    environment = endpoints(PORTS, Credentials()).environment()
    known: set[str] = set()
    for kind in (PostgresSettings, ReplicationSettings, KafkaSettings, ConnectSettings, CassandraSettings):
        known |= {kind.variable(field) for field in kind.model_fields}
    assert environment.keys() <= known


@pytest.mark.parametrize(
    ("exists", "living", "foreign"),
    [
        pytest.param(False, set(), True, id="a new container: nobody lives, and the pid is soon another program's"),
        pytest.param(True, set(), True, id="after a crash of the machine: the pid is another program's"),
        pytest.param(True, {31}, True, id="the same, beside another PostgreSQL"),
        pytest.param(True, {30}, False, id="a PostgreSQL holds it"),
        pytest.param(False, {31}, False, id="perhaps orphans of the one that died"),
    ],
)
def test_a_lock_file_that_no_postgres_holds_is_foreign(exists: bool, living: set[int], foreign: bool) -> None:
    assert lock_is_foreign(30, exists, living) is foreign

"""The servers' own metrics: exported while somebody watches, and again after a server was restarted."""

from __future__ import annotations

import dataclasses
import json
import socket
from collections.abc import Iterator

import pytest
import requests

from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_core.program.settings import PostgresSettings
from cryptocdc_local.applier import Servers
from cryptocdc_local.platform import Platform, PlatformError
from cryptocdc_local.platform.endpoints import READER
from cryptocdc_local.platform.metrics import ServerMetrics, exporters
from cryptocdc_local.platform.metrics.queries import all_queries
from cryptocdc_local.platform.settings import MetricsPorts
from tests.integration.api_client import free_port

pytestmark = pytest.mark.platform

A_METRIC = {
    "postgres": "cnpg_collector_up 1.0",
    "kafka": "kafka_controller_kafkacontroller_activecontrollercount 1.0",
    "connect": "kafka_connect_worker_connector_count",
    "cassandra": 'org_apache_cassandra_metrics_client_request_latency{quantile="0.99"',
}


@pytest.fixture
def watched(platform: Platform, metrics_ports: MetricsPorts) -> Platform:
    return Platform(dataclasses.replace(platform.settings, metrics_ports=metrics_ports))


@pytest.fixture
def lender(watched: Platform) -> Iterator[ServerMetrics]:
    made = ServerMetrics(watched)
    yield made
    made.close()


def exposition(platform: Platform, server: str) -> str:
    port = getattr(platform.settings.metrics_ports, server)
    try:
        return requests.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text
    except requests.ConnectionError:
        return ""


def test_every_server_serves_its_metrics_and_prometheus_finds_them(watched: Platform, lender: ServerMetrics) -> None:
    lender.step()
    for server, metric in A_METRIC.items():
        assert metric in exposition(watched, server), server
    targets = json.loads(watched.settings.server_targets.read_text())
    assert {t["labels"]["instance"]: t["targets"] for t in targets} == {
        server: [f"127.0.0.1:{port}"] for server, port in vars(watched.settings.metrics_ports).items()
    }
    lender.close()
    assert not watched.settings.server_targets.exists()
    assert exposition(watched, "postgres") == ""


def test_a_restarted_server_gets_its_exporter_again(
    platform: Platform, watched: Platform, lender: ServerMetrics
) -> None:
    """By `platform`, whose children the servers are: only it takes leave of the killed one."""
    lender.step()
    platform.restart("kafka")
    assert exposition(watched, "kafka") == ""
    lender.step()
    assert A_METRIC["kafka"] in exposition(watched, "kafka")
    platform.kill("postgres")
    assert "cnpg_collector_up 0.0" in exposition(watched, "postgres")
    platform.restart("postgres")
    assert A_METRIC["postgres"] in exposition(watched, "postgres")


def test_exporters_of_another_command_are_left_alone(
    watched: Platform, lender: ServerMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    lender.step()
    monkeypatch.setattr(exporters, "COMMAND", "")  # this test's process stands for a command
    second = ServerMetrics(watched)
    second.step()
    second.close()
    lender.step()
    assert watched.settings.server_targets.exists()
    for server, metric in A_METRIC.items():
        assert metric in exposition(watched, server), server


def test_a_port_held_by_another_program_is_named_and_the_server_keeps_running(
    platform: Platform, watched: Platform
) -> None:
    """The exporter itself would end its JVM."""
    platform.restart("kafka")  # one without an exporter
    pids = watched.pids()
    with socket.create_server(("127.0.0.1", 0)) as held:
        assert "CRYPTOCDC_KAFKA_METRICS_PORT" in refused(watched, kafka=held.getsockname()[1])
        assert watched.pids() == pids


def test_a_second_exporter_at_another_port_is_refused_and_the_server_keeps_running(
    watched: Platform, lender: ServerMetrics
) -> None:
    """The exporter itself would end its JVM."""
    lender.step()
    pids = watched.pids()
    assert "CRYPTOCDC_CONNECT_METRICS_PORT" in refused(watched, connect=free_port())
    assert watched.pids() == pids
    assert A_METRIC["connect"] in exposition(watched, "connect")


def test_a_postgres_port_held_by_another_program_is_named(watched: Platform) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        assert "CRYPTOCDC_POSTGRES_METRICS_PORT" in refused(watched, postgres=held.getsockname()[1])


def refused(platform: Platform, **ports: int) -> str:
    """The remedy, where the metrics are wanted at these ports."""
    chosen = dataclasses.replace(platform.settings.metrics_ports, **ports)
    lender = ServerMetrics(Platform(dataclasses.replace(platform.settings, metrics_ports=chosen)))
    with pytest.raises(PlatformError) as refusal:
        lender.step()
    lender.close()
    return refusal.value.remedy


def test_every_query_answers_with_the_columns_that_it_describes(platform: Platform, servers: Servers) -> None:
    reader = servers.postgres.model_copy(update={"user": READER, "password": platform.reader_password})
    assert isinstance(reader, PostgresSettings)
    connection = postgres.connect(reader, "test", autocommit=True)
    try:
        with connection.cursor() as cursor:
            for query in all_queries():
                cursor.execute(query.text)
                assert [column.name for column in cursor.description or ()] == list(query.columns), query.name
    finally:
        connection.close()

"""The servers' own metrics: lent while somebody watches, and again to a server that was started anew."""

from __future__ import annotations

import dataclasses
import json
import socket
from collections.abc import Callable, Iterator

import pytest
import requests

from cryptocdc_adapters import postgres
from cryptocdc_core.settings import PostgresSettings
from cryptocdc_local.applier import Servers
from cryptocdc_local.platform import Platform, PlatformError
from cryptocdc_local.platform.endpoints import READER
from cryptocdc_local.platform.metrics import ServerMetrics, lending
from cryptocdc_local.platform.metrics.queries import all_queries
from cryptocdc_local.platform.platform import SERVERS
from cryptocdc_local.platform.settings import MetricsPorts
from tests.integration.api_client import free_port
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

A_METRIC = {
    "postgres": "cnpg_collector_up 1.0",
    "kafka": "kafka_controller_kafkacontroller_activecontrollercount 1.0",
    "connect": "kafka_connect_worker_connector_count",
    "cassandra": 'org_apache_cassandra_metrics_client_request_latency{quantile="0.99"',
}

Elsewhere = Callable[..., Platform]


@pytest.fixture
def elsewhere(platform: Platform) -> Elsewhere:
    """The same servers, their metrics at free ports, or at the ports given."""

    def made(**ports: int) -> Platform:
        chosen = MetricsPorts(**{server: free_port() for server in SERVERS} | ports)
        return Platform(dataclasses.replace(platform.settings, metrics_ports=chosen))

    return made


@pytest.fixture
def metrics(elsewhere: Elsewhere) -> Iterator[tuple[Platform, ServerMetrics]]:
    there = elsewhere()
    made = ServerMetrics(there)
    yield there, made
    made.close()


def told(platform: Platform, server: str) -> str:
    port = getattr(platform.settings.metrics_ports, server)
    try:
        return requests.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text
    except requests.ConnectionError:
        return ""


def test_every_server_serves_its_metrics_and_prometheus_finds_them(metrics: tuple[Platform, ServerMetrics]) -> None:
    platform, lender = metrics
    lender.step()
    for server, metric in A_METRIC.items():
        assert metric in told(platform, server), server
    targets = json.loads(platform.settings.server_targets.read_text())
    assert {t["labels"]["instance"]: t["targets"] for t in targets} == {
        server: [f"127.0.0.1:{port}"] for server, port in vars(platform.settings.metrics_ports).items()
    }
    lender.close()
    assert not platform.settings.server_targets.exists()
    assert told(platform, "postgres") == ""


def test_a_server_that_was_started_anew_gets_its_exporter_again(metrics: tuple[Platform, ServerMetrics]) -> None:
    platform, lender = metrics
    lender.step()
    platform.restart("kafka")
    assert told(platform, "kafka") == ""
    lender.step()
    assert A_METRIC["kafka"] in told(platform, "kafka")
    platform.kill("postgres")
    assert "cnpg_collector_up 0.0" in told(platform, "postgres")
    wait_for("PostgreSQL to be revived", lambda: platform.supervise() == {} and len(platform.pids()) == len(SERVERS))
    assert A_METRIC["postgres"] in told(platform, "postgres")


def test_what_another_command_has_lent_is_left_as_it_is(
    metrics: tuple[Platform, ServerMetrics], monkeypatch: pytest.MonkeyPatch
) -> None:
    platform, lender = metrics
    lender.step()
    monkeypatch.setattr(lending, "COMMAND", "")  # this test's process stands for a command
    second = ServerMetrics(platform)
    second.step()
    second.close()
    lender.step()
    assert platform.settings.server_targets.exists()
    for server, metric in A_METRIC.items():
        assert metric in told(platform, server), server


@pytest.mark.parametrize("server", ["kafka", "postgres"])
def test_a_port_that_another_program_holds_is_named(elsewhere: Elsewhere, server: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        lender = ServerMetrics(elsewhere(**{server: held.getsockname()[1]}))
        with pytest.raises(PlatformError) as refusal:
            lender.step()
        lender.close()
    assert f"CRYPTOCDC_{server.upper()}_METRICS_PORT" in refusal.value.remedy


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

"""Which metrics the servers export, and that a package contains the rules."""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from hatchling.builders.wheel import WheelBuilder
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from tests.integration.api_client import free_port
from tests.unit.manifests.test_jmx_rules import exported

from cryptocdc_core.program.settings import PostgresSettings
from cryptocdc_local.platform.metrics import jvm, queries
from cryptocdc_local.platform.metrics.disk import Disk
from cryptocdc_local.platform.metrics.postgres import Exporter

ROOT = Path(__file__).parents[4]
SHARED = {
    "kafka.yaml": "strimzi/jmx/kafka.yaml",
    "connect.yaml": "strimzi/jmx/connect.yaml",
    "slots.yaml": "cloudnative-pg/slots.yaml",
}
"""Files of `metrics` that Kubernetes uses as well."""

SESSIONS = """
backends:
  name: sessions
  query: SELECT 1
  metrics:
    - state: {usage: LABEL, description: What they do}
    - total: {usage: GAUGE, description: How many}
    - commits: {usage: COUNTER, description: How many yet}
"""


def test_an_installed_package_contains_the_rules_of_the_manifests(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(ROOT / "local")).build(directory=str(tmp_path))
    with zipfile.ZipFile(wheel) as packed:
        for name, there in SHARED.items():
            found = packed.read(f"cryptocdc_local/platform/metrics/{name}")
            assert found == (ROOT / "manifests" / there).read_bytes(), name


def test_a_row_becomes_samples_named_as_by_cloudnativepg() -> None:
    (query,) = queries.parse(SESSIONS)
    made = list(query.metrics(["state", "total", "commits"], [("idle", 3, 7), (None, 1, None)]))
    samples = [(s.name, s.labels, s.value) for metric in made for s in metric.samples]
    assert samples == [
        ("cnpg_sessions_total", {"state": "idle"}, 3.0),
        ("cnpg_sessions_total", {"state": ""}, 1.0),
        ("cnpg_sessions_commits", {"state": "idle"}, 7.0),
    ]


@pytest.mark.parametrize(
    ("was", "becomes", "named"),
    [("GAUGE", "HISTOGRAM", "backends.total: usage HISTOGRAM"), ("name: sessions", "primary: true", "primary")],
)
def test_unknown_query_options_are_refused_by_name(was: str, becomes: str, named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        queries.parse(SESSIONS.replace(was, becomes))


def test_metric_names_of_all_queries_are_unique() -> None:
    made = [f"{query.name}_{column}" for query in queries.all_queries() for column in query.columns]
    assert len(set(made)) == len(made)


def served(home: Path) -> list[Metric]:
    """Return the metrics served while PostgreSQL is down, on a machine whose home folder is `home`."""
    port = free_port()
    exporter = Exporter(PostgresSettings(port=1, password="x"), Disk(home), port)
    try:
        text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    finally:
        exporter.close()
    return list(text_string_to_metric_families(text))


def test_the_disk_has_the_kubelets_volume_metrics_even_while_postgresql_is_down(tmp_path: Path) -> None:
    found = {s.name: s for metric in served(tmp_path) for s in metric.samples}
    assert found["cnpg_collector_up"].value == 0
    rules = yaml.safe_load((ROOT / "charts/files/rules.yaml").read_text())["groups"]
    (rule,) = (r for group in rules for r in group["rules"] if r["alert"] == "CryptocdcVolumeFull")
    asked = re.findall(r'(kubelet\w+)\{persistentvolumeclaim=~"([^"]+)"\}', rule["expr"])
    assert len(asked) == 2
    for name, claim in asked:
        assert re.fullmatch(claim, found[name].labels["persistentvolumeclaim"])
    free, size = (found[name].value for name, _ in asked)
    assert size == shutil.disk_usage(tmp_path).total
    assert 0 < free <= size


def cassandra_rules() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(jvm.rules("cassandra"))["rules"]
    return found


@pytest.mark.parametrize(
    ("bean", "metric", "labels"),
    [
        ("type=ClientRequest, scope=Write, name=Latency><>99thPercentile", "client_request_latency",
         {"request_type": "Write", "quantile": "0.99"}),
        ("type=ClientRequest, scope=Read, name=Latency><>50thPercentile", "client_request_latency",
         {"request_type": "Read", "quantile": "0.5"}),
        ("type=ClientRequest, scope=Write, name=Timeouts><>Count", "client_request_timeouts_total",
         {"request_type": "Write"}),
        ("type=DroppedMessage, scope=MUTATION_REQ, name=Dropped><>Count", "dropped_message_dropped_total",
         {"message_type": "MUTATION_REQ"}),
        ("type=Table, keyspace=majors, scope=klines, name=LiveSSTableCount><>Value", "table_live_ss_table_count",
         {"keyspace": "majors", "table": "klines"}),
        ("type=ThreadPools, path=transport, scope=Native-Transport-Requests, name=PendingTasks><>Value",
         "thread_pools_pending_tasks", {"pool_type": "transport", "pool_name": "Native-Transport-Requests"}),
    ],
)  # fmt: skip
def test_a_bean_of_cassandra_is_exported_as_by_k8ssandra(bean: str, metric: str, labels: dict[str, str]) -> None:
    made = exported(cassandra_rules(), f"org.apache.cassandra.metrics<{bean}")
    assert made is not None
    name, given = made
    assert (name.lower(), given) == (f"org_apache_cassandra_metrics_{metric}", labels)


@pytest.mark.parametrize("percentile", ["75", "95", "98", "999"])
def test_other_quantiles_are_left_out(percentile: str) -> None:
    bean = f"org.apache.cassandra.metrics<type=ClientRequest, scope=Write, name=Latency><>{percentile}thPercentile"
    assert exported(cassandra_rules(), bean) is None


@pytest.mark.parametrize("server", jvm.SERVERS)
def test_every_rule_s_beans_are_among_the_included_objects(server: str) -> None:
    """A rule whose beans are not among `includeObjectNames` would match nothing."""
    rules = yaml.safe_load(jvm.rules(server))
    asked = {re.split(r"[:,]", name)[1] for name in rules["includeObjectNames"] if "type=" in name}
    for rule in rules["rules"]:
        kind = re.search(r"type=[\w-]+", rule["pattern"])
        assert kind, rule
        assert kind[0] in asked or rule["pattern"].startswith("debezium"), rule["pattern"]

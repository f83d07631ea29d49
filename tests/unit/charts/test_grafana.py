"""The chart's objects for Grafana's sidecars: every dashboard, and data sources with the read-only login."""

import base64
import json
from typing import Any

import pytest
import yaml
from tests.unit.charts.render import NAMESPACE, rendered
from tests.unit.kubernetes_schemas import ROOT, find, the
from tests.unit.manifests.build import overlay

ON = "grafana.dataSources.enabled=true"
PROVISIONED = yaml.safe_load((ROOT / "grafana/provisioning/datasources/cryptocdc.yaml").read_text())["datasources"]


def sources(chart):
    secret = next(s for s in find(chart, "Secret") if s["metadata"]["name"].endswith("-grafana-data-sources"))
    (text,) = secret["stringData"].values()
    return {source["uid"]: source for source in yaml.safe_load(text)["datasources"]}


def test_every_dashboard_is_a_config_map_that_the_sidecar_finds():
    maps = find(rendered("everything"), "ConfigMap")
    made: dict[str, Any] = {}
    for found in maps:
        assert found["metadata"]["labels"]["dashboard"] == "cryptocdc"
        assert found["metadata"]["annotations"] == {"grafana_folder": "Markets"}
        made |= {key: json.loads(text) for key, text in found["data"].items()}
    written = {f"cryptocdc-{p.name}": json.loads(p.read_text()) for p in (ROOT / "grafana/dashboards").glob("*.json")}
    assert made == written
    assert len(maps) == len(written), "one each: a ConfigMap holds 1 MiB"


def test_labels_are_those_that_the_sidecar_selects_by_default():
    chart = rendered("kind")
    assert {found["metadata"]["labels"]["grafana_dashboard"] for found in find(chart, "ConfigMap")} == {"1"}
    secret = the(chart, "Secret", "cryptocdc-grafana-data-sources")
    assert secret["metadata"]["labels"]["grafana_datasource"] == "1"


def test_the_data_sources_match_those_provisioned_on_one_machine():
    made = sources(rendered("default", ON, "grafana.dataSources.prometheusUrl=http://prometheus:9090"))
    assert {(s["uid"], s["type"], s["name"]) for s in made.values()} == {
        (s["uid"], s["type"], s["name"]) for s in PROVISIONED
    }
    for source in PROVISIONED:
        assert made[source["uid"]].get("jsonData", {}).keys() == source.get("jsonData", {}).keys(), source["name"]
        assert made[source["uid"]].get("secureJsonData", {}).keys() == source.get("secureJsonData", {}).keys()


def test_data_sources_log_in_as_the_reader():
    chart = rendered("default", ON)
    login = {k: base64.b64decode(v).decode() for k, v in the(chart, "Secret", "cryptocdc-reader")["data"].items()}
    made = sources(chart)
    for uid, user in (
        ("cryptocdc-cassandra", made["cryptocdc-cassandra"]["jsonData"]["user"]),
        ("cryptocdc-postgresql", made["cryptocdc-postgresql"]["user"]),
    ):
        assert user == login["username"] == "cryptocdc_reader"
        assert made[uid]["secureJsonData"]["password"] == login["password"]
    assert len(login["password"]) >= 40


@pytest.mark.parametrize("name", ["default", "everything"])
def test_only_secrets_contain_passwords(name):
    chart = rendered(name, ON)
    passwords = {
        password for source in sources(chart).values() for password in source.get("secureJsonData", {}).values()
    }
    assert passwords
    for document in chart:
        if document["kind"] != "Secret":
            assert not [password for password in passwords if password in json.dumps(document)]


def test_data_source_urls_resolve_from_another_namespace():
    made = sources(rendered("default", ON))
    assert {uid: source["url"] for uid, source in made.items()} == {
        "cryptocdc-cassandra": f"cryptocdc-dc1-service.{NAMESPACE}.svc:9042",
        "cryptocdc-postgresql": f"cryptocdc-postgres-rw.{NAMESPACE}.svc:5432",
        "cryptocdc-api": f"http://majors-api.{NAMESPACE}.svc",
    }
    assert made["cryptocdc-api"]["jsonData"]["allowedHosts"] == [made["cryptocdc-api"]["url"]]


def test_data_source_values_reach_grafana():
    made = sources(rendered("everything"))
    assert made["cryptocdc-cassandra"]["url"] == f"c1.{NAMESPACE}.svc:9142"
    assert made["cryptocdc-cassandra"]["jsonData"]["useCustomTLS"]
    assert made["cryptocdc-postgresql"]["url"] == "pg.example.com:6432"
    assert made["cryptocdc-postgresql"]["jsonData"]["sslmode"] == "require"
    assert made["cryptocdc-postgresql"]["secureJsonData"] == {"password": "$__env{READER_PASSWORD}"}
    assert made["cryptocdc-api"]["secureJsonData"] == {"bearerToken": "$__file{/etc/secrets/token}"}
    assert made["cryptocdc-api-minors"]["url"] == f"http://minors-api.{NAMESPACE}.svc"
    assert made["cryptocdc-prometheus"]["url"] == "http://prometheus.monitoring.svc:9090"


def test_without_apis_there_is_no_data_source_for_an_api():
    assert "cryptocdc-api" not in sources(rendered("default", ON, "api.enabled=false"))


def test_cloudnative_pg_creates_the_reader_from_the_charts_secret():
    role = the(overlay("kind"), "DatabaseRole", "cryptocdc-reader")["spec"]
    secret = the(rendered("default"), "Secret", "cryptocdc-reader")
    assert role["passwordSecret"]["name"] == secret["metadata"]["name"]
    assert role["name"] == base64.b64decode(secret["data"]["username"]).decode()
    assert role["inRoles"] == ["pg_read_all_data"]
    assert not {"superuser", "createdb", "createrole", "replication", "bypassrls"} & role.keys()

"""A feed's API and page, reached through its Service; what Grafana's sidecars will find."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import Cluster, CommandError, wait_for
from tests.e2e.conftest import SYMBOLS
from tests.e2e.environment import install_chart
from tests.e2e.feeds import Feed, sql

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

TABLES = {"recent_trades", "klines", "crypto_24h_stats", "latest_prices", "order_book"}


def asked(cluster: Cluster, feed: Feed, path: str) -> Any:
    """Return the response of the feed's API; None while the Service has no endpoints."""
    try:
        return json.loads(cluster.http(f"{feed.name}-api", 80, path))
    except CommandError:
        return None


def test_a_feed_has_an_api_that_can_read_its_rows(cluster: Cluster, feed: Feed) -> None:
    feed.wait_ready()
    wait_for("the API is ready", lambda: feed.condition("ApiReady").get("status") == "True", 300)
    assert asked(cluster, feed, "/health")["simulated"] is True
    prices = wait_for("prices of all symbols", lambda: asked(cluster, feed, "/latest_prices"), 120)
    assert {row["symbol"] for row in prices} >= set(SYMBOLS)
    assert asked(cluster, feed, "/klines?symbol=BTCUSDT&interval=1m&limit=5")
    assert "<html" in cluster.http(f"{feed.name}-api", 80, "/")


def test_the_api_shows_the_whole_pipeline(cluster: Cluster, feed: Feed) -> None:
    def all_hops() -> list[dict[str, Any]]:
        rows = asked(cluster, feed, "/pipeline") or []
        hops = ("frames", "postgres", "kafka", "cassandra")
        return rows if rows and all(rows[0][hop] > 0 for hop in hops) and rows[0]["proven_through"] else []

    rows = wait_for("rows of every hop, and a proof", all_hops, 300)
    assert {row["table"] for row in rows} == {"all", *TABLES}
    assert rows[0]["programs"] >= 3  # a producer, a consumer, the verifier


def test_the_api_reads_with_a_read_only_login(cluster: Cluster, feed: Feed) -> None:
    pod = cluster.pods(feed.selector("api"))[0]["spec"]
    assert "cryptocdc-reader" in {v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v}
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"]
    may = "has_table_privilege('cryptocdc_reader', '{0}.klines', '{1}')"
    rights = ", ".join(may.format(feed.fid, right) for right in ("SELECT", "INSERT", "DELETE", "TRUNCATE"))
    assert sql(cluster, f"SELECT {rights}") == "t|f|f|f"


def test_grafanas_sidecars_find_dashboards_and_data_sources(cluster: Cluster, feed: Feed) -> None:
    dashboards = [
        json.loads(text) for it in cluster.find("configmaps", "grafana_dashboard=1") for text in it["data"].values()
    ]
    assert {"cryptocdc-market-api", "cryptocdc-market-cassandra", "cryptocdc-pipeline"} <= {
        it["uid"] for it in dashboards
    }
    (secret,) = cluster.find("secrets", "grafana_datasource=1")
    (text,) = secret["data"].values()
    sources = {source["uid"]: source for source in yaml.safe_load(base64.b64decode(text))["datasources"]}
    assert {"cryptocdc-cassandra", "cryptocdc-postgresql", "cryptocdc-api"} == set(sources)
    reader = cluster.get("secret", "cryptocdc-reader")
    assert reader is not None
    password = base64.b64decode(reader["data"]["password"]).decode()
    assert sources["cryptocdc-postgresql"]["secureJsonData"]["password"] == password


def test_prometheus_finds_the_alerts_and_every_program_if_enabled(cluster: Cluster, feed: Feed) -> None:
    try:
        cluster.kubectl("get", "crd", "prometheusrules.monitoring.coreos.com", "podmonitors.monitoring.coreos.com")
    except CommandError:
        pytest.skip("prometheus-operator's CRDs are not in this cluster")
    install_chart(cluster, values=["monitoring.rules.enabled=true", "monitoring.podMonitors.enabled=true"])
    (rules,) = cluster.find("prometheusrules", "app.kubernetes.io/name=cryptocdc")
    alerts = [rule for group in rules["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
    assert {"CryptocdcSlotLost", "CryptocdcDatabasesDiffer", "CryptocdcMarketAlert"} <= {it["alert"] for it in alerts}
    assert all(rule["annotations"]["runbook_url"] for rule in alerts)
    wait_for("the feed's monitor", lambda: cluster.get("podmonitor", feed.name), 300)
    install_chart(cluster)
    wait_for("the rules are gone", lambda: not cluster.find("prometheusrules", "app.kubernetes.io/name=cryptocdc"), 60)
    feed.wait_ready()

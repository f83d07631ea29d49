"""The chart is uninstalled; data and feeds stay, and no feed waits for the missing operator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.cluster import CONNECT, Cluster, wait_for
from tests.e2e.environment import install_chart
from tests.e2e.feeds import Feed, sql

pytestmark = pytest.mark.timeout(1200)

KEPT = ("secret/cryptocdc-replication", "role/cryptocdc-replication-secret", "rolebinding/cryptocdc-replication-secret")


@pytest.fixture
def exchange(cluster: Cluster) -> Iterator[dict[str, str]]:
    """An exchange that is not removed with the chart: its simulator under another name. Returns its endpoints."""
    name, labels = "exchange", {"app": "exchange"}
    charted = cluster.get("deployment", "cryptocdc-simulator")
    assert charted is not None
    pods = {"metadata": {"labels": labels}, "spec": charted["spec"]["template"]["spec"]}
    spec = {"selector": {"matchLabels": labels}, "template": pods}
    cluster.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec})
    service = {"selector": labels, "ports": [{"port": 8090}]}
    cluster.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": service})
    cluster.kubectl("rollout", "status", f"deployment/{name}", "--timeout=120s")
    yield {"rest": f"http://{name}:8090", "websocket": f"ws://{name}:8090"}
    cluster.kubectl("delete", "deployment,service", name)


def _uninstall(cluster: Cluster) -> None:
    cluster.helm("uninstall", "cryptocdc", "--wait", "--timeout", "4m")


@pytest.mark.e2e
def test_a_reinstalled_chart_finds_everything_unchanged(cluster: Cluster, feed: Feed) -> None:
    feed.wait_ready()
    before = feed.starts("producer")
    _uninstall(cluster)
    assert cluster.get("cryptofeed", feed.name) is not None
    assert not cluster.find("deployments", "app.kubernetes.io/managed-by=Helm")
    assert cluster.kubectl("get", *KEPT, "-o", "name").count("\n") == len(KEPT)
    assert int(sql(cluster, f"SELECT count(*) FROM {feed.fid}.recent_trades")) > 0
    install_chart(cluster)
    wait_for("the operator sees the feed again", lambda: feed.condition("Ready").get("status") == "True", 300)
    assert feed.starts("producer") == before


@pytest.mark.e2e_all
def test_a_feed_survives_without_the_chart_and_is_deleted_without_an_operator(
    cluster: Cluster, exchange: dict[str, str]
) -> None:
    orphan = Feed(cluster, "orphan")
    orphan.apply(["BTCUSDT"], endpoints=exchange)
    orphan.wait_ready()
    orphan.wait_flowing()
    _uninstall(cluster)
    cluster.replace(CONNECT)
    orphan.wait_flowing()
    orphan.delete(120)
    assert cluster.get("cryptofeed", orphan.name) is None
    install_chart(cluster)

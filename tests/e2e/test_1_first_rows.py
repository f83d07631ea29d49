"""From nothing to proven rows, with the README's commands. The numbers of these files give their order: all run on one
installation."""

from __future__ import annotations

import pytest

from tests.e2e.cluster import Cluster, wait_for
from tests.e2e.conftest import SYMBOLS
from tests.e2e.feeds import Feed

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

TABLES = {"recent_trades", "klines", "crypto_24h_stats", "latest_prices", "order_book"}


def test_objects_of_strimzi_and_of_the_chart_exist_side_by_side(cluster: Cluster) -> None:
    role = cluster.get("role", "cryptocdc-connect")
    assert role is not None
    assert [owner["kind"] for owner in role["metadata"]["ownerReferences"]] == ["KafkaConnect"]
    for kind in ("role", "rolebinding"):
        ours = cluster.get(kind, "cryptocdc-replication-secret")
        assert ours is not None
        assert ours["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"
    authority = cluster.get("secret", "cryptocdc-cluster-ca-cert")
    assert authority is not None
    assert {"ca.crt", "ca.p12", "ca.password"} <= authority["data"].keys()


def test_a_feed_becomes_ready_and_its_rows_are_proven_in_every_table(cluster: Cluster, feed: Feed) -> None:
    feed.wait_ready()
    assert feed.status()["symbolNames"] == SYMBOLS
    feed.wait_flowing()
    for table in TABLES:
        wait_for(
            f"rows of {table} in Cassandra",
            lambda it=table: feed.metric("consumer", "cryptocdc_consumer_rows_total", f'table="{it}"'),  # type: ignore[misc]
            120,
        )
    assert feed.wait_proven() > 0


def test_kubectl_shows_a_feed_in_one_line(cluster: Cluster, feed: Feed) -> None:
    head, line = cluster.kubectl("get", "cryptofeeds", feed.name).splitlines()
    assert head.split() == ["NAME", "SYMBOLS", "READY", "REASON", "LAG", "PROVEN", "AGE"]
    assert line.split()[:4] == [feed.name, str(len(SYMBOLS)), "True", "Capturing"]


def test_the_parts_of_a_feed_have_its_name_and_are_restricted(cluster: Cluster, feed: Feed) -> None:
    topics = {topic["spec"]["topicName"] for topic in cluster.find("kafkatopics", f"cryptocdc.io/feed={feed.name}")}
    assert {f"{feed.fid}.{feed.fid}.{table}" for table in TABLES} | {f"{feed.fid}.symbols", f"{feed.fid}.dlq"} <= topics
    for component in ("producer", "consumer"):
        pod = cluster.pods(feed.selector(component))[0]["spec"]
        container = pod["containers"][0]["securityContext"]
        assert container["readOnlyRootFilesystem"]
        assert not container["allowPrivilegeEscalation"]
        assert pod["securityContext"]["runAsNonRoot"]

"""A failed connector is reported, and recovers automatically once the cause is removed; a deleted one is recreated.
Nothing is lost meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.cluster import CONNECT, Cluster, wait_for
from tests.e2e.environment import install_chart
from tests.e2e.feeds import Feed, sql

pytestmark = [pytest.mark.e2e_all, pytest.mark.timeout(1200)]

READER = "debezium"


@pytest.fixture
def locked_out(cluster: Cluster, feed: Feed) -> Iterator[None]:
    """Debezium's role may not log in, and its connection is closed."""
    feed.wait_ready()
    feed.wait_flowing()
    sql(cluster, f"ALTER ROLE {READER} NOLOGIN")
    sql(cluster, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{READER}'")
    yield
    sql(cluster, f"ALTER ROLE {READER} LOGIN")


def test_a_failed_task_is_reported_and_restarted_until_it_runs(cluster: Cluster, feed: Feed, locked_out: None) -> None:
    said = feed.wait_condition("ConnectorReady", "False", "TaskFailed", 300)
    assert feed.condition("Ready")["reason"] == "TaskFailed"
    assert said["message"]
    wait_for("it was restarted", lambda: feed.status().get("recovery", {}).get("restarts", 0) > 0, 120)
    producing = feed.metric("producer", "cryptocdc_producer_rows_total")
    wait_for(
        "capture continues", lambda: feed.metric("producer", "cryptocdc_producer_rows_total") > producing + 100, 60
    )

    sql(cluster, f"ALTER ROLE {READER} LOGIN")
    feed.wait_ready(600)  # the pause between two restarts grows up to ten minutes
    feed.wait_flowing()
    assert feed.wait_proven() > 0
    feed.verify()
    assert "snapshots" not in feed.status().get("recovery", {}) or not feed.status()["recovery"]["snapshots"]


def test_a_deleted_connector_is_recreated_and_continues(cluster: Cluster, feed: Feed) -> None:
    feed.wait_ready()
    before = cluster.get("kafkaconnector", feed.connector)
    assert before is not None
    cluster.kubectl("delete", "kafkaconnector", feed.connector)

    def back() -> bool:
        made = cluster.get("kafkaconnector", feed.connector)
        return made is not None and made["metadata"]["uid"] != before["metadata"]["uid"]

    wait_for("it is recreated", back, 120)
    feed.wait_ready()
    feed.wait_flowing()
    assert feed.wait_proven() > 0


@pytest.fixture
def without_password(cluster: Cluster) -> Iterator[None]:
    """Connect may not read the replication secret."""
    cluster.kubectl("delete", "rolebinding", "cryptocdc-replication-secret")
    yield
    install_chart(cluster)


def test_a_feed_whose_connector_has_failed_is_deleted_with_its_slot(
    cluster: Cluster, feed: Feed, request: pytest.FixtureRequest
) -> None:
    """The connector itself fails, not only its task: Strimzi does not stop such a connector."""
    doomed = Feed(cluster, "doomed")
    doomed.apply(["BTCUSDT"], deletionPolicy="Delete")
    doomed.wait_ready()
    request.getfixturevalue("without_password")
    cluster.replace(CONNECT)
    doomed.wait_condition("ConnectorReady", "False")
    assert doomed.slots()
    doomed.delete()
    assert doomed.slots() == ""
    wait_for("its connector is gone", lambda: cluster.get("kafkaconnector", doomed.connector) is None, 60)


def test_a_connector_runs_again_once_connect_may_read_its_password(feed: Feed) -> None:
    feed.wait_ready(600)
    feed.wait_flowing()
    assert feed.wait_proven() > 0

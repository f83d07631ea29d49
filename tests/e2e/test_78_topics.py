"""A replication factor that the brokers can't provide is reported with Strimzi's message, and affects only new
topics."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.cluster import Cluster, wait_for
from tests.e2e.conftest import SYMBOLS
from tests.e2e.environment import install_chart
from tests.e2e.feeds import Feed

pytestmark = [pytest.mark.e2e_all, pytest.mark.timeout(900)]

NEW = "LINKUSDT"


@pytest.fixture
def three_replicas(cluster: Cluster, feed: Feed) -> Iterator[None]:
    """Requested from one broker."""
    feed.wait_ready()
    install_chart(cluster, values=["platform.kafka.replication=3"])
    cluster.kubectl("rollout", "status", "deployment/cryptocdc-operator", "--timeout=180s")
    yield
    install_chart(cluster)
    cluster.kubectl("rollout", "status", "deployment/cryptocdc-operator", "--timeout=180s")


def test_new_topics_are_refused_and_feeds_with_existing_topics_are_unaffected(
    cluster: Cluster, feed: Feed, three_replicas: None
) -> None:
    crowded = Feed(cluster, "crowded")
    crowded.apply(["BTCUSDT"], deletionPolicy="Delete")
    said = crowded.wait_condition("TopicsReady", "False", "TopicRefused")
    assert "InvalidReplicationFactorException" in said["message"]

    feed.apply([*SYMBOLS, NEW])
    wait_for(f"{NEW} is captured", lambda: NEW in feed.status()["symbolNames"], 120)
    feed.wait_ready()
    topics = cluster.find("kafkatopics", f"cryptocdc.io/feed={feed.name}")
    assert {topic["spec"]["replicas"] for topic in topics} == {1}
    feed.apply(SYMBOLS)
    feed.wait_ready()
    feed.wait_flowing()
    crowded.delete()

"""The operator is killed repeatedly in the middle of its work; the next one completes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.cluster import Cluster, wait_for
from tests.e2e.feeds import Feed

pytestmark = [pytest.mark.e2e_all, pytest.mark.timeout(1500)]

OPERATOR = "app.kubernetes.io/component=operator"


@pytest.fixture
def another(cluster: Cluster) -> Iterator[Feed]:
    feed = Feed(cluster, "another")
    yield feed
    feed.delete()


def test_a_feed_is_completed_regardless_of_when_its_operator_died(cluster: Cluster, another: Feed) -> None:
    wait_for("the operator is ready", lambda: cluster.ready(OPERATOR), 240)
    another.apply(["BTCUSDT", "ETHUSDT"], deletionPolicy="Delete")
    # Seen from outside the steps are: the identity is recorded, then topics, connector and programs are created.
    for step, seen in {
        "the identity is recorded": lambda: another.status().get("identity"),
        "a topic is created": lambda: cluster.find("kafkatopics", f"cryptocdc.io/feed={another.name}"),
        "a program is created": lambda: cluster.find("deployments", f"cryptocdc.io/feed={another.name}"),
    }.items():
        wait_for(step, seen, 240)
        cluster.kill(OPERATOR)
        wait_for("another operator", lambda: cluster.pods(OPERATOR), 120)
    another.wait_ready(420)
    another.wait_flowing()


def test_an_operator_that_dies_while_deleting_leaves_nothing_behind(cluster: Cluster, another: Feed) -> None:
    another.apply(["BTCUSDT"], deletionPolicy="Delete")
    another.wait_ready(420)
    cluster.kubectl("delete", "cryptofeed", another.name, "--wait=false")
    cluster.kill(OPERATOR)
    wait_for("the feed is gone", lambda: cluster.get("cryptofeed", another.name) is None, 300)
    wait_for("its slot is gone", lambda: another.slots() == "", 60)
    label = f"cryptocdc.io/feed={another.name}"
    wait_for("its resources are gone", lambda: not cluster.find("kafkatopics,kafkaconnectors,deployments", label), 120)

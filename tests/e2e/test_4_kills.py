"""Every part is killed under load, one after the other; afterwards no row is missing."""

from __future__ import annotations

import pytest

from tests.e2e.cluster import BROKER, CASSANDRA, CONNECT, POSTGRES, Cluster
from tests.e2e.feeds import Feed

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

PARTS = {
    "producer": "",
    "consumer": "",
    "connect": CONNECT,
    "broker": BROKER,
    "postgres": POSTGRES,
    "cassandra": CASSANDRA,
}

NOTICED_LIMIT_S = 120
"""The condition comes 10 to 20 s after the kill: the consumer waits five seconds for a response, and the operator asks
every five. It stays until Cassandra has started, half a minute or more, and the consumer has found its new address."""


@pytest.mark.parametrize("part", PARTS)
def test_rows_flow_again_after_the_pod_was_killed(cluster: Cluster, feed: Feed, part: str) -> None:
    feed.wait_flowing()
    consumers = feed.starts("consumer")
    selector = PARTS[part] or feed.selector(part)
    killed = cluster.kill(selector)
    if part == "cassandra":
        feed.wait_condition("ConsumersReady", "False", "NotWriting", NOTICED_LIMIT_S)
    cluster.wait_replaced(selector, killed)
    feed.wait_flowing()
    feed.wait_ready()
    if part == "cassandra":  # which restarts with another address
        assert feed.starts("consumer") == consumers, "a consumer was restarted to find it"


def test_everything_captured_during_the_kills_is_proven(cluster: Cluster, feed: Feed) -> None:
    assert feed.wait_proven() > 0
    feed.verify()

"""Every part is killed under load, one after the other; afterwards not a row is missing."""

from __future__ import annotations

import pytest

from tests.e2e.cluster import Cluster, wait_for
from tests.e2e.feeds import Feed

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

PARTS = {
    "producer": "",
    "consumer": "",
    "connect": "strimzi.io/kind=KafkaConnect,strimzi.io/cluster=cryptocdc",
    "broker": "strimzi.io/kind=Kafka,strimzi.io/broker-role=true",
    "postgres": "cnpg.io/cluster=cryptocdc-postgres,cnpg.io/podRole=instance",
    "cassandra": "cassandra.datastax.com/cluster=cryptocdc",
}


@pytest.mark.parametrize("part", PARTS)
def test_rows_flow_again_after_the_pod_was_killed(cluster: Cluster, feed: Feed, part: str) -> None:
    selector = PARTS[part] or feed.selector(part)
    feed.wait_flowing()
    killed = cluster.kill(selector)

    def replaced() -> bool:
        uids = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in cluster.pods(selector)}
        return any(uids.get(name) not in (None, killed) for name in cluster.ready(selector))

    wait_for(f"another pod of {part} is ready", replaced, 300)
    feed.wait_flowing()
    feed.wait_ready()


def test_all_that_was_captured_meanwhile_is_proven(cluster: Cluster, feed: Feed) -> None:
    assert feed.wait_proven() > 0
    feed.verify()

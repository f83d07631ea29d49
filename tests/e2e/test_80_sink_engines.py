"""A feed whose rows a sink connector writes, and one that changes its engine while it runs: nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.cluster import CONNECT, Cluster, wait_for
from tests.e2e.feeds import Feed

pytestmark = [pytest.mark.e2e_all, pytest.mark.timeout(1800)]


@pytest.fixture
def linked(cluster: Cluster) -> Iterator[Feed]:
    it = Feed(cluster, "linked")
    it.apply(["BTCUSDT", "ETHUSDT"], {"consumers": 2}, sink={"engine": "connect"}, deletionPolicy="Delete")
    yield it
    it.delete()


def _sink(feed: Feed) -> str:
    return f"{feed.connector}.sink"


def test_switching_the_sink_engine_twice_with_a_kill_ends_equal(cluster: Cluster, linked: Feed) -> None:
    linked.wait_ready()
    assert cluster.get("deployment", "linked-consumer") is None
    resource = cluster.get("kafkaconnector", _sink(linked))
    assert resource is not None
    assert resource["spec"]["tasksMax"] == 2
    assert linked.wait_proven() > 0
    cluster.replace(CONNECT)
    linked.wait_ready(600)
    assert linked.wait_proven() > 0

    linked.change({"sink": {"engine": "consumer"}})
    wait_for("consumers are ready", lambda: len(linked.ready("consumer")) == 2, 300)
    assert cluster.get("kafkaconnector", _sink(linked)) is None
    linked.wait_ready()
    linked.wait_flowing()

    linked.change({"sink": {"engine": "connect"}})
    wait_for("the connector is back", lambda: cluster.get("kafkaconnector", _sink(linked)) is not None, 300)
    assert linked.ready("consumer") == []
    linked.wait_ready()
    assert linked.wait_proven() > 0
    linked.verify()

    linked.delete()
    wait_for("both connectors are gone", lambda: cluster.get("kafkaconnector", _sink(linked)) is None, 60)
    assert linked.slots() == ""

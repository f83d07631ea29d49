"""A feed whose rows Spark writes: its driver and an executor are killed, the engine is changed, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.cluster import Cluster, wait_for
from tests.e2e.environment import add_image
from tests.e2e.feeds import Feed

pytestmark = [pytest.mark.e2e_all, pytest.mark.timeout(2700)]


@pytest.fixture
def sparked(cluster: Cluster) -> Iterator[Feed]:
    add_image(cluster, "spark")
    it = Feed(cluster, "sparked")
    it.apply(["BTCUSDT", "ETHUSDT"], {"consumers": 1}, sink={"engine": "spark"}, deletionPolicy="Delete")
    yield it
    it.delete()


def test_driver_and_executor_are_killed_and_all_is_equal(cluster: Cluster, sparked: Feed) -> None:
    sparked.wait_ready(600)
    assert cluster.get("deployment", "sparked-consumer") is None
    driver, executor = (sparked.selector(component) for component in ("spark", "spark-executor"))
    assert len(cluster.pods(executor)) == 1
    assert sparked.wait_proven() > 0

    cluster.kill(executor)
    sparked.wait_condition("ConsumersReady", "True", "Running", limit_s=300)
    assert sparked.wait_proven() > 0

    killed = cluster.kill(driver)
    wait_for("another driver runs", lambda: killed not in cluster.starts(driver) and sparked.ready("spark"), 300)
    # The killed driver's executor ends with it.
    wait_for("one executor", lambda: len(cluster.pods(executor)) == 1, 300)
    sparked.wait_ready(600)
    assert sparked.wait_proven() > 0
    sparked.verify()
    assert len(cluster.pods(executor)) == 1

    sparked.change({"sink": {"engine": "consumer"}})
    wait_for("consumers are ready", lambda: sparked.ready("consumer"), 300)
    assert cluster.find("pods", driver) == cluster.find("pods", executor) == []
    sparked.wait_ready()
    sparked.wait_flowing()
    assert cluster.get("persistentvolumeclaim", "sparked-spark") is None

    sparked.change({"sink": {"engine": "spark"}})
    wait_for("Spark is back", lambda: sparked.ready("spark"), 300)
    assert sparked.ready("consumer") == []
    sparked.wait_ready(600)
    assert sparked.wait_proven() > 0
    sparked.verify()

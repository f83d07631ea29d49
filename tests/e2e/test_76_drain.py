"""Every worker is drained and returns, one after the other, as when a cluster's nodes are upgraded. The one with the
servers is the last: by then all programs are on it, too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.cluster import Cluster, wait_for
from tests.e2e.conftest import SYMBOLS
from tests.e2e.feeds import Feed

pytestmark = [pytest.mark.e2e_all, pytest.mark.timeout(2400)]

DRAIN_LIMIT_S = 300


@pytest.fixture
def workers(cluster: Cluster) -> Iterator[list[str]]:
    """The nodes on which programs may run; all are uncordoned at the end."""
    found = cluster.workers()
    if len(found) < 2:
        pytest.skip("a drain needs two nodes for programs: make the cluster with CRYPTOCDC_E2E_WORKERS=2")
    yield found
    for name in found:
        cluster.kubectl("uncordon", name)


@pytest.fixture
def doubled(feed: Feed) -> Iterator[Feed]:
    """Two of each program, spread over the nodes; one at a time may be evicted."""
    feed.apply(SYMBOLS, {"producers": 2, "consumers": 2})
    feed.wait_ready()
    yield feed
    feed.apply(SYMBOLS)
    feed.wait_ready()


def _nodes(cluster: Cluster, feed: Feed, component: str) -> list[str]:
    return [pod["spec"].get("nodeName", "") for pod in cluster.pods(feed.selector(component))]


def test_each_worker_is_drained_and_nothing_is_lost(cluster: Cluster, doubled: Feed, workers: list[str]) -> None:
    feed = doubled
    servers = {pod["spec"]["nodeName"] for pod in cluster.pods("cnpg.io/podRole=instance")}
    for name in sorted(workers, key=lambda name: name in servers):
        feed.wait_flowing()
        cluster.kubectl(
            "drain", name, "--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={DRAIN_LIMIT_S}s",
            limit_s=DRAIN_LIMIT_S + 60,
        )  # fmt: skip
        for component in ("producer", "consumer"):
            where = _nodes(cluster, feed, component)
            assert len(where) == 2
            assert name not in where
        # The volumes of a small cluster are on one node: servers with data there wait until it is back.
        cluster.kubectl("uncordon", name)
        feed.wait_ready(420)
        feed.wait_flowing()

    def two_of_each() -> bool:
        return all(len(feed.ready(component)) == 2 for component in ("producer", "consumer"))

    wait_for("two of each run", two_of_each, 180)
    assert feed.wait_proven() > 0
    feed.verify()

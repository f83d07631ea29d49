"""The only broker is down for longer than Kubernetes' and Strimzi's defaults tolerate: nothing restarts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.e2e.cluster import BROKER, CONNECT, Cluster, wait_for
from tests.e2e.feeds import Feed

pytestmark = [pytest.mark.e2e_all, pytest.mark.timeout(900)]

DEFAULT_PATIENCE_S = 60
"""More than three probes, ten seconds apart, of five seconds each."""


@pytest.fixture
def broker_down(cluster: Cluster) -> Iterator[None]:
    """No node accepts its pod."""
    for name in cluster.workers():
        cluster.kubectl("cordon", name)
    cluster.kill(BROKER)
    yield
    for name in cluster.workers():
        cluster.kubectl("uncordon", name)


def _unready_s(cluster: Cluster) -> float:
    """Return for how long Connect has not been ready; 0 while it is."""
    (pod,) = cluster.pods(CONNECT)
    (ready,) = (it for it in pod["status"]["conditions"] if it["type"] == "Ready")
    since = datetime.fromisoformat(ready["lastTransitionTime"])
    return (datetime.now(UTC) - since).total_seconds() if ready["status"] == "False" else 0.0


def test_connect_is_not_restarted_while_the_only_broker_is_down(
    cluster: Cluster, feed: Feed, request: pytest.FixtureRequest
) -> None:
    feed.wait_ready()
    before = cluster.starts(CONNECT)
    request.getfixturevalue("broker_down")
    wait_for("Connect has found no broker for a minute", lambda: _unready_s(cluster) > DEFAULT_PATIENCE_S, 240)
    assert feed.condition("Ready")["status"] == "False"
    assert cluster.starts(CONNECT) == before
    for name in cluster.workers():
        cluster.kubectl("uncordon", name)
    feed.wait_ready()
    feed.wait_flowing()
    assert cluster.starts(CONNECT) == before
    assert feed.wait_proven() > 0

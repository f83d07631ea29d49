"""The namespace is deleted with everything in it, including a feed with its finalizer. This test comes last."""

from __future__ import annotations

import pytest

from tests.e2e.cluster import Cluster
from tests.e2e.feeds import Feed

pytestmark = [pytest.mark.e2e_all, pytest.mark.timeout(900)]


def test_a_namespace_with_a_feed_in_it_can_be_deleted(cluster: Cluster, feed: Feed) -> None:
    feed.wait_ready()
    cluster.kubectl("delete", "namespace", cluster.namespace, "--timeout=300s")
    assert cluster.get("namespace", cluster.namespace) is None

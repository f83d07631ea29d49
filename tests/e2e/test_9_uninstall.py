"""The chart goes; data and feeds stay, and no feed waits for the operator that is gone."""

from __future__ import annotations

import pytest

from tests.e2e.cluster import Cluster, wait_for
from tests.e2e.environment import install_chart
from tests.e2e.feeds import Feed, sql

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]


def test_uninstalled_and_installed_again_it_finds_everything_as_it_was(cluster: Cluster, feed: Feed) -> None:
    feed.wait_ready()
    before = feed.starts("producer")
    cluster.helm("uninstall", "cryptocdc", "--wait", "--timeout", "4m")
    assert cluster.get("cryptofeed", feed.name) is not None
    assert not cluster.find("deployments", "app.kubernetes.io/managed-by=Helm")
    assert int(sql(cluster, f"SELECT count(*) FROM {feed.fid}.recent_trades")) > 0
    install_chart(cluster)
    wait_for("the operator sees the feed again", lambda: feed.condition("Ready").get("status") == "True", 300)
    assert feed.starts("producer") == before


def test_a_feed_is_deleted_without_an_operator(cluster: Cluster) -> None:
    orphan = Feed(cluster, "orphan")
    orphan.apply(["BTCUSDT"])
    orphan.wait_ready()
    cluster.helm("uninstall", "cryptocdc", "--wait", "--timeout", "4m")
    orphan.delete(120)
    assert cluster.get("cryptofeed", orphan.name) is None
    install_chart(cluster)

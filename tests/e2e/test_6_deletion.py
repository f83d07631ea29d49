"""What remains of a deleted feed: its data with Retain, nothing with Delete, and in no case its replication slot."""

from __future__ import annotations

import pytest

from tests.e2e.cluster import Cluster, wait_for
from tests.e2e.feeds import Feed, sql

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]


def _made(cluster: Cluster, policy: str) -> Feed:
    feed = Feed(cluster, f"gone-{policy.lower()}")
    feed.apply(["BTCUSDT"], deletionPolicy=policy)
    feed.wait_ready()
    feed.wait_flowing()
    return feed


def _schemas(cluster: Cluster, feed: Feed) -> str:
    return sql(cluster, f"SELECT count(*) FROM pg_namespace WHERE nspname = '{feed.fid}'")


def _topics(cluster: Cluster, feed: Feed) -> int:
    return len(cluster.find("kafkatopics", f"cryptocdc.io/feed={feed.name}"))


def test_retain_keeps_the_rows_and_drops_the_slot(cluster: Cluster) -> None:
    feed = _made(cluster, "Retain")
    rows = int(sql(cluster, f"SELECT count(*) FROM {feed.fid}.recent_trades"))
    feed.delete()
    assert feed.slots() == ""
    assert int(sql(cluster, f"SELECT count(*) FROM {feed.fid}.recent_trades")) >= rows > 0
    assert _topics(cluster, feed) > 0
    label = f"cryptocdc.io/feed={feed.name}"
    wait_for("its programs are gone", lambda: not cluster.find("kafkaconnectors,deployments,pods", label), 180)

    # Applied again, it continues where it was.
    feed.apply(["BTCUSDT"], deletionPolicy="Delete")
    feed.wait_ready()
    feed.wait_flowing()
    feed.delete()


def test_delete_removes_tables_topics_and_slot(cluster: Cluster) -> None:
    feed = _made(cluster, "Delete")
    feed.delete()
    assert feed.slots() == ""
    assert _schemas(cluster, feed) == "0"
    wait_for("its topics are gone", lambda: _topics(cluster, feed) == 0, 120)

"""A lost replication slot is noticed, and a new snapshot is taken: twice, then only with a person's permission.
Afterwards every row in PostgreSQL is in Cassandra."""

from __future__ import annotations

import pytest

from tests.e2e.cluster import Cluster, wait_for
from tests.e2e.feeds import Feed

pytestmark = [pytest.mark.e2e_all, pytest.mark.timeout(2400)]


def _snapshots(feed: Feed) -> int:
    count: int = feed.status().get("recovery", {}).get("snapshots", 0)
    return count


def _prepared(feed: Feed, snapshots: int) -> bool:
    """Return whether this many were started, and the previous slot and position are removed."""
    recovery = feed.status().get("recovery", {})
    return _snapshots(feed) == snapshots and not recovery["snapshotting"]


def _read(feed: Feed) -> bool:
    """Return whether the feed has an active slot that has lost nothing."""
    return "|t|" in feed.slots() and "lost" not in feed.slots()


def _connector_state(cluster: Cluster, feed: Feed) -> str:
    found = cluster.get("kafkaconnector", feed.connector)
    return "" if found is None else str(found["spec"].get("state"))


def test_a_lost_slot_leads_to_at_most_two_snapshots_before_the_feed_halts(cluster: Cluster, feed: Feed) -> None:
    for time in (1, 2):
        feed.wait_ready()
        feed.wait_flowing()
        feed.drop_slot()
        wait_for(f"new snapshot {time} preparing", lambda time=time: _prepared(feed, time), 300)  # type: ignore[misc]
        wait_for("there is a new slot", lambda: _read(feed), 180)
        feed.wait_ready()
        feed.wait_flowing()
        assert feed.wait_proven() > 0

    feed.drop_slot()
    said = feed.wait_condition("ConnectorReady", "False", "SlotLost")
    assert "Halted after 2 new snapshots" in said["message"]
    assert feed.condition("Ready")["reason"] == "SlotLost"
    assert "SlotLost" in cluster.kubectl("get", "events", "--field-selector", f"involvedObject.name={feed.name}")
    assert _connector_state(cluster, feed) == "stopped"
    assert _snapshots(feed) == 2

    # Capture continues while the connector is stopped, and its rows are replicated once it may run.
    rows = feed.metric("producer", "cryptocdc_producer_rows_total")
    wait_for("capture continues", lambda: feed.metric("producer", "cryptocdc_producer_rows_total") > rows + 100, 60)
    assert feed.condition("ConnectorReady")["reason"] == "SlotLost"

    cluster.kubectl("annotate", "cryptofeed", feed.name, "--overwrite", "cryptocdc.io/new-snapshot=the cause is gone")
    wait_for("the connector may continue", lambda: _connector_state(cluster, feed) == "running", 180)
    feed.wait_ready()
    feed.wait_flowing()
    assert feed.wait_proven() > 0
    feed.verify()

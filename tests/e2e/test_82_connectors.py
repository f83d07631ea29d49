"""A feed changes from one connector to two, three and back to one under load, loses a slot, and stays equal."""

from __future__ import annotations

import pytest

from tests.e2e.cluster import Cluster, wait_for
from tests.e2e.conftest import SYMBOLS
from tests.e2e.feeds import Feed, sql

pytestmark = [pytest.mark.e2e_all, pytest.mark.timeout(2400)]


def _suffixes(connectors: int) -> list[str]:
    return [""] if connectors == 1 else [f"{number}of{connectors}" for number in range(1, connectors + 1)]


def _listed(feed: Feed, query: str) -> list[str]:
    return sorted(sql(feed.cluster, query.format(fid=feed.fid)).split())


def _only(cluster: Cluster, feed: Feed, connectors: int) -> bool:
    """Whether the feed has the connectors, slots and publications of this number, no others, and every slot is read."""
    live = [found["metadata"]["name"] for found in cluster.find("kafkaconnectors", f"cryptocdc.io/feed={feed.name}")]
    slots = _listed(feed, "SELECT slot_name FROM pg_replication_slots WHERE slot_name ~ '^{fid}_slot' AND active")
    publications = _listed(feed, "SELECT pubname FROM pg_publication WHERE pubname ~ '^{fid}_pub'")
    dotted = [f".{suffix}" if suffix else "" for suffix in _suffixes(connectors)]
    lined = [f"_{suffix}" if suffix else "" for suffix in _suffixes(connectors)]
    return (
        sorted(live) == [f"{feed.connector}{suffix}" for suffix in dotted]
        and slots == [f"{feed.fid}_slot{suffix}" for suffix in lined]
        and publications == [f"{feed.fid}_pub{suffix}" for suffix in lined]
    )


def _change(cluster: Cluster, feed: Feed, connectors: int) -> None:
    feed.change({"scaling": {"connectors": connectors}})
    wait_for(f"{connectors} connectors alone", lambda: _only(cluster, feed, connectors), 300)
    feed.wait_ready()
    assert feed.status()["connectors"] == connectors
    feed.wait_flowing()


def test_the_number_of_connectors_changes_under_load_and_nothing_is_lost(cluster: Cluster, feed: Feed) -> None:
    feed.wait_ready()
    feed.wait_flowing()
    _change(cluster, feed, 2)
    assert "all 2 tasks are running" in feed.condition("ConnectorReady")["message"]
    assert not feed.status().get("recovery", {}).get("snapshots"), "a change of the number took a snapshot"

    feed.drop_slot("_2of2")

    def recovered() -> bool:
        found = feed.status().get("shardRecoveries", [])
        return [(one["shard"], one["recovery"]["snapshots"]) for one in found] == [("2of2", 1)] and _only(
            cluster, feed, 2
        )

    wait_for("a new snapshot of the second connector alone", recovered, 300)
    feed.wait_ready()
    feed.wait_flowing()

    _change(cluster, feed, 3)
    _change(cluster, feed, 1)
    assert "shardRecoveries" not in feed.status()
    assert feed.wait_proven() > 0
    feed.verify()


def test_a_deleted_feed_with_two_connectors_leaves_no_slot(cluster: Cluster) -> None:
    feed = Feed(cluster, "two-connectors")
    feed.apply(SYMBOLS[:2], {"connectors": 2}, deletionPolicy="Delete")
    feed.wait_ready()
    assert _only(cluster, feed, 2)
    feed.delete()
    assert _listed(feed, "SELECT slot_name FROM pg_replication_slots WHERE slot_name ~ '^{fid}_slot'") == []
    assert _listed(feed, "SELECT pubname FROM pg_publication WHERE pubname ~ '^{fid}_pub'") == []

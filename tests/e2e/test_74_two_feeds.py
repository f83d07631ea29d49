"""Two feeds share only the platform; deleting one does not affect the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.cluster import Cluster, wait_for
from tests.e2e.conftest import SYMBOLS
from tests.e2e.feeds import Feed, sql

pytestmark = [pytest.mark.e2e_all, pytest.mark.timeout(1200)]

MINE = ["BTCUSDT", "NEARUSDT"]
"""One symbol that the other feed has, and one that it does not have."""


@pytest.fixture
def neighbour(cluster: Cluster) -> Iterator[Feed]:
    it = Feed(cluster, "neighbour")
    yield it
    it.delete()


def _symbols(cluster: Cluster, feed: Feed) -> set[str]:
    """Return the symbols captured in the last minute."""
    recent = "received_at > (now() AT TIME ZONE 'UTC') - interval '1 minute'"
    return set(sql(cluster, f"SELECT DISTINCT symbol FROM {feed.fid}.recent_trades WHERE {recent}").split())


def test_two_feeds_share_nothing_and_one_is_deleted_without_the_other(
    cluster: Cluster, feed: Feed, neighbour: Feed
) -> None:
    feed.wait_ready()
    before = feed.revisions()
    neighbour.apply(MINE, deletionPolicy="Delete")
    neighbour.wait_ready()
    neighbour.wait_flowing()
    feed.wait_flowing()

    assert feed.slots()
    assert neighbour.slots()
    wait_for("the neighbour captures its symbols", lambda: _symbols(cluster, neighbour) == set(MINE), 90)
    assert _symbols(cluster, feed) <= set(SYMBOLS)
    for it in (feed, neighbour):
        assert it.wait_proven() > 0
        it.verify()
    assert {symbol for (symbol,) in neighbour.cql("SELECT symbol FROM newest_prices WHERE shard = 0")} == set(MINE)

    starts = {component: feed.starts(component) for component in ("producer", "consumer")}
    neighbour.delete()
    assert neighbour.slots() == ""
    feed.wait_flowing()
    feed.wait_ready()
    assert feed.slots()
    assert feed.wait_proven() > 0
    assert {component: feed.starts(component) for component in starts} == starts
    assert feed.revisions() == before

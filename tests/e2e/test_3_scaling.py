"""The work is shared by more producers and consumers, and taken over by fewer."""

from __future__ import annotations

import pytest

from tests.e2e.cluster import Cluster, wait_for
from tests.e2e.conftest import SYMBOLS
from tests.e2e.feeds import STREAMS, Feed

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]

PARTITIONS = 6 * len(STREAMS)


def _shares(feed: Feed, count: int) -> bool:
    """Return whether that many of each run, and together have every symbol and every partition exactly once."""
    return (
        len(feed.ready("producer")) == len(feed.ready("consumer")) == count
        and feed.metric("producer", "cryptocdc_producer_symbols") == len(SYMBOLS)
        and feed.metric("consumer", "cryptocdc_consumer_partitions") == PARTITIONS
    )


def test_three_of_each_program_share_the_work_and_one_takes_it_all_back(cluster: Cluster, feed: Feed) -> None:
    feed.wait_ready()
    feed.apply(SYMBOLS, {"producers": 3, "consumers": 3})
    wait_for("three of each share the work", lambda: _shares(feed, 3), 300)
    cluster.kubectl("scale", "cryptofeed", feed.name, "--replicas=2")
    wait_for("kubectl scale takes effect", lambda: feed.status().get("replicas") == 2, 240)
    feed.apply(SYMBOLS, {"producers": 1, "consumers": 1})
    wait_for("one of each has all the work", lambda: _shares(feed, 1), 300)
    feed.wait_flowing()
    feed.wait_ready()

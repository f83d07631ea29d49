"""Symbols are added and removed; nothing restarts."""

from __future__ import annotations

import pytest

from tests.e2e.cluster import Cluster, wait_for
from tests.e2e.conftest import SYMBOLS
from tests.e2e.feeds import Feed, sql

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

NEW = "LINKUSDT"


def _rows(cluster: Cluster, feed: Feed) -> int:
    return int(sql(cluster, f"SELECT count(*) FROM {feed.fid}.recent_trades WHERE symbol = '{NEW}'"))


def test_symbols_are_added_and_removed_without_restarting_any_pod(cluster: Cluster, feed: Feed) -> None:
    feed.wait_ready()
    before = {component: feed.starts(component) for component in ("producer", "consumer")}
    feed.apply([*SYMBOLS, NEW])
    wait_for(f"{NEW} is captured", lambda: _rows(cluster, feed), 180)
    assert NEW in feed.status()["symbolNames"]

    feed.apply(SYMBOLS)
    wait_for(f"{NEW} is no longer captured", lambda: NEW not in feed.status()["symbolNames"], 120)
    wait_for("the producer no longer captures it", lambda: _captured(feed) == len(SYMBOLS), 120)
    rows = _rows(cluster, feed)
    feed.wait_flowing()  # rows of the others arrive meanwhile
    assert _rows(cluster, feed) == rows
    assert {component: feed.starts(component) for component in before} == before


def _captured(feed: Feed) -> int:
    return int(feed.metric("producer", "cryptocdc_producer_symbols"))

"""One-off tasks as Jobs that the operator prints: a backfill and a replay; verification is in all other tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.cluster import Cluster
from tests.e2e.feeds import Feed, sql

pytestmark = [pytest.mark.e2e_all, pytest.mark.timeout(900)]

SYMBOL = "BTCUSDT"


def test_a_backfill_fetches_rows_from_before_the_feed(cluster: Cluster, feed: Feed) -> None:
    feed.wait_ready()
    end = (datetime.now(UTC) - timedelta(hours=5)).replace(second=0, microsecond=0, tzinfo=None)
    start = end - timedelta(minutes=10)
    within = f"symbol = '{SYMBOL}' AND trade_time >= '{start}' AND trade_time < '{end}'"
    assert sql(cluster, f"SELECT count(*) FROM {feed.fid}.recent_trades WHERE {within}") == "0"

    feed.job("backfill", "--symbol", SYMBOL, "--from", start.isoformat(), "--to", end.isoformat())

    assert int(sql(cluster, f"SELECT count(*) FROM {feed.fid}.recent_trades WHERE {within}")) > 100
    feed.verify()


def test_a_replay_finds_the_dead_letters(feed: Feed) -> None:
    feed.wait_ready()
    assert f"{feed.fid}: 0 replayed" in feed.job("replay")

"""`spec.history.from` on a cluster: a Job loads past days from the simulator's archive, and the status says how far."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.cluster import Cluster, wait_for
from tests.e2e.environment import add_image
from tests.e2e.feeds import Feed, sql

pytestmark = [pytest.mark.e2e_all, pytest.mark.timeout(1800)]

LOAD_LIMIT_S = 600


def test_a_job_loads_past_days_and_the_status_says_how_far_it_is(cluster: Cluster) -> None:
    add_image(cluster, "history")
    feed = Feed(cluster, "past")
    first = datetime.now(UTC) - timedelta(days=4)
    feed.apply(
        ["BTCUSDT"], streams={"klines": {"intervals": ["1m"]}}, history={"klines": "0s", "from": f"{first:%Y-%m-%d}"},
        deletionPolicy="Delete",
    )  # fmt: skip
    try:
        feed.wait_ready()

        def loaded() -> bool:
            history = feed.status().get("history", {})
            assert history.get("phase") != "Failed", history
            return bool(history.get("phase") == "Loaded")

        wait_for("the past is loaded", loaded, LOAD_LIMIT_S)
        history = feed.status()["history"]
        # PostgreSQL keeps two days, and today.
        assert history["files"] == history["loaded"] == history["proven"] == 2
        assert history["quarantined"] == 0
        assert history["rows"] == 2 * 1440
        # The days after them come over REST, up to the first candle captured.
        assert (history["pastOpen"], history["pastFilled"]) == (0, 1)
        steps = (
            "SELECT max(step) FROM (SELECT open_time - lag(open_time) OVER (ORDER BY open_time) AS step"
            f" FROM {feed.fid}.klines WHERE closed) AS steps"
        )
        assert sql(cluster, steps) == "00:01:00"
        assert "proven" in feed.job("history-list")
        feed.change({"history": {"from": f"{first - timedelta(days=1):%Y-%m-%d}"}})
        wait_for("one day more", lambda: feed.status()["history"].get("proven") == 3, LOAD_LIMIT_S)
    finally:
        feed.delete()
    assert cluster.get("job", "past-history") is None

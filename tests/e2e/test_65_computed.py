"""A feed with a sink connector and an analyzer: captured and computed rows are proven. The short test of both."""

from __future__ import annotations

import pytest

from cryptocdc_core.catalogue import COMPUTED
from tests.e2e.cluster import Cluster
from tests.e2e.feeds import Feed

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]


def test_rows_of_a_sink_connector_and_an_analyzer_are_proven(cluster: Cluster) -> None:
    feed = Feed(cluster, "computed")
    feed.apply(
        ["BTCUSDT"], streams={"recentTrades": {}, "orderBook": {}}, sink={"engine": "connect"},
        analytics={
            "bars": ["3s"], "volatility": ["3s"], "bookMetrics": True, "anomalies": ["3s"], "forecasts": ["3s"],
        },
        deletionPolicy="Delete",
    )  # fmt: skip
    try:
        feed.wait_ready()
        assert len(feed.ready("analyzer")) == 1
        assert feed.ready("consumer") == []
        assert cluster.get("kafkaconnector", f"{feed.connector}.sink") is not None
        assert feed.wait_proven() > 0
        tables = feed.verify()["tables"]
        computed = {stream.table for stream in COMPUTED.values()}
        assert tables.keys() == {"recent_trades", "order_book", *computed}
        assert min(table["rows"] for table in tables.values()) > 0
    finally:
        feed.delete()

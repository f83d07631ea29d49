"""A feed of each venue, two at a time on one platform: ready and proven, each against the simulator's dialect of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import Cluster
from tests.e2e.feeds import Feed

pytestmark = [pytest.mark.e2e_all, pytest.mark.timeout(1800)]

EXAMPLES = Path(__file__).parents[2] / "examples"
SIMULATOR = "//cryptocdc-simulator:8090"


@pytest.fixture
def venues(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[dict[str, Feed]]:
    """The examples' feeds, of the simulator in the cluster; deleted at the end."""
    with ExitStack() as stack:
        found = {}
        for name in request.param:
            example = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))
            example["metadata"]["name"] = f"of-{name}"
            spec: dict[str, Any] = example["spec"]
            spec["endpoints"] = {"rest": f"http:{SIMULATOR}/{name}", "websocket": f"ws:{SIMULATOR}/{name}"}
            spec["deletionPolicy"] = "Delete"
            cluster.apply(example)
            found[name] = Feed(cluster, f"of-{name}")
            stack.callback(found[name].delete)
        yield found


@pytest.mark.parametrize("venues", [("binance-usdm", "okx"), ("coinbase", "okx")], indirect=True)
def test_feeds_of_two_venues_side_by_side_are_ready_and_proven(cluster: Cluster, venues: dict[str, Feed]) -> None:
    for it in venues.values():
        it.wait_ready()
        it.wait_flowing()
    for name, it in venues.items():
        assert it.wait_proven() > 0
        tables = it.verify()["tables"]
        streams = (cluster.get("cryptofeed", it.name) or {})["spec"]["streams"]
        assert len(tables) == len(streams)
        empty = {table for table, of_table in tables.items() if of_table["rows"] == 0}
        assert empty <= {"liquidations"}, f"{name}: no row of {empty}"
        assert it.status()["completeness"]

"""The API server refuses an invalid feed, and names the field and what is accepted."""

from __future__ import annotations

import json

import pytest

from tests.e2e.cluster import Cluster, CommandError
from tests.e2e.feeds import Feed
from tests.unit.operator.test_crd import BAD_HERE

pytestmark = [pytest.mark.e2e_all, pytest.mark.timeout(600)]


@pytest.mark.parametrize("name", BAD_HERE)
def test_an_invalid_feed_is_refused_by_the_name_of_its_field(cluster: Cluster, name: str) -> None:
    with pytest.raises(CommandError) as refused:
        cluster.kubectl("create", "--dry-run=server", "-f", "-", given=json.dumps(BAD_HERE[name]))
    field = name.partition("-")[2].split(".")[-1].partition("[")[0]
    assert field in str(refused.value)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"exchange": "binance"}, "exchange"),
        ({"scaling": {"partitions": 7}}, "partitions"),
        ({"streams": {"recentTrades": {"kind": "trade"}}}, "kind"),
    ],
)
def test_fields_that_define_stored_rows_are_immutable(
    cluster: Cluster, feed: Feed, change: dict[str, object], field: str
) -> None:
    with pytest.raises(CommandError, match=f"(?s){field}.*immutable"):
        cluster.kubectl("patch", "cryptofeed", feed.name, "--type=merge", "--patch", json.dumps({"spec": change}))

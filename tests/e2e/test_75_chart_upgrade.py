"""The chart is upgraded: new values reach the feeds' programs, a newer definition reaches the API server, and
everything else continues unchanged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.cluster import Cluster, CommandError, Object, wait_for
from tests.e2e.environment import CHART, install_chart
from tests.e2e.feeds import Feed

pytestmark = [pytest.mark.e2e_all, pytest.mark.timeout(1200)]

OPERATOR = "app.kubernetes.io/component=operator"


@pytest.fixture
def upgraded(cluster: Cluster) -> Iterator[None]:
    yield
    install_chart(cluster)


def _next_chart(folder: Path) -> Path:
    """A later version of the chart, in which feeds have another field."""
    chart = folder / "charts"
    shutil.copytree(CHART, chart)
    path = chart / "files/crd.yaml"
    definition = yaml.safe_load(path.read_text(encoding="utf-8"))
    (version,) = definition["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"]["note"] = {"type": "string", "maxLength": 100, "description": "What people say of it."}
    path.write_text(yaml.safe_dump(definition, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return chart


def _noted(cluster: Cluster, feed: Feed) -> str:
    """Return the API server's response to a feed with that field. Raises CommandError."""
    found = cluster.get("cryptofeed", feed.name)
    assert found is not None
    document: Object = {key: found[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": "noted"}}
    document["spec"]["note"] = "a note"
    return cluster.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", given=json.dumps(document))


def test_an_upgrade_changes_values_and_crd_while_feeds_continue(
    cluster: Cluster, feed: Feed, upgraded: None, tmp_path: Path
) -> None:
    feed.wait_ready()
    feed.wait_flowing()
    before, starts, operator = feed.revisions(), feed.starts("producer"), cluster.pods(OPERATOR)[0]["metadata"]["uid"]
    with pytest.raises(CommandError, match="note"):
        _noted(cluster, feed)

    values = ["consumer.resources.limits.memory=640Mi", "operator.logLevel=DEBUG", "verifier.rowsPerSecond=5000"]
    install_chart(cluster, _next_chart(tmp_path), values)

    wait_for("the definition has the field", lambda: _noted(cluster, feed), 60)
    cluster.kubectl("rollout", "status", "deployment/cryptocdc-operator", "--timeout=180s")
    assert cluster.pods(OPERATOR)[0]["metadata"]["uid"] != operator

    def follow() -> bool:
        pods = cluster.pods(feed.selector("consumer"))
        return bool(pods) and all(
            pod["spec"]["containers"][0]["resources"]["limits"]["memory"] == "640Mi" for pod in pods
        )

    wait_for("the consumers have the new limit", follow, 180)
    feed.wait_ready()
    feed.wait_flowing()
    after = feed.revisions()
    assert {part for part in before if before[part] != after[part]} == {"consumer"}
    assert feed.starts("producer") == starts
    assert cluster.get("cryptofeed", feed.name) is not None
    assert feed.wait_proven() > 0


def test_a_downgrade_reverts_values_and_crd(cluster: Cluster, feed: Feed) -> None:
    install_chart(cluster)

    def refused() -> bool:
        try:
            _noted(cluster, feed)
        except CommandError as error:
            return "note" in str(error)
        return False

    wait_for("the definition has lost the field", refused, 60)
    feed.wait_ready()
    feed.wait_flowing()
    assert cluster.helm("test", "cryptocdc", "--timeout", "3m")

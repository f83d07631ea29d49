"""Reversed order: chart and feed first, then the operators, then the platform. The feed reports what it waits for, and
works as soon as everything exists. This test comes first, before anything is installed."""

from __future__ import annotations

import pytest

from tests.e2e import environment
from tests.e2e.cluster import Cluster, wait_for
from tests.e2e.feeds import Feed

pytestmark = [pytest.mark.e2e_all, pytest.mark.timeout(1800)]


def test_a_feed_waits_for_the_platform_and_names_what_is_missing(bare: Cluster) -> None:
    if "kafkas.kafka.strimzi.io" in bare.kubectl("get", "crds", "-o", "name"):
        pytest.skip("the cluster already has the platform")
    environment.make_namespace(bare)
    environment.install_chart(bare)
    early = Feed(bare, "early")
    early.apply(["BTCUSDT"], deletionPolicy="Delete")

    said = early.wait_condition("PlatformReady", "False", "SecretMissing")["message"]
    assert "missing secrets: " in said
    assert "cryptocdc-postgres-app" in said
    assert "the API server has no kind KafkaTopic: is its operator installed?" in said
    assert early.condition("Ready")["reason"] == "SecretMissing"

    environment.install_operators(bare)
    wait_for("the kinds exist", lambda: "no kind" not in early.condition("PlatformReady")["message"], 120)
    assert early.condition("PlatformReady")["reason"] == "SecretMissing"

    environment.install_platform(bare)
    early.wait_ready(environment.READY_LIMIT_S)
    early.wait_flowing()
    assert early.wait_proven() > 0
    early.delete()

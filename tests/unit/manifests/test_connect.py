"""The worker on Kubernetes is the worker of one machine: what was measured there holds here."""

from pathlib import Path

import pytest
from tests.unit.kubernetes_schemas import the
from tests.unit.manifests.build import overlay

from cryptocdc_local.platform.connect import connect_properties
from cryptocdc_local.platform.settings import Ports

ALIKE = (
    "key.converter",
    "value.converter",
    "key.converter.schemas.enable",
    "value.converter.schemas.enable",
    "offset.flush.interval.ms",
    "status.storage.partitions",
)


def local_worker():
    lines = connect_properties(Ports(), [Path("/plugins")], "password").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


@pytest.mark.parametrize("key", ALIKE)
def test_what_does_not_depend_on_the_platform_is_alike(key):
    config = the(overlay("kind"), "KafkaConnect")["spec"]["config"]
    assert str(config[key]).lower() == local_worker()[key].lower()


def test_a_single_worker_waits_for_nobody():
    assert the(overlay("kind"), "KafkaConnect")["spec"]["config"]["scheduled.rebalance.max.delay.ms"] == 0


@pytest.mark.parametrize("platform", ["kind", "production"])
def test_a_worker_is_ready_soon_after_its_start(platform):
    probe = the(overlay(platform), "KafkaConnect")["spec"]["readinessProbe"]
    assert probe["initialDelaySeconds"] + probe["periodSeconds"] <= 15


@pytest.mark.parametrize("platform", ["kind", "production"])
def test_a_worker_is_not_killed_while_the_only_broker_is_away(platform):
    """Seen: `/health` times out then. A broker that moves to another node is back within minutes."""
    probe = the(overlay(platform), "KafkaConnect")["spec"]["livenessProbe"]
    assert probe["failureThreshold"] * probe["periodSeconds"] >= 600

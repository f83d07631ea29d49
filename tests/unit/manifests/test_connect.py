"""The worker on Kubernetes is configured like the local one, so that measurements there hold here."""

from pathlib import Path

import pytest
from tests.unit.kubernetes_schemas import the
from tests.unit.manifests.build import overlay

from cryptocdc_local.platform.servers.connect import connect_properties
from cryptocdc_local.platform.settings import Ports

ALIKE = (
    "key.converter",
    "value.converter",
    "key.converter.schemas.enable",
    "value.converter.schemas.enable",
    "offset.flush.interval.ms",
    "connections.max.idle.ms",
    "status.storage.partitions",
)


def local_worker():
    lines = connect_properties(Ports(), [Path("/plugins")], "password").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


@pytest.mark.parametrize("key", ALIKE)
def test_platform_independent_settings_equal_those_of_the_local_worker(key):
    config = the(overlay("kind"), "KafkaConnect")["spec"]["config"]
    assert str(config[key]).lower() == local_worker()[key].lower()


def test_a_single_worker_rebalances_without_delay():
    assert the(overlay("kind"), "KafkaConnect")["spec"]["config"]["scheduled.rebalance.max.delay.ms"] == 0


@pytest.mark.parametrize("platform", ["kind", "production"])
def test_the_readiness_probe_of_a_worker_starts_early(platform):
    probe = the(overlay(platform), "KafkaConnect")["spec"]["readinessProbe"]
    assert probe["initialDelaySeconds"] + probe["periodSeconds"] <= 15


@pytest.mark.parametrize("platform", ["kind", "production"])
def test_a_worker_is_not_killed_while_the_only_broker_is_away(platform):
    """Observed: `/health` times out then. A broker that moves to another node is back within minutes."""
    probe = the(overlay(platform), "KafkaConnect")["spec"]["livenessProbe"]
    assert probe["failureThreshold"] * probe["periodSeconds"] >= 600

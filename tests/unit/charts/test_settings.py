"""What the chart tells the programs is what they read: each variable is one of a program's settings."""

import pytest
from tests.unit.charts.render import environment, rendered
from tests.unit.kubernetes_schemas import the

from cryptocdc_core.settings import (
    CassandraSettings,
    ConnectSettings,
    KafkaSettings,
    PostgresSettings,
    ProvingSettings,
    ServingSettings,
    VerifierSettings,
)

PLATFORM = (PostgresSettings, KafkaSettings, CassandraSettings, ConnectSettings)


def told(component):
    deployment = the(rendered("everything"), "Deployment", f"market-{component}")
    return set(environment(deployment["spec"]["template"]["spec"]["containers"][0]))


def known(*groups):
    variables = {group.variable(field) for group in groups for field in group.model_fields}
    return variables | {f"{variable}_FILE" for variable in variables}


def test_the_verifier_is_told_what_it_reads():
    assert told("verifier") <= known(*PLATFORM, ProvingSettings, VerifierSettings)


def test_the_operator_is_told_where_the_platform_is():
    addresses = {name for name in told("operator") if not name.startswith("CRYPTOCDC_OPERATOR_")}
    assert addresses <= known(*PLATFORM, ServingSettings)


@pytest.mark.parametrize("component", ["operator", "verifier"])
def test_no_default_of_one_machine_is_left(component):
    at_home = {"HOST", "HOSTS", "PORT", "DATACENTER", "BOOTSTRAP", "URL", "MECHANISM"}
    local = {name for name in known(*PLATFORM) if name.rpartition("_")[2] in at_home}
    assert local <= told(component)

"""The chart sets only variables that the programs read: each is one of a program's settings."""

import pytest
from tests.unit.charts.render import FILES, environment, rendered
from tests.unit.kubernetes_schemas import find, the

from cryptocdc_core.program.settings import (
    CassandraSettings,
    ConnectSettings,
    KafkaSettings,
    PostgresSettings,
    ProvingSettings,
    ServingSettings,
    VerifierSettings,
)
from cryptocdc_operator.settings import OperatorSettings

PLATFORM = (PostgresSettings, KafkaSettings, CassandraSettings, ConnectSettings)


def passed(component):
    deployment = the(rendered("everything"), "Deployment", f"market-{component}")
    return set(environment(deployment["spec"]["template"]["spec"]["containers"][0]))


def known(*groups):
    variables = {group.variable(field) for group in groups for field in group.model_fields}
    return variables | {f"{variable}_FILE" for variable in variables}


def test_the_verifier_reads_every_variable_that_it_gets():
    assert passed("verifier") <= known(*PLATFORM, ProvingSettings, VerifierSettings)


def test_the_operators_environment_has_the_platforms_addresses():
    addresses = {name for name in passed("operator") if not name.startswith("CRYPTOCDC_OPERATOR_")}
    assert addresses <= known(*PLATFORM, ServingSettings)


@pytest.mark.parametrize("component", ["operator", "verifier"])
def test_every_server_address_is_set_explicitly(component):
    at_home = {"HOST", "HOSTS", "PORT", "DATACENTER", "BOOTSTRAP", "URL", "MECHANISM"}
    local = {name for name in known(*PLATFORM) if name.rpartition("_")[2] in at_home}
    assert local <= passed(component)


def operators_environment(chart):
    deployment = next(d for d in find(chart, "Deployment") if d["metadata"]["name"].endswith("-operator"))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return environment(container) | {"CRYPTOCDC_OPERATOR_NAMESPACE": "market-data"}


def test_the_operators_environment_is_exactly_what_it_reads():
    told_it = {name for name in operators_environment(rendered("everything")) if "_OPERATOR_" in name}
    assert told_it == {OperatorSettings.variable(field) for field in OperatorSettings.model_fields}


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_operator_accepts_its_environment_and_may_read_the_secrets_it_needs(name):
    chart = rendered(name)
    settings = OperatorSettings.from_env(operators_environment(chart))
    role = next(role for role in find(chart, "Role") if role["metadata"]["name"].endswith("-operator"))
    (rule,) = [rule for rule in role["rules"] if "secrets" in rule["resources"]]
    assert rule["verbs"] == ["get"]
    assert set(rule["resourceNames"]) == set(settings.secrets)


def test_without_a_ca_there_is_no_tls_and_without_a_verifier_no_verifier_url():
    settings = OperatorSettings.from_env(operators_environment(rendered("nothing")))
    assert (settings.postgres_ca_secret, settings.kafka_ca_secret, settings.cassandra_ca_secret) == (None, None, None)
    assert settings.verifier_url is None
    assert settings.api_image is None
    assert not settings.network_policies


def test_values_reach_the_operators_settings():
    settings = OperatorSettings.from_env(operators_environment(rendered("everything")))
    assert settings.producer_image == "registry.example.com/cryptocdc/producer:1.2.3"
    assert settings.image_pull_secrets == "one,two"
    assert (settings.kafka_cluster, settings.connect_cluster) == ("events", "capture")
    assert (settings.topic_replication, settings.cassandra_replication) == (3, 3)
    assert settings.replication_secret == "debezium-login"
    assert settings.verifier_url == "http://market-verifier:9090"
    assert settings.pod_monitors
    assert settings.api_image == "registry.example.com/cryptocdc/api:1.2.3"
    assert (settings.api_replicas, settings.api_requests_per_s, settings.api_redis_port) == (2, 12.5, 6380)
    assert (settings.api_token_secret, settings.api_redis_secret) == ("api-token", "api-redis")
    assert settings.api_trusted_proxies == "10.0.0.0/8"
    assert (settings.reader_secret, settings.make_reader) == ("reader-login", False)
    assert (settings.writer_secret, settings.make_writer) == ("writer-login", False)
    assert settings.spark_image == "registry.example.com/cryptocdc/spark:1.2.3"
    assert (settings.spark_mode, settings.spark_account) == ("operator", "market-spark")
    assert (settings.spark_memory, settings.spark_executor_cpu) == ("1g", "500m")
    assert (settings.spark_checkpoint_size, settings.spark_storage_class) == ("2Gi", "fast")

"""The stand-ins reproduce behaviour observed in the published operators."""

import pytest
from confluent_kafka import KafkaError, KafkaException
from tests.e2e.stand_ins import certificates, conditions, connect, kafka, topics
from tests.e2e.stand_ins.api import Api
from tests.e2e.stand_ins.timing import Due
from tests.unit.kubernetes_schemas import the
from tests.unit.manifests.build import overlay

ITEM = {"metadata": {"name": "it", "uid": "1", "generation": 3}}


def test_a_trust_store_is_binary():
    store = certificates.trust_store(certificates.authority("CA").certificate, "secret")
    with pytest.raises(UnicodeDecodeError):
        store.decode()


def test_strimzi_creates_a_role_and_a_rolebinding_for_each_kafkaconnect():
    _, role, binding = connect.access("cryptocdc", "cdc", ["cryptocdc-connect", "cryptocdc-cluster-ca-cert"])
    assert (role["kind"], role["metadata"]["name"]) == ("Role", "cryptocdc-connect")
    assert "cryptocdc-replication" not in role["rules"][0]["resourceNames"]
    assert (binding["kind"], binding["metadata"]["name"]) == ("RoleBinding", "cryptocdc-connect-role")


def test_topic_errors_are_ready_false_and_connector_errors_not_ready_true():
    (topic,) = conditions.ready_false(ITEM, "NotSupported", "Replication factor change not supported")["conditions"]
    (connector,) = conditions.not_ready(ITEM, "Throwable", "The following tasks have failed: 0")["conditions"]
    assert (topic["type"], topic["status"], topic["reason"]) == ("Ready", "False", "NotSupported")
    assert (connector["type"], connector["status"], connector["reason"]) == ("NotReady", "True", "Throwable")


def test_an_invalid_replication_factor_is_reported_with_java_s_message():
    error = KafkaException(KafkaError(KafkaError.INVALID_REPLICATION_FACTOR, "Unable to replicate the partition"))
    message = "org.apache.kafka.common.errors.InvalidReplicationFactorException: Unable to replicate the partition"
    assert topics.java_message(error) == message


def test_a_failed_connector_is_not_stopped():
    assert connect.transition("RUNNING", "stopped") == "stop"
    assert connect.transition("FAILED", "stopped") is None
    assert connect.transition("STOPPED", "running") == "resume"


def test_connect_is_first_probed_after_a_minute_by_default():
    assert {probe["initialDelaySeconds"] for probe in connect.probes({}).values()} == {60}
    probes = connect.probes(the(overlay("kind"), "KafkaConnect")["spec"])
    assert probes["readinessProbe"]["initialDelaySeconds"] <= 10
    assert probes["livenessProbe"]["httpGet"]["path"] == "/health"


def test_a_resource_is_ready_until_its_generation_changes():
    item = {**ITEM, "status": conditions.ready(ITEM)}
    assert conditions.is_ready(item)
    assert not conditions.is_ready({**item, "metadata": {**item["metadata"], "generation": 4}})
    assert not conditions.is_ready({**ITEM, "status": conditions.ready_false(ITEM, "KafkaError", "no")})


def test_an_unchanged_resource_is_checked_again_after_a_period():
    due, never = Due(period_s=0), Due(period_s=1e9)
    assert [due(ITEM), due(ITEM)] == [True, True]
    assert [never(ITEM), never(ITEM)] == [True, False]
    assert never({"metadata": {**ITEM["metadata"], "annotations": {"strimzi.io/restart": "true"}}})


@pytest.mark.parametrize(("namespace", "turns"), [({}, 1), ({"deletionTimestamp": "2026-11-28T06:00:00Z"}, 0)])
def test_topic_and_user_operator_end_with_their_namespace(monkeypatch, namespace, turns):
    answers = {
        "/api/v1/namespaces/cdc": {"metadata": namespace},
        "/api/v1/namespaces/cdc/secrets/it-stand-in-admin": {"data": {"password": "cGFzcw=="}},
    }
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    monkeypatch.setattr(Api, "_call", lambda _, method, path: answers[path])
    cluster = {"metadata": {**ITEM["metadata"], "namespace": "cdc"}, "status": conditions.ready(ITEM)}
    taken = []
    kafka.entity_operator(lambda *arguments: taken.append(arguments))(Api(), cluster)
    assert len(taken) == turns

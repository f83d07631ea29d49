"""The end-to-end tests' topic operator on a real broker: what it creates, what it refuses, and with which message."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from cryptocdc_adapters.kafka.clients import client_config
from cryptocdc_core.program.settings import KafkaSettings
from tests.e2e.stand_ins import topics
from tests.e2e.stand_ins.timing import TOPIC_DELETION_S
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

CLUSTER = {"metadata": {"name": "cryptocdc", "namespace": "cdc"}}


class Api:
    """One KafkaTopic, and what is written into it."""

    def __init__(self, name: str) -> None:
        labels = {"strimzi.io/cluster": "cryptocdc"}
        self.item: dict[str, Any] = {
            "metadata": {"name": name, "namespace": "cdc", "uid": name, "generation": 1, "labels": labels},
            "spec": {},
        }

    def list(self, version: str, kind: str) -> list[dict[str, Any]]:
        return [self.item]

    def patch(self, item: dict[str, Any], change: dict[str, Any]) -> None:
        item["metadata"] |= change["metadata"]

    def status(self, item: dict[str, Any], status: dict[str, Any]) -> None:
        item["status"] = status

    def change(self, **spec: Any) -> None:
        self.item["spec"] |= spec
        self.item["metadata"]["generation"] += 1

    @property
    def condition(self) -> dict[str, str]:
        (found,) = self.item["status"]["conditions"]
        return {key: value for key, value in found.items() if key != "lastTransitionTime"}


@pytest.fixture
def api() -> Api:
    return Api(f"stand-in-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def settings(servers: Any) -> KafkaSettings:
    found: KafkaSettings = servers.kafka
    return found


def partitions(settings: KafkaSettings, name: str) -> int:
    there = AdminClient(client_config(settings)).list_topics(timeout=20).topics
    return len(there[name].partitions) if name in there else 0


def turn(api: Api, settings: KafkaSettings) -> None:
    topics.topics(api, CLUSTER, settings)  # type: ignore[arg-type]


def test_a_topic_is_created_and_gets_more_partitions(api: Api, settings: KafkaSettings) -> None:
    api.change(partitions=2, replicas=1, config={"retention.ms": 60000})
    turn(api, settings)
    assert api.condition == {"type": "Ready", "status": "True"}
    assert api.item["metadata"]["finalizers"] == ["strimzi.io/topic-operator"]
    name = api.item["metadata"]["name"]
    wait_for("the topic is there", lambda: partitions(settings, name) == 2)
    api.change(partitions=3)
    turn(api, settings)
    assert api.condition == {"type": "Ready", "status": "True"}
    wait_for("it has another partition", lambda: partitions(settings, name) == 3)


def test_other_replicas_and_fewer_partitions_are_not_supported(api: Api, settings: KafkaSettings) -> None:
    api.change(partitions=2, replicas=1)
    turn(api, settings)
    wait_for("the topic is there", lambda: partitions(settings, api.item["metadata"]["name"]) == 2)
    api.change(replicas=3)
    turn(api, settings)
    assert api.condition == {
        "type": "Ready",
        "status": "False",
        "reason": "NotSupported",
        "message": "Replication factor change not supported, but required for partitions [0, 1]",
    }
    api.change(replicas=1, partitions=1)
    turn(api, settings)
    assert (api.condition["status"], api.condition["reason"]) == ("False", "NotSupported")


def test_refusals_of_kafka_are_reported_with_its_message(api: Api, settings: KafkaSettings) -> None:
    api.change(partitions=1, replicas=3)
    turn(api, settings)
    assert (api.condition["type"], api.condition["status"], api.condition["reason"]) == ("Ready", "False", "KafkaError")
    assert "org.apache.kafka.common.errors.InvalidReplicationFactorException: " in api.condition["message"]


def test_a_topic_is_removed_some_time_after_its_deletion(api: Api, settings: KafkaSettings) -> None:
    api.change(partitions=1, replicas=1)
    turn(api, settings)
    name = api.item["metadata"]["name"]
    wait_for("the topic is there", lambda: partitions(settings, name) == 1)
    now = datetime.now(UTC)
    api.item["metadata"]["deletionTimestamp"] = now.isoformat()
    turn(api, settings)
    assert api.item["metadata"]["finalizers"]
    api.item["metadata"]["deletionTimestamp"] = (now - timedelta(seconds=TOPIC_DELETION_S)).isoformat()
    turn(api, settings)
    assert api.item["metadata"]["finalizers"] == []
    wait_for("the topic is gone", lambda: partitions(settings, name) == 0)

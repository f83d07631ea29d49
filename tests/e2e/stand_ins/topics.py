"""Strimzi's topic operator: KafkaTopics become topics. A topic's error is a Ready condition that is False."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    ResourceType,
    TopicMetadata,
)

from cryptocdc_adapters.kafka.clients import client_config, delete_topics
from cryptocdc_core.program.settings import KafkaSettings
from tests.e2e.stand_ins import conditions, kafka
from tests.e2e.stand_ins.api import Api, Object
from tests.e2e.stand_ins.timing import TOPIC_DELETION_S, Due

_FINALIZER = "strimzi.io/topic-operator"
_LIMIT_S = 20


class TopicError(Exception):
    """Something that the topic operator does not support; `reason` is the condition's."""

    reason = "NotSupported"


_due = Due()


def topics(api: Api, cluster: Object, settings: KafkaSettings) -> None:
    """Create, change and delete the topics of a Kafka. One that was deleted in Kafka is recreated within a period."""
    admin = AdminClient(client_config(settings))
    there = admin.list_topics(timeout=_LIMIT_S).topics
    for item in kafka.belonging_to(api, "KafkaTopic", cluster):
        name = item["spec"].get("topicName", item["metadata"]["name"])
        if item["metadata"].get("deletionTimestamp"):
            _delete(api, settings, item, name)
        elif _due(item):
            _bring_about(api, admin, item, there.get(name))


def _delete(api: Api, settings: KafkaSettings, item: Object, name: str) -> None:
    meta = item["metadata"]
    since = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(meta["deletionTimestamp"])
    if since.total_seconds() >= TOPIC_DELETION_S:
        delete_topics(settings, [name])
        kept = [each for each in meta.get("finalizers", []) if each != _FINALIZER]
        api.patch(item, {"metadata": {"finalizers": kept}})


def _bring_about(api: Api, admin: AdminClient, item: Object, found: TopicMetadata | None) -> None:
    meta, name = item["metadata"], item["spec"].get("topicName", item["metadata"]["name"])
    finalizers = meta.get("finalizers", [])
    if _FINALIZER not in finalizers:
        api.patch(item, {"metadata": {"finalizers": [*finalizers, _FINALIZER]}})
    try:
        if found is None:
            _create(admin, name, item["spec"])
        else:
            _change(admin, name, item["spec"], found)
    except TopicError as error:
        api.status(item, conditions.ready_false(item, error.reason, str(error)))
    except KafkaException as error:
        api.status(item, conditions.ready_false(item, "KafkaError", java_message(error)))
    except TimeoutError as error:
        message = f"org.apache.kafka.common.errors.TimeoutException: {error}"
        api.status(item, conditions.ready_false(item, "KafkaError", message))
    else:
        api.status(item, {**conditions.ready(item), "topicName": name})


def java_message(error: KafkaException) -> str:
    """Return the name in Kafka's Java client: INVALID_REPLICATION_FACTOR is an InvalidReplicationFactorException."""
    found = error.args[0]
    kind = "".join(part.capitalize() for part in found.name().lstrip("_").split("_"))
    return f"org.apache.kafka.common.errors.{kind}Exception: {found.str()}"


def _create(admin: AdminClient, name: str, spec: Object) -> None:
    wanted = NewTopic(name, spec.get("partitions", 1), spec.get("replicas", -1), config=dict(_config(spec)))
    admin.create_topics([wanted])[name].result(_LIMIT_S)


def _change(admin: AdminClient, name: str, spec: Object, found: TopicMetadata) -> None:
    """Update configuration and add partitions. Raises TopicError for fewer partitions or another number of replicas."""
    _alter(admin, name, dict(_config(spec)))
    have, wanted = len(found.partitions), spec.get("partitions", 1)
    if wanted < have:
        raise TopicError(f"Decreasing partitions not supported (from {have} to {wanted})")
    if wanted > have:
        admin.create_partitions([NewPartitions(name, wanted)])[name].result(_LIMIT_S)
    others = [
        str(n)
        for n, it in sorted(found.partitions.items())
        if len(it.replicas) != spec.get("replicas", len(it.replicas))
    ]
    if others:
        raise TopicError(f"Replication factor change not supported, but required for partitions [{', '.join(others)}]")


def _config(spec: Object) -> Iterator[tuple[str, str]]:
    for key, value in spec.get("config", {}).items():
        yield key, str(value).lower() if isinstance(value, bool) else str(value)


def _alter(admin: AdminClient, name: str, config: dict[str, str]) -> None:
    """Reset settings that the resource no longer has to the broker's defaults."""
    resource = ConfigResource(ResourceType.TOPIC, name)
    own = {
        key: entry.value
        for key, entry in admin.describe_configs([resource])[resource].result(_LIMIT_S).items()
        if entry.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value
    }
    changes = [
        ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        for key, value in config.items()
        if own.get(key) != value
    ] + [
        ConfigEntry(key, None, incremental_operation=AlterConfigOpType.DELETE) for key in own.keys() - config.keys()
    ]  # fmt: skip
    if changes:
        change = ConfigResource(ResourceType.TOPIC, name, incremental_configs=changes)
        admin.incremental_alter_configs([change])[change].result(_LIMIT_S)

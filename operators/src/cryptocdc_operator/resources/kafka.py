"""The KafkaTopics and the KafkaConnectors of a feed. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from cryptocdc_core.names import Names
from cryptocdc_core.planning.plan import Plan
from cryptocdc_core.storage.shards import Shard
from cryptocdc_operator.resources.labels import Owner, labels
from cryptocdc_operator.settings import Object, OperatorSettings


def topics(
    plan: Plan, settings: OperatorSettings, owner: Owner, replicas: Mapping[str, int] | None = None
) -> list[Object]:
    """Return the KafkaTopics. They contain data, so they are owned by the feed only with `deletionPolicy: Delete`;
    otherwise Kubernetes would delete them and their records with the feed.

    `replicas`: the number of replicas of each existing topic. The setting is for new topics: Strimzi refuses to change
    the number of an existing one.
    """
    existing = replicas or {}
    owned = plan.feed.spec.deletion_policy == "Delete"
    return [
        {
            "apiVersion": "kafka.strimzi.io/v1",
            "kind": "KafkaTopic",
            "metadata": {
                "name": topic_resource(topic.name, plan.names),
                "labels": labels(plan.feed.name) | {"strimzi.io/cluster": settings.kafka_cluster},
                **({"ownerReferences": [owner.reference]} if owned else {}),
            },
            "spec": {
                "topicName": topic.name,
                "partitions": topic.partitions,
                "replicas": existing.get(topic.name, settings.topic_replication),
                "config": topic.config,
            },
        }
        for topic in plan.topics
    ]


def topic_resource(topic: str, names: Names) -> str:
    """Return the KafkaTopic's name: Kubernetes accepts no underscores, and Debezium's heartbeat topic begins with
    two."""
    return f"{names.connector}.heartbeat" if topic == names.heartbeat_topic else topic.replace("_", "-")


def connector(shard: Shard, plan: Plan, settings: OperatorSettings, owner: Owner, state: str) -> Object:
    """Return a shard's KafkaConnector; `state` is `running` or `stopped`. The operator restarts it, not Strimzi: one
    back-off is enough."""
    return _connector(shard.connector, plan.connectors[shard], plan, settings, owner, state)


def sink_connector(plan: Plan, config: Mapping[str, str], settings: OperatorSettings, owner: Owner) -> Object:
    """Return the KafkaConnector that writes into Cassandra, for a feed with `sink.engine: connect`."""
    return _connector(plan.names.sink_connector, config, plan, settings, owner, "running")


def _connector(
    name: str, given: Mapping[str, str], plan: Plan, settings: OperatorSettings, owner: Owner, state: str
) -> Object:
    config = dict(given)
    return {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": "KafkaConnector",
        "metadata": {
            "name": name,
            "labels": labels(plan.feed.name) | {"strimzi.io/cluster": settings.connect_cluster},
            "ownerReferences": [owner.reference],
        },
        "spec": {
            "class": config.pop("connector.class"),
            "tasksMax": int(config.pop("tasks.max")),
            "state": state,
            "config": config,
        },
    }

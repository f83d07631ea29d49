"""Kafka: the clients' configuration, and applying a plan's topics."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from cryptocdc_core.planning.plan import Topic
from cryptocdc_core.program.settings import KafkaSettings

log = logging.getLogger(__name__)

TIMEOUT_S = 30
_CRITICAL = 2
_LOG_AGAIN_S = 10.0
_logged_at: dict[str, float] = {}


def _log_error(error: KafkaError) -> None:
    """Log Kafka's errors, repeated ones every _LOG_AGAIN_S: the clients recover automatically."""
    now = time.monotonic()
    if now - _logged_at.get(error.name(), -_LOG_AGAIN_S) >= _LOG_AGAIN_S:
        _logged_at[error.name()] = now
        log.warning("Kafka: %s", error.str())


def client_config(settings: KafkaSettings, **more: object) -> dict[str, object]:
    """Return a client's configuration: brokers, login, and the settings in `more`, with _ for the dots."""
    config: dict[str, object] = {
        "bootstrap.servers": settings.bootstrap,
        "reconnect.backoff.ms": 250,
        "reconnect.backoff.max.ms": 2000,
        # The library would log every reconnection attempt, dozens per second; the callback reports errors as well.
        "log_level": _CRITICAL,
        "error_cb": _log_error,
    }
    if settings.username is not None:
        config |= {
            "security.protocol": "SASL_SSL" if settings.ca_file else "SASL_PLAINTEXT",
            "sasl.mechanism": settings.mechanism,
            "sasl.username": settings.username,
            "sasl.password": settings.password or "",
        }
    elif settings.ca_file:
        config["security.protocol"] = "SSL"
    if settings.ca_file:
        config["ssl.ca.location"] = str(settings.ca_file)
    return config | {name.replace("_", "."): value for name, value in more.items()}


def group_config(settings: KafkaSettings, group: str, **more: object) -> dict[str, object]:
    """Return the configuration of a group member: cooperative rebalancing, no automatic commits.

    By default librdkafka waits a second before fetching again whenever its queue is full.
    """
    return client_config(
        settings,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        enable_auto_offset_store=False,
        partition_assignment_strategy="cooperative-sticky",
        session_timeout_ms=10_000,
        max_poll_interval_ms=settings.max_poll_interval_s * 1000,
        heartbeat_interval_ms=1_000,
        fetch_wait_max_ms=100,
        fetch_queue_backoff_ms=10,
        topic_metadata_refresh_interval_ms=30_000,
        **more,
    )


def apply_topics(settings: KafkaSettings, topics: Iterable[Topic], replication: int) -> None:
    """Create missing topics and update the configuration of existing ones.

    Partitions are only added: a plan's count is immutable, but a topic created by hand may have fewer.
    Raises KafkaException.
    """
    admin = AdminClient(client_config(settings))
    there = admin.list_topics(timeout=TIMEOUT_S).topics
    missing = [t for t in topics if t.name not in there]
    present = [t for t in topics if t.name in there]
    made = (
        admin.create_topics([NewTopic(t.name, t.partitions, replication, config=t.config) for t in missing])
        if missing
        else {}
    )
    for future in made.values():
        try:
            future.result(TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    for topic in present:
        if len(there[topic.name].partitions) < topic.partitions:
            for future in admin.create_partitions([NewPartitions(topic.name, topic.partitions)]).values():
                future.result(TIMEOUT_S)
    if present:
        resources = [ConfigResource(ResourceType.TOPIC, t.name, incremental_configs=_entries(t)) for t in present]
        for future in admin.incremental_alter_configs(resources).values():
            future.result(TIMEOUT_S)


def _entries(topic: Topic) -> list[ConfigEntry]:
    return [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in topic.config.items()
    ]


def delete_topics(settings: KafkaSettings, names: Iterable[str]) -> None:
    """Delete those of the topics that exist. Raises KafkaException."""
    admin = AdminClient(client_config(settings))
    there = admin.list_topics(timeout=TIMEOUT_S).topics
    doomed = [name for name in names if name in there]
    for future in (admin.delete_topics(doomed) if doomed else {}).values():
        future.result(TIMEOUT_S)


def replication(settings: KafkaSettings, topics: Iterable[str], timeout_s: float = TIMEOUT_S) -> dict[str, int]:
    """Return the number of replicas of each existing topic; of partitions that differ, that of the majority.

    Raises KafkaException.
    """
    there = AdminClient(client_config(settings)).list_topics(timeout=timeout_s).topics
    counts = {
        name: [len(part.replicas) for part in there[name].partitions.values()] for name in topics if name in there
    }
    return {name: max(set(found), key=found.count) for name, found in counts.items() if found}


def has_no_leader_yet(error: KafkaException) -> bool:
    """Return whether the error is about a new topic, whose partitions have no leader yet."""
    reason = error.args[0]
    return isinstance(reason, KafkaError) and reason.code() in (
        KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC,
    )  # fmt: skip

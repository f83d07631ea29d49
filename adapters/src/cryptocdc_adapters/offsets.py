"""Offsets in Kafka: what groups have committed, how far topics have come, and what lies between."""

from __future__ import annotations

import time
from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from cryptocdc_adapters.kafka import TIMEOUT_S, client_config
from cryptocdc_core.settings import KafkaSettings

AGAIN_S = 0.2
_MAY_PASS = (
    KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)  # fmt: skip
Partition = tuple[str, int]
"""A topic's name and the number of one of its partitions."""


class GroupOffsets:
    """What one group has committed. It does not join the group, so that it disturbs no member; close it at the end.

    A consumer is asked and not the admin client: librdkafka's `list_consumer_group_offsets` ends the whole process
    (SIGSEGV) when the coordinator answers NOT_COORDINATOR, as it does for a group that a broker which has just started
    has not met (librdkafka 5040).
    """

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._consumer = Consumer(client_config(settings, group_id=group, enable_auto_commit=False))

    def committed(self, partitions: Iterable[Partition], timeout_s: float = TIMEOUT_S) -> dict[Partition, int]:
        """Return the committed offset of each of `partitions`, without those of which the group has committed none.

        A coordinator that is not there yet is asked again until `timeout_s` is over. Raises KafkaException.
        """
        asked = list(partitions)
        deadline = time.monotonic() + timeout_s
        while asked:
            try:
                return self._asked(asked, max(AGAIN_S, deadline - time.monotonic()))
            except KafkaException as error:
                if error.args[0].code() not in _MAY_PASS or time.monotonic() + AGAIN_S > deadline:
                    raise
                time.sleep(AGAIN_S)
        return {}

    def _asked(self, partitions: Iterable[Partition], timeout_s: float) -> dict[Partition, int]:
        asked = [TopicPartition(topic, partition) for topic, partition in partitions]
        found: dict[Partition, int] = {}
        for at in self._consumer.committed(asked, timeout=timeout_s):
            if at.error is not None:
                raise KafkaException(at.error)
            if at.offset >= 0:
                found[at.topic, at.partition] = at.offset
        return found

    def close(self) -> None:
        self._consumer.close()


def committed(
    settings: KafkaSettings, group: str, partitions: Iterable[Partition], timeout_s: float = TIMEOUT_S
) -> dict[Partition, int]:
    """As `GroupOffsets.committed`, for one who asks once."""
    offsets = GroupOffsets(settings, group)
    try:
        return offsets.committed(partitions, timeout_s)
    finally:
        offsets.close()


def group_lag(settings: KafkaSettings, group: str, topics: Iterable[str], timeout_s: float = TIMEOUT_S) -> int:
    """Records of the topics that the group has not committed. Topics that are not there have none.

    Raises KafkaException, TimeoutError.
    """
    offsets = GroupOffsets(settings, group)
    try:
        return sum(uncommitted(AdminClient(client_config(settings)), offsets, topics, timeout_s).values())
    finally:
        offsets.close()


def uncommitted(
    admin: AdminClient, group: GroupOffsets, topics: Iterable[str], timeout_s: float = TIMEOUT_S
) -> dict[Partition, int]:
    """The same by topic and partition."""
    there = admin.list_topics(timeout=timeout_s).topics
    parts = [TopicPartition(topic, p) for topic in topics if topic in there for p in there[topic].partitions]
    if not parts:
        return {}
    first = admin.list_offsets(dict.fromkeys(parts, OffsetSpec.earliest()))
    last = admin.list_offsets(dict.fromkeys(parts, OffsetSpec.latest()))
    committed = group.committed([(at.topic, at.partition) for at in parts], timeout_s)
    lag = {}
    for at in parts:
        start, end = first[at].result(timeout_s).offset, last[at].result(timeout_s).offset
        lag[at.topic, at.partition] = max(0, end - max(start, committed.get((at.topic, at.partition), 0)))
    return lag


def record_counts(admin: AdminClient, topics: Iterable[str], timeout_s: float = TIMEOUT_S) -> dict[str, int]:
    """By topic, how many records it has ever taken: the sum of its partitions' end offsets.

    Raises KafkaException, TimeoutError.
    """
    there = admin.list_topics(timeout=timeout_s).topics
    wanted = [TopicPartition(t, p) for t in topics if t in there for p in there[t].partitions]
    counts: dict[str, int] = {}
    for partition, future in admin.list_offsets({p: OffsetSpec.latest() for p in wanted}).items():
        counts[partition.topic] = counts.get(partition.topic, 0) + int(future.result(timeout_s).offset)
    return counts

"""Offsets in Kafka: committed by groups, ends of topics, and the lag between them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from cryptocdc_adapters.kafka.clients import TIMEOUT_S, client_config
from cryptocdc_core.program.backoff import retry
from cryptocdc_core.program.settings import KafkaSettings

AGAIN_S = 0.2
_MAY_PASS = (
    KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)  # fmt: skip
Partition = tuple[str, int]
"""A topic's name and the number of one of its partitions."""
Span = tuple[int, int]
"""The first offset that a partition keeps, and the one that its next record will have."""


class GroupOffsets:
    """Reads the committed offsets of one group without joining it, so that no member is disturbed. Close it after use.

    It uses a consumer, since librdkafka's admin call `list_consumer_group_offsets` crashes the process (SIGSEGV) when
    the coordinator answers NOT_COORDINATOR, as a broker that has just started does for a group it has not loaded
    (librdkafka 5040).
    """

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._consumer = Consumer(client_config(settings, group_id=group, enable_auto_commit=False))

    def committed(self, partitions: Iterable[Partition], timeout_s: float = TIMEOUT_S) -> dict[Partition, int]:
        """Return the committed offset of each of `partitions`, without those for which none was committed.

        A coordinator that is not available yet is retried until `timeout_s` has passed. Raises KafkaException.
        """
        wanted, deadline = list(partitions), time.monotonic() + timeout_s
        return retry(
            lambda: self._committed(wanted, max(AGAIN_S, deadline - time.monotonic())),
            KafkaException, timeout_s, AGAIN_S, lambda error: error.args[0].code() in _MAY_PASS,
        ) if wanted else {}  # fmt: skip

    def _committed(self, partitions: Iterable[Partition], timeout_s: float) -> dict[Partition, int]:
        requested = [TopicPartition(topic, partition) for topic, partition in partitions]
        found: dict[Partition, int] = {}
        for at in self._consumer.committed(requested, timeout=timeout_s):
            if at.error is not None:
                raise KafkaException(at.error)
            if at.offset >= 0:
                found[at.topic, at.partition] = at.offset
        return found

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit offsets without being a member, which Kafka only accepts while the group has none.

        Raises KafkaException.
        """
        wanted = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
        for at in self._consumer.commit(offsets=wanted, asynchronous=False) if wanted else ():
            if at.error is not None:
                raise KafkaException(at.error)

    def close(self) -> None:
        self._consumer.close()


def committed(
    settings: KafkaSettings, group: str, partitions: Iterable[Partition], timeout_s: float = TIMEOUT_S
) -> dict[Partition, int]:
    """As `GroupOffsets.committed`, for a single call."""
    offsets = GroupOffsets(settings, group)
    try:
        return offsets.committed(partitions, timeout_s)
    finally:
        offsets.close()


def ends(admin: AdminClient, topics: Iterable[str], timeout_s: float = TIMEOUT_S) -> dict[Partition, Span]:
    """Return the span of each partition of the topics; topics that don't exist have none.

    Raises KafkaException, TimeoutError.
    """
    there = admin.list_topics(timeout=timeout_s).topics
    parts = [TopicPartition(topic, p) for topic in topics if topic in there for p in there[topic].partitions]
    if not parts:
        return {}
    first = admin.list_offsets(dict.fromkeys(parts, OffsetSpec.earliest()))
    last = admin.list_offsets(dict.fromkeys(parts, OffsetSpec.latest()))
    return {
        (at.topic, at.partition): (first[at].result(timeout_s).offset, last[at].result(timeout_s).offset)
        for at in parts
    }


def lag(span: Span, committed: int) -> int:
    """Return how many records of a partition are not committed; those that retention removed do not count."""
    first, end = span
    return max(0, end - max(first, committed))


def lags(spans: Mapping[Partition, Span], committed: Mapping[Partition, int]) -> dict[Partition, int]:
    """Return the lag of each partition, including those without a committed offset."""
    return {at: lag(span, committed.get(at, 0)) for at, span in spans.items()}


def group_lag(settings: KafkaSettings, group: str, topics: Iterable[str], timeout_s: float = TIMEOUT_S) -> int:
    """Return how many of the topics' records the group has not committed. Raises KafkaException, TimeoutError."""
    spans = ends(AdminClient(client_config(settings)), topics, timeout_s)
    return sum(lags(spans, committed(settings, group, spans, timeout_s)).values())

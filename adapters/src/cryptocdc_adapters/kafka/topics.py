"""Reads a topic, or a part of it, up to its current end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from cryptocdc_adapters.kafka.clients import TIMEOUT_S, client_config, has_no_leader_yet
from cryptocdc_core.program.backoff import retry
from cryptocdc_core.program.settings import KafkaSettings

Bounds = dict[int, tuple[int, int]]
"""By partition: the first offset that is kept, and the one that the next record will have."""


def bounds(consumer: Consumer, topic: str) -> Bounds:
    """Return the first and the end offset of each partition. Raises KafkaException, also if the topic does not
    exist."""
    described = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
    if described.error is not None:
        raise KafkaException(described.error)
    return {
        p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=TIMEOUT_S) for p in described.partitions
    }


def read_to_ends(consumer: Consumer, topic: str, spans: Mapping[int, tuple[int, int]]) -> Iterator[Message]:
    """Yield the records of each partition in its span, from the first offset up to the second, exclusive.

    `consumer` is assigned manually and commits nothing here. Raises KafkaException, also if nothing arrives for
    TIMEOUT_S.
    """
    unread = {p: end for p, (start, end) in spans.items() if start < end}
    consumer.assign([TopicPartition(topic, p, spans[p][0]) for p in unread])
    deadline = time.monotonic() + TIMEOUT_S
    while unread:
        for message in consumer.consume(500, timeout=0.2):
            if message.error():
                raise KafkaException(message.error())
            deadline = time.monotonic() + TIMEOUT_S
            if message.offset() < unread.get(message.partition(), 0):
                yield message
        # Compaction leaves holes, so the end is recognized by the position, not by the last record's offset.
        for position in consumer.position([TopicPartition(topic, p) for p in unread]):
            if position.offset >= unread[position.partition]:
                del unread[position.partition]
        if unread and time.monotonic() > deadline:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"{topic} can't be read to its end"))


def uncommitted(consumer: Consumer, topic: str) -> Bounds:
    """Return the span of each partition that the group of `consumer` has not committed. Raises KafkaException."""
    found = bounds(consumer, topic)
    committed = consumer.committed([TopicPartition(topic, p) for p in found], timeout=TIMEOUT_S)
    return {at.partition: (max(found[at.partition][0], at.offset), found[at.partition][1]) for at in committed}


def read_whole(settings: KafkaSettings, topic: str) -> list[Message]:
    """Return all records of the topic, which may be new; each partition's in order. Raises KafkaException."""
    return retry(lambda: _read(settings, topic), KafkaException, TIMEOUT_S, 0.3, has_no_leader_yet)


def _read(settings: KafkaSettings, topic: str) -> list[Message]:
    consumer = Consumer(client_config(settings, group_id=f"{topic}-reader", enable_auto_commit=False))
    try:
        return list(read_to_ends(consumer, topic, bounds(consumer, topic)))
    finally:
        consumer.close()

"""A topic read from its beginning to where it ends now: what the compacted topics are for."""

from __future__ import annotations

import time

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from cryptocdc_adapters.kafka import TIMEOUT_S, client_config, has_no_leader_yet
from cryptocdc_core.settings import KafkaSettings

AGAIN_S = 0.3


def read_whole(settings: KafkaSettings, topic: str) -> list[Message]:
    """Every record of the topic, which may have been made a moment ago; those of a partition in order. Raises
    KafkaException."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return _read(settings, topic)
        except KafkaException as error:
            if not has_no_leader_yet(error) or time.monotonic() > deadline:
                raise
            time.sleep(AGAIN_S)


def _read(settings: KafkaSettings, topic: str) -> list[Message]:
    consumer = Consumer(
        client_config(settings, group_id=f"{topic}-reader", enable_auto_commit=False, auto_offset_reset="earliest")
    )
    try:
        described = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
        if described.error is not None:
            raise KafkaException(described.error)
        ends = {
            p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=TIMEOUT_S) for p in described.partitions
        }
        pending = {p: high for p, (low, high) in ends.items() if high > low}
        consumer.assign([TopicPartition(topic, p, ends[p][0]) for p in pending])
        found: list[Message] = []
        deadline = time.monotonic() + TIMEOUT_S
        while pending:
            if time.monotonic() > deadline:
                raise KafkaException(f"{topic}: not read to its end within {TIMEOUT_S} s")
            for message in consumer.consume(500, timeout=0.2):
                if message.error():
                    raise KafkaException(message.error())
                found.append(message)
            # Compaction leaves holes, so the position tells the end, not the last record's offset.
            for position in consumer.position([TopicPartition(topic, p) for p in pending]):
                if position.offset >= pending[position.partition]:
                    del pending[position.partition]
        return found
    finally:
        consumer.close()

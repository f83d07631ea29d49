"""Reading a Kafka topic, and writing records to it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from cryptocdc_adapters.kafka import offsets
from cryptocdc_adapters.kafka.clients import TIMEOUT_S, client_config
from cryptocdc_core.program.settings import KafkaSettings


@dataclass(frozen=True)
class Found:
    """A record; the headers' values as text, and the time in ms at which it was sent."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, str]
    at_ms: int = 0


def read(settings: KafkaSettings, topic: str) -> list[Found]:
    """All that the topic holds now, by partition and offset."""
    consumer = Consumer(client_config(settings, group_id="test-reader", enable_auto_commit=False))
    try:
        partitions = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
        ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=TIMEOUT_S) for p in partitions}
        consumer.assign([TopicPartition(topic, p, first) for p, (first, end) in ends.items() if first < end])
        wanted = sum(end - first for first, end in ends.values())
        found: list[Found] = []
        deadline = time.monotonic() + TIMEOUT_S
        while len(found) < wanted:
            assert time.monotonic() < deadline, f"{topic}: {len(found)} of {wanted} records read"
            for message in consumer.consume(500, timeout=0.2):
                assert message.error() is None, message.error()
                headers = {name: (value or b"").decode() for name, value in message.headers() or []}
                at_ms = message.timestamp()[1]
                found.append(
                    Found(message.partition(), message.offset(), message.key(), message.value(), headers, at_ms)
                )
        return sorted(found, key=lambda record: (record.partition, record.offset))
    finally:
        consumer.close()


def put(settings: KafkaSettings, topic: str, partition: int, key: bytes | None, value: bytes | None) -> int:
    """Put one record into a partition; its offset."""
    offsets: list[int] = []
    producer = Producer(client_config(settings, acks="all"))
    producer.produce(
        topic, key=key, value=value, partition=partition,
        on_delivery=lambda error, message: offsets.append(-1 if error else message.offset()),
    )  # fmt: skip
    producer.flush(TIMEOUT_S)
    assert offsets, f"{topic}: not acknowledged"
    assert offsets[0] >= 0, f"{topic}: refused"
    return offsets[0]


def committed(settings: KafkaSettings, group: str, topic: str, partition: int) -> int:
    """The offset that `group` has committed, -1 when none."""
    return offsets.committed(settings, group, [(topic, partition)]).get((topic, partition), -1)


def add_partitions(settings: KafkaSettings, topic: str, partitions: int) -> None:
    """Let the topic have so many partitions."""
    admin = AdminClient(client_config(settings))  # its requests end with it
    for future in admin.create_partitions([NewPartitions(topic, partitions)]).values():
        future.result(TIMEOUT_S)

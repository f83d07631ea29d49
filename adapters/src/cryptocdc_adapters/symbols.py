"""The symbols topic: which symbols a feed captures, and by their partition, which producer captures them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from cryptocdc_adapters.kafka import TIMEOUT_S, client_config, has_no_leader_yet
from cryptocdc_core.settings import KafkaSettings


def read_symbols(settings: KafkaSettings, topic: str) -> dict[str, int]:
    """The topic's symbols and their partitions as they stand now. Raises KafkaException."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return _read(settings, topic)
        except KafkaException as error:
            if not has_no_leader_yet(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def _read(settings: KafkaSettings, topic: str) -> dict[str, int]:
    consumer = Consumer(
        client_config(settings, group_id=f"{topic}-reader", enable_auto_commit=False, auto_offset_reset="earliest")
    )
    try:
        partitions = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
        ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=TIMEOUT_S) for p in partitions}
        pending = {p: high for p, (low, high) in ends.items() if high > low}
        consumer.assign([TopicPartition(topic, p, ends[p][0]) for p in pending])
        found: dict[str, int] = {}
        deadline = time.monotonic() + TIMEOUT_S
        while pending:
            if time.monotonic() > deadline:
                raise KafkaException(f"{topic}: not read to its end within {TIMEOUT_S} s")
            for message in consumer.consume(500, timeout=0.2):
                if message.error():
                    raise KafkaException(message.error())
                _apply(message, found)
            # Compaction leaves holes, so the position tells the end, not the last record's offset.
            for position in consumer.position([TopicPartition(topic, p) for p in pending]):
                if position.offset >= pending[position.partition]:
                    del pending[position.partition]
        return found
    finally:
        consumer.close()


def _apply(message: Message, found: dict[str, int]) -> None:
    symbol = (message.key() or b"").decode()
    if message.value() is None:
        if found.get(symbol) == message.partition():
            del found[symbol]
    else:
        found[symbol] = message.partition() or 0


def write_symbols(settings: KafkaSettings, topic: str, wanted: Mapping[str, int]) -> tuple[list[str], list[str]]:
    """Bring the topic to `wanted`, by symbol its partition; (added, removed), each sorted. Raises KafkaException."""
    current = read_symbols(settings, topic)
    added = sorted(set(wanted) - set(current))
    removed = sorted(set(current) - set(wanted))
    failures: list[object] = []
    producer = Producer(client_config(settings, acks="all", enable_idempotence=True))

    def delivered(error: object, _: Message) -> None:
        if error is not None:
            failures.append(error)

    for symbol in added:
        value = json.dumps({"symbol": symbol})
        producer.produce(topic, key=symbol, value=value, partition=wanted[symbol], on_delivery=delivered)
    for symbol in removed:
        producer.produce(topic, key=symbol, value=None, partition=current[symbol], on_delivery=delivered)
    if producer.flush(TIMEOUT_S) or failures:
        raise KafkaException(failures[0] if failures else f"{topic}: not acknowledged within {TIMEOUT_S} s")
    return added, removed

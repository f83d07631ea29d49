"""The symbols topic: which symbols a feed captures, and by their partition, which producer captures them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from confluent_kafka import KafkaException, Message, Producer

from cryptocdc_adapters.kafka.clients import TIMEOUT_S, client_config
from cryptocdc_adapters.kafka.topics import read_whole
from cryptocdc_core.program.settings import KafkaSettings


def read_symbols(settings: KafkaSettings, topic: str) -> dict[str, int]:
    """Return the topic's current symbols and their partitions. Raises KafkaException."""
    found: dict[str, int] = {}
    for message in read_whole(settings, topic):
        _apply(message, found)
    return found


def _apply(message: Message, found: dict[str, int]) -> None:
    symbol = (message.key() or b"").decode()
    if message.value() is None:
        if found.get(symbol) == message.partition():
            del found[symbol]
    else:
        found[symbol] = message.partition() or 0


def write_symbols(settings: KafkaSettings, topic: str, wanted: Mapping[str, int]) -> tuple[list[str], list[str]]:
    """Update the topic to `wanted`, partitions by symbol; return (added, removed), sorted. Raises KafkaException."""
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

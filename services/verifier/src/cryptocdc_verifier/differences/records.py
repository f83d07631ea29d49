"""Finds the changes of rows that are still in Kafka."""

from __future__ import annotations

from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException

from cryptocdc_adapters.kafka.clients import client_config
from cryptocdc_adapters.kafka.topics import bounds, read_to_ends
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.names import Names
from cryptocdc_core.program.settings import KafkaSettings
from cryptocdc_core.rows.changes import Decoder, Undecodable
from cryptocdc_verifier.comparing.canonical import Key

SCANNED = 300_000
"""Maximum number of records to scan for one table, the newest of each partition: takes a second or two."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A change in Kafka. `version` is not meaningful for a delete."""

    partition: int
    offset: int
    op: str
    version: int
    committed_us: int


@dataclass(frozen=True)
class Trace:
    """The changes by key, in the order of their partition. `complete`: whether everything in Kafka was scanned."""

    changes: dict[Key, list[Sent]]
    complete: bool


def trace(settings: KafkaSettings, names: Names, stream: Stream, keys: set[Key]) -> Trace:
    """Find the changes of `keys` among the newest SCANNED records of the stream's topic. Raises KafkaException."""
    topic = names.change_topic(stream.table)
    decoder = Decoder(stream)
    found: dict[Key, list[Sent]] = {key: [] for key in keys}
    consumer = Consumer(client_config(settings, group_id=f"{names.fid}-verifier", enable_auto_commit=False))
    try:
        spans = bounds(consumer, topic)
        share = SCANNED // max(1, len(spans))
        newest = {p: (max(low, high - share), high) for p, (low, high) in spans.items()}
        for message in read_to_ends(consumer, topic, newest):
            try:
                change = decoder.decode(message.value())
            except Undecodable:
                continue
            key = tuple(str(getattr(change, name)).encode() for name in stream.key)
            if key in found:
                version: int = getattr(change, "version", 0)
                found[key].append(Sent(message.partition(), message.offset(), change.op, version, change.committed_us))
        return Trace(found, complete=all(high - low <= share for low, high in spans.values()))
    except KafkaException:
        return Trace(found, complete=False)
    finally:
        consumer.close()

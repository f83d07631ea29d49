"""The dead letters that wait for a replay: which rows they keep from Cassandra."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from cryptocdc_adapters.kafka import TIMEOUT_S, client_config
from cryptocdc_core.names import Names
from cryptocdc_core.settings import KafkaSettings
from cryptocdc_verifier.target import VerifyError

LETTERS_KEPT = 1000
UNKNOWN = "?"
"""Stands for the symbol of a letter whose key can't be read."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`topic`, `partition` and `offset` say where the record stood."""

    reason: str
    topic: str
    partition: str
    offset: str
    value: bytes


@dataclass
class Pending:
    """All pending letters counted, by symbol; the first LETTERS_KEPT of them kept."""

    symbols: Counter[str] = field(default_factory=Counter)
    letters: list[DeadLetter] = field(default_factory=list)

    @property
    def count(self) -> int:
        return self.symbols.total()


def symbol_of(key: bytes | None) -> str:
    """The symbol of a change record's key: {"symbol": …}, or that within a payload where schemas are on."""
    try:
        document = json.loads(key or b"")
        document = document.get("payload", document)
        return str(document["symbol"])
    except (ValueError, AttributeError, KeyError, TypeError):
        return UNKNOWN


def read_pending(settings: KafkaSettings, names: Names) -> Pending:
    """The letters after what their replay has committed. Raises VerifyError when Kafka does not answer."""
    topic = names.dead_letter_topic
    pending = Pending()
    # The replay's group, for what it has committed; this consumer is assigned by hand, joins nothing, commits nothing.
    consumer = Consumer(client_config(settings, group_id=names.replay_group, enable_auto_commit=False))
    try:
        described = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
        ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=TIMEOUT_S) for p in described}
        committed = consumer.committed([TopicPartition(topic, p) for p in ends], timeout=TIMEOUT_S)
        starts = {at.partition: max(ends[at.partition][0], at.offset) for at in committed}
        unread = {p: high for p, (_, high) in ends.items() if starts[p] < high}
        consumer.assign([TopicPartition(topic, p, starts[p]) for p in unread])
        deadline = time.monotonic() + TIMEOUT_S
        while unread:
            for message in consumer.consume(500, timeout=0.2):
                if message.error():
                    raise KafkaException(message.error())
                _take(message, pending)
                deadline = time.monotonic() + TIMEOUT_S
            for position in consumer.position([TopicPartition(topic, p) for p in unread]):
                if position.offset >= unread[position.partition]:
                    del unread[position.partition]
            if time.monotonic() > deadline:
                raise VerifyError(f"Kafka: {topic} was not read to its end within {TIMEOUT_S} s")
    except KafkaException as error:
        raise VerifyError(f"Kafka at {settings.bootstrap}: {error.args[0].str()}") from None
    finally:
        consumer.close()
    return pending


def _take(message: Message, pending: Pending) -> None:
    pending.symbols[symbol_of(message.key())] += 1
    if len(pending.letters) < LETTERS_KEPT:
        headers = {name: (value or b"").decode(errors="replace") for name, value in message.headers() or []}
        pending.letters.append(
            DeadLetter(
                headers.get("cryptocdc.reason", ""), headers.get("cryptocdc.topic", ""),
                headers.get("cryptocdc.partition", ""), headers.get("cryptocdc.offset", ""), message.value() or b"",
            )
        )  # fmt: skip

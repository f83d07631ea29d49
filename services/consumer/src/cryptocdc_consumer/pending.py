"""Pending dead letters, which have not been replayed, and their replay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from cryptocdc_adapters.kafka.clients import TIMEOUT_S, client_config
from cryptocdc_adapters.kafka.topics import read_to_ends, uncommitted
from cryptocdc_consumer.dead_letters import producer_config
from cryptocdc_core.names import Names
from cryptocdc_core.program.settings import KafkaSettings


class ReplayError(RuntimeError):
    """A dead letter could not be put back; it and later ones stay pending."""


@dataclass(frozen=True, slots=True)
class PendingDeadLetter:
    """A dead letter and the position of its record. `key` and `value` are the record's bytes."""

    reason: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Replayed:
    replayed: int
    foreign: int
    """Records of the topic without a dead letter's headers, which are skipped."""
    gone: dict[str, int] = field(default_factory=dict)
    """How many dead letters are skipped since their topic, or its partition, no longer exists, by topic."""


def pending(settings: KafkaSettings, names: Names) -> list[PendingDeadLetter]:
    """Return the dead letters that have not been replayed, oldest first. Raises KafkaException."""
    with _reader(settings, names) as consumer:
        return [letter for message in _unread(consumer, names) if (letter := _letter(message)) is not None]


def replay(settings: KafkaSettings, names: Names) -> Replayed:
    """Put every pending dead letter back into its topic, so that the consumers retry it. Those whose topic is gone are
    skipped: they would keep all later ones pending.

    The replay group's offsets are committed once Kafka has acknowledged all of them: an interrupted replay is repeated,
    which does no harm, and a second one does nothing. Raises ReplayError, KafkaException.
    """
    failed: list[str] = []
    gone = Counter[str]()
    replayed = foreign = 0
    with _reader(settings, names) as consumer:
        producer = Producer(producer_config(settings))
        partitions = cache(partial(_partitions, consumer))
        done: dict[int, int] = {}
        for message in _unread(consumer, names):
            letter = _letter(message)
            done[message.partition()] = message.offset() + 1
            if letter is None:
                foreign += 1
                continue
            if letter.partition not in partitions(letter.topic):
                gone[letter.topic] += 1
                continue
            replayed += 1
            _produce(producer, letter, failed)
            producer.poll(0)
        if producer.flush(TIMEOUT_S) or failed:
            raise ReplayError(failed[0] if failed else f"not acknowledged within {TIMEOUT_S} s")
        if done:
            offsets = [TopicPartition(names.dead_letter_topic, p, at) for p, at in done.items()]
            consumer.commit(offsets=offsets, asynchronous=False)
    return Replayed(replayed, foreign, dict(gone))


def _partitions(consumer: Consumer, topic: str) -> Collection[int]:
    """Return the partitions of a topic, none if it does not exist. Raises KafkaException."""
    described = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
    if described.error is not None and described.error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
        raise KafkaException(described.error)
    return list(described.partitions)


def _produce(producer: Producer, letter: PendingDeadLetter, failed: list[str]) -> None:
    """Queue a letter for its topic, and add to `failed` why Kafka does not take it."""
    while True:
        try:
            producer.produce(
                letter.topic,
                value=letter.value,
                key=letter.key,
                partition=letter.partition,
                on_delivery=lambda error, sent: failed.append(f"{sent.topic()}: {error}") if error else None,
            )
        except BufferError:  # more are read than Kafka acknowledges; each of them ends, if only by its timeout
            producer.poll(1.0)
        else:
            return


@contextmanager
def _reader(settings: KafkaSettings, names: Names) -> Iterator[Consumer]:
    consumer = Consumer(client_config(settings, group_id=names.replay_group, enable_auto_commit=False))
    try:
        yield consumer
    finally:
        consumer.close()


def _unread(consumer: Consumer, names: Names) -> Iterator[Message]:
    """Yield the records between the replay group's offsets and the topic's current end."""
    return read_to_ends(consumer, names.dead_letter_topic, uncommitted(consumer, names.dead_letter_topic))


def _letter(message: Message) -> PendingDeadLetter | None:
    headers: dict[str, Any] = dict(message.headers() or ())
    try:
        return PendingDeadLetter(
            reason=headers["cryptocdc.reason"].decode(),
            topic=headers["cryptocdc.topic"].decode(),
            partition=int(headers["cryptocdc.partition"]),
            offset=int(headers["cryptocdc.offset"]),
            key=message.key(),
            value=message.value(),
        )
    except (KeyError, ValueError, AttributeError):
        return None

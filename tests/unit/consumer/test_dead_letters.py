"""A dead letter contains the record's bytes, up to Kafka's size limit."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from cryptocdc_consumer.dead_letters import MOST_BYTES, DeadLetters, headers, producer_config
from cryptocdc_consumer.intake import Chunk, DeadLetter
from cryptocdc_core.catalogue import STREAMS
from cryptocdc_core.program.metrics import ConsumerMetrics
from cryptocdc_core.program.settings import KafkaSettings

from .fakes import Topic
from .records import Record


def letter(size: int) -> DeadLetter:
    record = Record(STREAMS["recentTrades"], b"x" * size)
    return DeadLetter(record, "undecodable", "ä" * 600, Chunk({}, 1, pending=1))


@pytest.mark.parametrize("size", [0, 1, MOST_BYTES])
def test_a_dead_letter_contains_the_whole_record(size: int) -> None:
    topic = Topic()
    letters = DeadLetters(topic, "f.dlq", "f", ConsumerMetrics(""))
    sent = letter(size)
    letters.send(sent)
    topic.poll(0)
    assert topic.letters[0]["value"] == sent.record.value()
    assert b"bytes)" not in topic.letters[0]["headers"]["cryptocdc.reason"]


def test_an_oversized_record_is_truncated_with_its_size_in_the_reason() -> None:
    topic = Topic()
    letters = DeadLetters(topic, "f.dlq", "f", ConsumerMetrics(""))
    letters.send(letter(5_000_000))
    topic.poll(0)
    assert len(topic.letters[0]["value"]) == MOST_BYTES
    assert topic.letters[0]["headers"]["cryptocdc.reason"].endswith(b"of its 5000000 bytes)")


def test_kafkas_client_accepts_the_largest_dead_letter() -> None:
    """It raises immediately if a message exceeds its own limit."""
    largest = letter(MOST_BYTES)
    producer = Producer(producer_config(KafkaSettings(bootstrap="127.0.0.1:1", password="x")) | {"log_level": 0})
    producer.produce("f.dlq", value=largest.record.value(), key=b"k" * 1000, headers=headers("f", largest))
    producer.purge()


@pytest.mark.parametrize("fault", [BufferError("full"), KafkaException(KafkaError(KafkaError._UNKNOWN_TOPIC))])
def test_a_dead_letter_that_the_client_does_not_take_is_retried(
    fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    class Missing(Topic):
        missing = True

        def produce(self, topic: str, **message: Any) -> None:
            if self.missing:
                raise fault
            super().produce(topic, **message)

    topic = Missing()
    letters = DeadLetters(topic, "f.dlq", "f", ConsumerMetrics(""))
    sent = letter(1)
    letters.send(sent)
    assert letters.settle() == []
    assert caplog.text.count("dead letter not delivered, retrying") == 1
    topic.missing = False
    assert letters.settle() == [sent]

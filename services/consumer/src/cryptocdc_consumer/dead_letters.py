"""Sends dead letters, records that can't be written, with reason and bytes to the feed's dead-letter topic."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaException, Producer

from cryptocdc_adapters.kafka.clients import client_config
from cryptocdc_consumer.intake import DeadLetter
from cryptocdc_core.program.metrics import ConsumerMetrics
from cryptocdc_core.program.settings import KafkaSettings

log = logging.getLogger(__name__)

HEADERS = ("feed", "reason", "topic", "partition", "offset")
"""Names of the headers, each with the prefix `cryptocdc.`."""
REASON_LENGTH = 500
LOG_EVERY_S = 10.0
MOST_BYTES = 3 * 2**19
"""Maximum size of a record's value: compressed, a larger one may have fitted into its own topic, but a dead letter that
Kafka refuses would block its partition forever."""


def producer_config(settings: KafkaSettings) -> dict[str, Any]:
    """Return the producer's configuration: a dead letter counts only once all replicas have it."""
    return client_config(settings, enable_idempotence=True, linger_ms=5, message_max_bytes=2 * 2**20)


def headers(feed: str, letter: DeadLetter) -> list[tuple[str, bytes]]:
    record = letter.record
    size = len(record.value() or b"")
    cut = f" (the first {MOST_BYTES} of its {size} bytes)" if size > MOST_BYTES else ""
    values = (feed, letter.reason[:REASON_LENGTH] + cut, record.topic(), record.partition(), record.offset())
    return [(f"cryptocdc.{name}", str(value).encode()) for name, value in zip(HEADERS, values, strict=True)]


class DeadLetters:
    """Sends dead letters, and reports which ones all replicas have acknowledged."""

    def __init__(self, producer: Producer, topic: str, feed: str, metrics: ConsumerMetrics) -> None:
        self._producer = producer
        self._topic = topic
        self._feed = feed
        self._metrics = metrics
        self._delivered: list[DeadLetter] = []
        self._retries: deque[DeadLetter] = deque()
        self._logged_at = float("-inf")

    def send(self, letter: DeadLetter) -> None:
        """Send a dead letter. A record that already is one, because of another of its rows, is sent again: a copy does
        no harm."""
        self._metrics.dead_letters.labels(letter.kind).inc()
        record = letter.record
        log.warning(
            "dead letter: %s [%d] %d: %s", record.topic(), record.partition(), record.offset(), letter.reason[:200]
        )
        self._produce(letter)

    def settle(self) -> list[DeadLetter]:
        """Return those delivered since the last call, and retry failed ones, for as long as it takes."""
        for _ in range(len(self._retries)):
            self._produce(self._retries.popleft())
        self._producer.poll(0)
        delivered, self._delivered = self._delivered, []
        return delivered

    def _produce(self, letter: DeadLetter) -> None:
        value = letter.record.value()
        try:
            self._producer.produce(
                self._topic,
                value=None if value is None else value[:MOST_BYTES],
                key=letter.record.key(),
                headers=headers(self._feed, letter),
                on_delivery=self._reporter(letter),
            )
        except (BufferError, KafkaException) as error:  # a full queue; a topic that is missing or may not be written
            self._retry(letter, error)

    def _reporter(self, letter: DeadLetter) -> Callable[[Any, Any], None]:
        def report(error: Any, _: Any) -> None:
            if error is None:
                self._delivered.append(letter)
            else:
                self._retry(letter, error)

        return report

    def _retry(self, letter: DeadLetter, problem: object) -> None:
        self._retries.append(letter)
        now = time.monotonic()
        if now - self._logged_at >= LOG_EVERY_S:
            self._logged_at = now
            log.warning("dead letter not delivered, retrying: %s", problem)

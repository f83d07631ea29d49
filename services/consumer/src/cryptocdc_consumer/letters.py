"""Dead letters: what can't be written, kept with the reason and its bytes in the feed's dead-letter topic."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from confluent_kafka import Producer

from cryptocdc_adapters.kafka import client_config
from cryptocdc_consumer.intake import Letter
from cryptocdc_core.metrics import ConsumerMetrics
from cryptocdc_core.settings import KafkaSettings

log = logging.getLogger(__name__)

HEADERS = ("feed", "reason", "topic", "partition", "offset")
"""Each with `cryptocdc.` before it."""
REASON_LENGTH = 500
MOST_BYTES = 3 * 2**19
"""Of a record: compressed it may have fitted into its own topic, but a letter that Kafka refuses would hold its
partition for ever."""


def producer_config(settings: KafkaSettings) -> dict[str, Any]:
    """A letter counts only when all replicas have it."""
    return client_config(settings, enable_idempotence=True, linger_ms=5, message_max_bytes=2 * 2**20)


def headers(feed: str, letter: Letter) -> list[tuple[str, bytes]]:
    record = letter.record
    size = len(record.value() or b"")
    cut = f" (the first {MOST_BYTES} of its {size} bytes)" if size > MOST_BYTES else ""
    values = (feed, letter.reason[:REASON_LENGTH] + cut, record.topic(), record.partition(), record.offset())
    return [(f"cryptocdc.{name}", str(value).encode()) for name, value in zip(HEADERS, values, strict=True)]


class Letters:
    """Sends letters, and tells which ones Kafka has acknowledged on all replicas."""

    def __init__(self, producer: Producer, topic: str, feed: str, metrics: ConsumerMetrics) -> None:
        self._producer = producer
        self._topic = topic
        self._feed = feed
        self._metrics = metrics
        self._delivered: list[Letter] = []
        self._again: deque[Letter] = deque()

    def send(self, letter: Letter) -> None:
        """A record that is a letter already, for another of its rows, is sent again: a copy costs nothing."""
        self._metrics.dead_letters.labels(letter.kind).inc()
        record = letter.record
        log.warning(
            "dead letter: %s [%d] %d: %s", record.topic(), record.partition(), record.offset(), letter.reason[:200]
        )
        self._produce(letter)

    def settle(self) -> list[Letter]:
        """The letters delivered since the last call; those that failed are sent again, for as long as it takes."""
        for _ in range(len(self._again)):
            self._produce(self._again.popleft())
        self._producer.poll(0)
        delivered, self._delivered = self._delivered, []
        return delivered

    def _produce(self, letter: Letter) -> None:
        value = letter.record.value()
        try:
            self._producer.produce(
                self._topic,
                value=None if value is None else value[:MOST_BYTES],
                key=letter.record.key(),
                headers=headers(self._feed, letter),
                on_delivery=self._reporter(letter),
            )
        except BufferError:
            self._again.append(letter)

    def _reporter(self, letter: Letter) -> Callable[[Any, Any], None]:
        def report(error: Any, _: Any) -> None:
            if error is None:
                self._delivered.append(letter)
            else:
                log.warning("dead letter not delivered, sent again: %s", error)
                self._again.append(letter)

        return report

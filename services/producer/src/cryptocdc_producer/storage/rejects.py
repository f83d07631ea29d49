"""Refused frames and responses: always counted, and kept in the rejected topic on a best-effort basis."""

from __future__ import annotations

import logging
import time

from confluent_kafka import KafkaException, Producer

from cryptocdc_adapters.kafka.clients import client_config
from cryptocdc_core.names import Names
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_core.program.settings import KafkaSettings

log = logging.getLogger(__name__)

KEPT_BYTES = 64 * 1024
"""Bytes kept of each refused frame, enough to recognize it."""
_LOG_EVERY_S = 10.0


class Rejects:
    """Thread-safe. While Kafka does not take them refused frames are not kept; capture is not slowed down."""

    def __init__(self, settings: KafkaSettings, names: Names, feed_name: str, metrics: ProducerMetrics) -> None:
        self._topic, self._feed, self._metrics = names.rejected_topic, feed_name, metrics
        self._producer = Producer(
            client_config(
                settings,
                queue_buffering_max_messages=1000,
                queue_buffering_max_kbytes=16 * 1024,
                message_timeout_ms=60_000,
                linger_ms=50,
            )
        )
        self._logged_at = float("-inf")

    def refuse(self, reason: str, detail: str, frame: bytes, symbol: str | None = None) -> None:
        self._metrics.rejected.labels(reason).inc()
        now = time.monotonic()
        if now - self._logged_at >= _LOG_EVERY_S:
            self._logged_at = now
            log.warning("refused (%s): %s: %r", reason, detail, frame[:200])
        headers = [("cryptocdc.feed", self._feed.encode()), ("cryptocdc.reason", f"{reason}: {detail}"[:500].encode())]
        try:
            self._producer.produce(self._topic, frame[:KEPT_BYTES], key=symbol, headers=headers)
        except (BufferError, KafkaException) as error:  # a full queue; a topic that is missing or may not be written
            log.debug("Kafka does not keep a refused frame: %s", error)
        self._producer.poll(0)

    def close(self, timeout_s: float) -> None:
        self._producer.flush(timeout_s)

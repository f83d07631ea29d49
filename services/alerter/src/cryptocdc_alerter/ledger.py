"""The alerts topic: reads the last record of each alert at the start, and writes each new one before anything else."""

from __future__ import annotations

import logging
import threading
import time

import msgspec
from confluent_kafka import KafkaException, Producer

from cryptocdc_adapters.kafka.clients import client_config
from cryptocdc_adapters.kafka.topics import read_whole
from cryptocdc_alerter.records import Record, decode, encode
from cryptocdc_core.program.settings import KafkaSettings

log = logging.getLogger(__name__)

POLL_S = 0.1
AGAIN_S = 1.0
STOP_LIMIT_S = 5.0


class Ledger:
    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self._producer = Producer(client_config(settings, acks="all", enable_idempotence=True), logger=log)

    def read(self) -> dict[str, Record]:
        """Return the last record of each alert, by id. Raises KafkaException."""
        found: dict[str, Record] = {}
        for message in read_whole(self._settings, self._topic):
            alert = (message.key() or b"").decode(errors="replace")
            value = message.value()
            found.pop(alert, None)
            if value is None:
                continue
            try:
                found[alert] = decode(value)
            except msgspec.MsgspecError as error:
                log.warning("%s [%d]: not an alert record, skipped: %s", self._topic, message.offset(), error)
        return found

    def write(self, record: Record, stop: threading.Event) -> bool:
        """Write the record, and return True once all replicas have it, however long it takes; False if `stop` is set
        before."""
        return self._send(record.id, encode(record), stop)

    def erase(self, alert: str, stop: threading.Event) -> bool:
        """Write a tombstone for an alert; returns as `write`."""
        return self._send(alert, None, stop)

    def _send(self, key: str, value: bytes | None, stop: threading.Event) -> bool:
        """Send a record and wait for it: the last record of an alert must be its last state."""
        while True:
            answers: list[object] = []
            try:
                self._producer.produce(
                    self._topic, key=key, value=value, on_delivery=lambda error, _, to=answers: to.append(error)
                )
            except (BufferError, KafkaException) as error:
                answers.append(error)
            stopped_at = None
            while not answers:
                self._producer.poll(POLL_S)
                if stop.is_set():
                    stopped_at = stopped_at or time.monotonic()
                    if time.monotonic() - stopped_at > STOP_LIMIT_S:
                        return False
            if answers[0] is None:
                return True
            log.warning("Kafka: an alert record was not accepted and will be retried: %s", answers[0])
            if stop.wait(AGAIN_S):
                return False

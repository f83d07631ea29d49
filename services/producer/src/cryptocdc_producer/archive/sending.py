"""Sends rows to a feed's change topics, as our own connector would have sent them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from itertools import islice

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from cryptocdc_adapters.kafka import offsets
from cryptocdc_adapters.kafka.clients import TIMEOUT_S, client_config
from cryptocdc_adapters.kafka.offsets import GroupOffsets
from cryptocdc_core.names import Names
from cryptocdc_core.program.settings import KafkaSettings
from cryptocdc_core.rows.changes import record_end, record_key, record_value
from cryptocdc_core.rows.typed import Row
from cryptocdc_core.storage.partitioning import change_partition
from cryptocdc_exchanges.port import Series

log = logging.getLogger(__name__)

AT_ONCE = 1000
"""Rows that are made together; they have the same time of commit."""
BACKLOG = 200_000
"""Rows of a table that consumers may have before them while more are sent: some seconds of their work, by which rows
captured now are delayed."""
BACKLOG_EVERY = 50_000
FLUSH_S = 120.0
STALLED_S = 120.0
_POLL_S = 0.2
_FULL_S = 0.05
_INSERTED = "c"


class SendError(RuntimeError):
    """Kafka did not acknowledge all rows, or consumers make no progress. The message says what to do."""


class Sender:
    """Sends files' rows; `send` returns once Kafka has acknowledged every one."""

    def __init__(self, settings: KafkaSettings, names: Names, group_reads: bool = True) -> None:
        """`group_reads`: whether to wait for the feed's consumers when they fall behind."""
        self._names = names
        self._failure: KafkaError | None = None
        self._producer = Producer(
            client_config(
                settings,
                acks="all",
                enable_idempotence=True,
                # Only failures call back: a call of Python for each row would cost as much as making it.
                delivery_report_only_error=True,
                compression_type="lz4",
                linger_ms=20,
                batch_size=1_000_000,
                queue_buffering_max_messages=100_000,
                queue_buffering_max_kbytes=65_536,
            ),
            logger=log,
        )
        self._admin = AdminClient(client_config(settings))
        self._group = GroupOffsets(settings, names.consumer_group) if group_reads else None
        self._partitions: dict[str, int] = {}

    def send(self, series: Series, rows: Iterable[Row], sent: Callable[[int], None] = lambda _: None) -> None:
        """Send rows of one series. `sent` is called with the number of rows handed over. Raises SendError,
        KafkaException."""
        topic = self._names.change_topic(series.table)
        key, partition = record_key(series.symbol), change_partition(series.symbol, self._count(topic))
        self._failure = None
        rows, since = iter(rows), 0
        while chunk := list(islice(rows, AT_ONCE)):
            end = record_end(_INSERTED, time.time_ns() // 1000)
            for row in chunk:
                self._produce(topic, record_value(row, end), key, partition)
            self._producer.poll(0)
            self._raise_failure()
            sent(len(chunk))
            since += len(chunk)
            if since >= BACKLOG_EVERY:
                self._wait_for_consumers(topic)
                since = 0
        left = self._producer.flush(FLUSH_S)
        self._raise_failure()
        if left:
            raise SendError(f"Kafka: {left:,} rows were not acknowledged within {FLUSH_S:.0f} s")

    def _produce(self, topic: str, value: bytes, key: bytes, partition: int) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, partition, on_delivery=self._failed)
                return
            except BufferError:
                self._producer.poll(_FULL_S)
                self._raise_failure()

    def _failed(self, error: KafkaError | None, _: object) -> None:
        if error is not None:
            self._failure = error

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise SendError(f"Kafka: {self._failure.str()}; `cryptocdc status` shows what runs")

    def _count(self, topic: str) -> int:
        if topic not in self._partitions:
            found = self._admin.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
            if found.error is not None:
                raise KafkaException(found.error)
            self._partitions[topic] = len(found.partitions)
        return self._partitions[topic]

    def _wait_for_consumers(self, topic: str) -> None:
        """Wait while more than BACKLOG rows of the topic are not in Cassandra yet."""
        if self._group is None:
            return
        least, since = None, time.monotonic()
        while True:
            try:
                spans = offsets.ends(self._admin, [topic])
            except TimeoutError:  # which has no message
                raise SendError("Kafka does not answer; `cryptocdc status` shows what runs") from None
            left = sum(offsets.lags(spans, self._group.committed(spans)).values())
            if left <= BACKLOG:
                return
            if least is None or left < least:
                least, since = left, time.monotonic()
            elif time.monotonic() - since > STALLED_S:
                raise SendError(
                    f"{self._names.consumer_group} has {left:,} rows of {topic} before it and has written none for"
                    f" {STALLED_S:.0f} s; a feed's history is loaded while it runs: `cryptocdc run` starts it"
                )
            time.sleep(_POLL_S)

    def close(self) -> None:
        if self._group is not None:
            self._group.close()

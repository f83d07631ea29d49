"""Reads new rows from Kafka for connected clients. No group, no commits: each process reads everything it needs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from cryptocdc_adapters.kafka.clients import client_config
from cryptocdc_api.live.subscriptions import Row
from cryptocdc_api.shapes import shaper
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.program.metrics import ApiMetrics
from cryptocdc_core.program.settings import KafkaSettings
from cryptocdc_core.rows.changes import Decoder, Undecodable

log = logging.getLogger(__name__)

POLL_S = 0.1
AT_ONCE = 500
METADATA_TIMEOUT_S = 5.0
RETRY_S = 1.0
BEFORE_MS = 2000
"""Rows of this long before a topic is read are sent, too: a client that came first has asked for stored rows meanwhile,
and what had not reached Cassandra by then must not be missed."""
PROBE_EVERY_S = 10.0
"""How often Kafka's metadata is requested while no rows arrive: the client raises nothing when brokers are gone."""
OF_ONE_TOPIC = (
    KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.LEADER_NOT_AVAILABLE,
)  # fmt: skip
"""What Kafka answers about a topic that can't be read, while others can."""


def rows_maker(stream: Stream) -> Callable[[bytes | None], Row | None]:
    """Return a function that converts a record of the stream to a row for clients: the table's columns as REST returns
    them, with `table` and `op`. It returns None for a record that can't be decoded: the consumer reports those.
    """
    decoder = Decoder(stream)
    shape, names = shaper(stream.columns), stream.column_names
    key_shape, key = shaper([c for c in stream.columns if c.name in stream.key]), stream.key

    def made(value: bytes | None) -> Row | None:
        try:
            change: Any = decoder.decode(value)
        except Undecodable:
            return None
        if change.op == "d":  # only the key is meaningful
            row = key_shape([getattr(change, name) for name in names if name in key])
        else:
            row = shape([getattr(change, name) for name in names])
        return stream.table, change.symbol, msgspec.json.encode({"table": stream.table, "op": change.op, **row})

    return made


class Changes:
    """Reads the topics of the subscribed tables, each from shortly before its end, and passes new rows on.

    `run` needs its own thread; `want` is thread-safe.
    """

    def __init__(self, settings: KafkaSettings, topics: Mapping[str, Stream], metrics: ApiMetrics) -> None:
        self._failed = {topic: metrics.live_failed.labels(stream.table) for topic, stream in topics.items()}
        self._topics = {stream.table: topic for topic, stream in topics.items()}
        self._makers = {topic: rows_maker(stream) for topic, stream in topics.items()}
        self._wanted: frozenset[str] = frozenset()
        self._obstacle: str | None = None
        self._missing: str | None = None
        """Why some of the wanted tables are not read."""
        self._probe_at = self._assign_at = 0.0
        self._consumer = Consumer(
            client_config(
                settings,
                group_id="cryptocdc-api",  # required by the client; nothing is ever committed under it
                enable_auto_commit=False,
                auto_offset_reset="latest",
                fetch_wait_max_ms=100,
                queued_max_messages_kbytes=8192,
            ),
            logger=log,
        )

    def want(self, tables: frozenset[str]) -> None:
        """Set which tables are read from now on."""
        self._wanted = tables

    def obstacle(self) -> str | None:
        """Return why subscribers get no rows, None while Kafka responds and has their topics. Thread-safe."""
        return self._obstacle or self._missing

    def run(self, stop: threading.Event, publish: Callable[[list[Row]], None], turned: Callable[[], None]) -> None:
        """Read until `stop`. Rows go to `publish` on this thread; `turned` is called in every round, failed or not."""
        try:
            assigned: frozenset[str] = frozenset()
            while not stop.is_set():
                turned()
                try:
                    wanted = self._wanted
                    if wanted == assigned:
                        self._missing = None
                    elif time.monotonic() >= self._assign_at:
                        assigned = self._assign(assigned, wanted)
                    if not assigned:
                        self._obstacle = None
                        stop.wait(POLL_S)
                        continue
                    # Wait for one; those fetched with it are already in the client's queue.
                    messages = self._consumer.consume(1, POLL_S)
                    rows = self._rows(messages + self._consumer.consume(AT_ONCE, 0))
                    if rows:
                        publish(rows)
                    self._probe(bool(rows), min(assigned))
                except KafkaException as error:
                    self._obstacle = f"no live rows: Kafka: {error}"
                    log.warning("Kafka: %s", error)
                    stop.wait(RETRY_S)
        finally:
            self._consumer.close()

    def _probe(self, arrived: bool, table: str) -> None:
        """Raises KafkaException when nothing has arrived for a while and Kafka does not respond."""
        if not arrived:
            if time.monotonic() < self._probe_at:
                return
            self._partitions(table)
        self._probe_at = time.monotonic() + PROBE_EVERY_S
        self._obstacle = None

    def _assign(self, before: frozenset[str], after: frozenset[str]) -> frozenset[str]:
        """Return the tables that are read now: those of `after` whose topics exist. Tables in both sets keep their
        positions. Raises KafkaException."""
        removed, missing = before - after, dict[str, KafkaException]()
        joining: list[TopicPartition] = []
        for table in sorted(after - before):
            try:
                joining += self._partitions(table)
            except KafkaException as error:
                if error.args[0].code() not in OF_ONE_TOPIC:
                    raise
                missing[table] = error
        starts = self._starts(joining) if joining else []
        if removed:
            topics = {self._topics[table] for table in removed}
            self._consumer.incremental_unassign([p for p in self._consumer.assignment() if p.topic in topics])
        if starts:
            self._consumer.incremental_assign(starts)
        self._missing = None
        if missing:
            self._assign_at = time.monotonic() + RETRY_S
            self._missing = f"no live rows of {', '.join(missing)}: Kafka: {next(iter(missing.values()))}"
            log.warning("%s", self._missing)
        return after.difference(missing)

    def _partitions(self, table: str) -> list[TopicPartition]:
        topic = self._topics[table]
        described = self._consumer.list_topics(topic, timeout=METADATA_TIMEOUT_S).topics[topic]
        if described.error is not None:
            raise KafkaException(described.error)
        return [TopicPartition(topic, partition) for partition in described.partitions]

    def _starts(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Return the partitions with the first offset since BEFORE_MS ago, or with their end if there is none."""
        try:
            ends = self._offsets(partitions, OFFSET_END)  # a number: the end may have moved when reading begins
            since = self._offsets(partitions, time.time_ns() // 1_000_000 - BEFORE_MS)
        except KafkaException as error:  # one partition without a leader must not hold up the others
            log.warning("reading from the end: Kafka: %s", error)
            return [TopicPartition(at.topic, at.partition, OFFSET_END) for at in partitions]
        return [TopicPartition(*at, offset) for at, offset in (ends | since).items()]

    def _offsets(self, partitions: list[TopicPartition], at_ms: int) -> dict[tuple[str, int], int]:
        """Return the first offset at or after `at_ms` of each partition that has one, by topic and partition. Raises
        KafkaException."""
        asked = [TopicPartition(at.topic, at.partition, at_ms) for at in partitions]
        found = self._consumer.offsets_for_times(asked, timeout=METADATA_TIMEOUT_S)
        for at in found:
            if at.error is not None:
                raise KafkaException(at.error)
        return {(at.topic, at.partition): at.offset for at in found if at.offset >= 0}

    def _rows(self, messages: list[Message]) -> list[Row]:
        rows = []
        for message in messages:
            error = message.error()
            if error is not None:
                log.warning("Kafka: %s", error.str())
                continue
            topic = message.topic() or ""
            try:
                row = self._makers[topic](message.value())
            except Exception as error:  # a row that can't be converted must not hold up the others
                self._failed[topic].inc()
                log.warning(
                    "%s, partition %s, offset %s is not pushed: %r", topic, message.partition(), message.offset(), error
                )
                continue
            if row is not None:
                rows.append(row)
        return rows

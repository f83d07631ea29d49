"""New rows straight from Kafka, for those who are connected. No group, no commits: each process reads for itself."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from confluent_kafka import OFFSET_END, Consumer, KafkaException, Message, TopicPartition

from cryptocdc_adapters.kafka import client_config
from cryptocdc_api.live.subscriptions import Row
from cryptocdc_api.shapes import shaper
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.changes import Decoder, Undecodable
from cryptocdc_core.metrics import ApiMetrics
from cryptocdc_core.settings import KafkaSettings

log = logging.getLogger(__name__)

POLL_S = 0.1
AT_ONCE = 500
METADATA_TIMEOUT_S = 5.0
AGAIN_S = 1.0
ASK_EVERY_S = 10.0
"""While nothing comes that someone wants, Kafka is asked so often whether it is there: the client raises nothing."""


def rows_maker(stream: Stream) -> Callable[[bytes | None], Row | None]:
    """Makes a row to push of a record of that stream: the table's columns as REST gives them, and `table` and `op`.

    None for what is no change: a dead letter is the consumer's to tell of.
    """
    decoder = Decoder(stream)
    shape, names = shaper(stream.columns), stream.column_names
    key_shape, key = shaper([c for c in stream.columns if c.name in stream.key]), stream.key

    def made(value: bytes | None) -> Row | None:
        try:
            change: Any = decoder.decode(value)
        except Undecodable:
            return None
        if change.op == "d":  # only the key means anything
            row = key_shape([getattr(change, name) for name in names if name in key])
        else:
            row = shape([getattr(change, name) for name in names])
        return stream.table, change.symbol, msgspec.json.encode({"table": stream.table, "op": change.op, **row})

    return made


class Changes:
    """Reads the topics of the tables that someone wants, each from its end, and hands on what comes.

    `run` on a thread of its own; `want` from any.
    """

    def __init__(self, settings: KafkaSettings, topics: Mapping[str, Stream], metrics: ApiMetrics) -> None:
        self._failed = {topic: metrics.live_failed.labels(stream.table) for topic, stream in topics.items()}
        self._topics = {stream.table: topic for topic, stream in topics.items()}
        self._makers = {topic: rows_maker(stream) for topic, stream in topics.items()}
        self._wanted: frozenset[str] = frozenset()
        self._obstacle: str | None = None
        self._ask_at = 0.0
        self._consumer = Consumer(
            client_config(
                settings,
                group_id="cryptocdc-api",  # the client demands a name; nothing is ever committed under it
                enable_auto_commit=False,
                auto_offset_reset="latest",
                fetch_wait_max_ms=100,
                queued_max_messages_kbytes=8192,
            ),
            logger=log,
        )

    def want(self, tables: frozenset[str]) -> None:
        """Which tables are read from now on."""
        self._wanted = tables

    def obstacle(self) -> str | None:
        """Return why no rows are pushed to those who want some, None while Kafka answers. From any thread."""
        return self._obstacle

    def run(self, stop: threading.Event, hand_on: Callable[[list[Row]], None], turned: Callable[[], None]) -> None:
        """Until `stop`; on this thread `hand_on` gets rows, and `turned` is called each round, come what may."""
        try:
            assigned: frozenset[str] = frozenset()
            while not stop.is_set():
                turned()
                try:
                    wanted = self._wanted
                    if wanted != assigned:
                        self._assign(assigned, wanted)
                        assigned = wanted
                    if not assigned:
                        self._obstacle = None
                        stop.wait(POLL_S)
                        continue
                    # One is waited for; those that came with it are there already.
                    messages = self._consumer.consume(1, POLL_S)
                    rows = self._rows(messages + self._consumer.consume(AT_ONCE, 0))
                    if rows:
                        hand_on(rows)
                    self._see_to_it(bool(rows), min(assigned))
                except KafkaException as error:
                    self._obstacle = f"no live rows: Kafka: {error}"
                    log.warning("Kafka: %s", error)
                    stop.wait(AGAIN_S)
        finally:
            self._consumer.close()

    def _see_to_it(self, came: bool, table: str) -> None:
        """Raises KafkaException when nothing has come for a while and Kafka does not answer."""
        if not came:
            if time.monotonic() < self._ask_at:
                return
            self._partitions(table)
        self._ask_at = time.monotonic() + ASK_EVERY_S
        self._obstacle = None

    def _assign(self, before: frozenset[str], after: frozenset[str]) -> None:
        """Tables that are read already go on where they are. Raises KafkaException while a topic is not there."""
        gone, come = before - after, after - before
        joining = [partition for table in come for partition in self._partitions(table)]
        if gone:
            topics = {self._topics[table] for table in gone}
            self._consumer.incremental_unassign([p for p in self._consumer.assignment() if p.topic in topics])
        if joining:
            self._consumer.incremental_assign(joining)

    def _partitions(self, table: str) -> list[TopicPartition]:
        topic = self._topics[table]
        described = self._consumer.list_topics(topic, timeout=METADATA_TIMEOUT_S).topics[topic]
        if described.error is not None:
            raise KafkaException(described.error)
        return [TopicPartition(topic, partition, OFFSET_END) for partition in described.partitions]

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
            except Exception as error:  # whatever is odd about one, the others are pushed
                self._failed[topic].inc()
                log.warning(
                    "%s, partition %s, offset %s is not pushed: %r", topic, message.partition(), message.offset(), error
                )
                continue
            if row is not None:
                rows.append(row)
        return rows

"""Finds the record of one change by its time: in one partition, from a given time on, with bounded work."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from cryptocdc_adapters.kafka.clients import client_config
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.names import Names
from cryptocdc_core.program.settings import KafkaSettings
from cryptocdc_core.rows.changes import Change, Decoder, Undecodable
from cryptocdc_core.rows.hops import Sent, Values, sent
from cryptocdc_core.storage.partitioning import change_partition

READ_MOST = 20_000
"""Maximum number of records to scan: takes some tenths of a second."""
AT_ONCE = 500


class Records:
    """A feed's change topics, for one thread at a time. Partitions are assigned manually; it joins no group and commits
    nothing."""

    def __init__(self, settings: KafkaSettings, names: Names) -> None:
        self._names = names
        self._decoders: dict[str, Decoder] = {}
        self._consumer = Consumer(
            client_config(
                settings,
                group_id="cryptocdc-trace",  # required by the client
                enable_auto_commit=False,
                enable_partition_eof=True,
                fetch_wait_max_ms=50,
                queued_max_messages_kbytes=4096,
            )
        )

    def find(
        self, stream: Stream, key: Values, from_ms: int, until_ms: int, limit_s: float,
        is_it: Callable[[Change], bool] | None = None,
    ) -> Sent | None:  # fmt: skip
        """Return the change of the row with that key for which `is_it` is true, among those in Kafka from `from_ms`
        until `until_ms`; without `is_it` the last of them.

        The search ends after READ_MOST records, after `limit_s`, and at the partition's end. Raises KafkaException.
        """
        deadline = time.monotonic() + limit_s
        decoder = self._decoders.setdefault(stream.table, Decoder(stream))
        self._consumer.assign([self._start(self._names.change_topic(stream.table), key["symbol"], from_ms, limit_s)])
        last: Sent | None = None
        try:
            read = 0
            while read < READ_MOST and time.monotonic() < deadline:
                for message in self._consumer.consume(AT_ONCE, timeout=0.1):
                    error = message.error()
                    if error is not None:
                        if error.code() == KafkaError._PARTITION_EOF:
                            return last
                        raise KafkaException(error)
                    read += 1
                    change = _decoded(decoder, message)
                    if change is not None and _has_key(change, stream, key):
                        if is_it is None:
                            last = _sent(stream, change, message)
                        elif is_it(change):
                            return _sent(stream, change, message)
                    if message.timestamp()[1] > until_ms:
                        return last
            return last
        finally:
            self._consumer.unassign()

    def _start(self, topic: str, symbol: str, from_ms: int, limit_s: float) -> TopicPartition:
        """Return the first offset at or after `from_ms` in the partition of the symbol's changes; its end if there is
        none."""
        described = self._consumer.list_topics(topic, timeout=limit_s).topics[topic]
        if described.error is not None:
            raise KafkaException(described.error)
        asked = TopicPartition(topic, change_partition(symbol, len(described.partitions)), from_ms)
        (start,) = self._consumer.offsets_for_times([asked], timeout=limit_s)
        if start.error is not None:
            raise KafkaException(start.error)
        return TopicPartition(start.topic, start.partition, start.offset if start.offset >= 0 else OFFSET_END)

    def close(self) -> None:
        self._consumer.close()


def _decoded(decoder: Decoder, message: Message) -> Change | None:
    try:
        return decoder.decode(message.value())
    except Undecodable:  # reported by the consumer as a dead letter
        return None


def _has_key(change: Change, stream: Stream, key: Values) -> bool:
    return all(getattr(change, name) == key[name] for name in stream.key)


def _sent(stream: Stream, change: Any, message: Message) -> Sent:
    size = len(message.value() or b"")
    _, at_ms = message.timestamp()
    return sent(stream, change, str(message.topic()), message.partition() or 0, message.offset() or 0, at_ms, size)

"""Writes each batch of the streaming query into Cassandra and commits its offsets to the feed's group.

A batch is finished only when every record of it is acknowledged by Cassandra or a delivered dead letter; then its
offsets are committed, and after that Spark writes its own log.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from cryptocdc_adapters.kafka.offsets import Partition
from cryptocdc_adapters.metrics.serving import Health
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.program.metrics import ConsumerMetrics
from cryptocdc_core.rows.changes import Decoder
from cryptocdc_spark.aside import Aside, KafkaRecord, Stopped
from cryptocdc_spark.expressions import (
    ASIDE,
    EXPIRED,
    REPLACING,
    ROW,
    newest_columns,
    newest_of,
    table_columns,
)
from cryptocdc_spark.saving import cause, save

log = logging.getLogger(__name__)

_RECORD = ("topic", "partition", "offset", "key", "value", "produced_ms")
_SUMMARY = (
    "count(*) AS records", "max(offset) AS last", "min(committed_us) AS committed_first",
    "max(committed_us) AS committed_last", "min(event_ms) AS event_first", "max(event_ms) AS event_last",
    "max_by(value, offset) AS newest",
)  # fmt: skip


class BatchWriter:
    """`commit` commits offsets to the group, however long it takes, and returns False if the program is stopping."""

    def __init__(
        self,
        keyspace: str,
        topics: Mapping[str, Stream],
        retention_s: int | None,
        aside: Aside,
        commit: Callable[[Mapping[Partition, int]], bool],
        metrics: ConsumerMetrics,
        health: Health,
        stop: threading.Event,
    ) -> None:
        self._keyspace = keyspace
        self._topics = topics
        self._retention_s = retention_s
        self._aside = aside
        self._commit = commit
        self._metrics = metrics
        self._health = health
        self._stop = stop
        self._decoders = {topic: Decoder(stream) for topic, stream in topics.items()}
        self.busy = threading.Lock()
        """Held while a batch is written."""

    def __call__(self, batch: Any, number: int) -> None:
        """Write a batch of routed records. Raises Stopped, and what Spark raises when it can't read them."""
        with self.busy:
            if self._stop.is_set():
                raise Stopped
            started = time.monotonic()
            batch = batch.coalesce(max(1, batch.sparkSession.sparkContext.defaultParallelism)).persist()
            try:
                self._write(batch)
            finally:
                batch.unpersist()
            self._metrics.batches.inc()
            self._metrics.write_seconds.observe(time.monotonic() - started)
            self._health.beat()
            log.debug("batch %d written in %.2f s", number, time.monotonic() - started)

    def _write(self, batch: Any) -> None:
        from pyspark.sql import functions as f

        summary = batch.groupBy("topic", "partition", "way").agg(*map(f.expr, _SUMMARY)).collect()
        ends: dict[Partition, int] = {}
        for group in summary:
            at = group.topic, group.partition
            ends[at] = max(ends.get(at, 0), group.last + 1)
        for topic, stream in self._topics.items():
            of_topic = [group for group in summary if group.topic == topic]
            if of_topic:
                self._write_stream(batch.where(f.col("topic") == topic), stream, of_topic)
        if any(group.way == ASIDE for group in summary):
            self._aside.write(_records(batch.where(f.col("way") == ASIDE)))
        if not self._commit(ends):
            raise Stopped

    def _write_stream(self, batch: Any, stream: Stream, summary: Sequence[Any]) -> None:
        """Write the rows of one topic; if Spark can't, the consumer's way, which retries and finds a refused row."""
        from pyspark.sql import functions as f

        ways = {group.way for group in summary}
        written = [group for group in summary if group.way in (ROW, REPLACING)]
        if written:
            columns = table_columns(stream, self._retention_s)
            rows = batch.where(f.col("way").isin(ROW, REPLACING))
            try:
                for way in ways & {ROW, REPLACING}:
                    self._save(
                        batch.where(f.col("way") == way).selectExpr(*columns), stream.table, nulls=way == REPLACING
                    )
                self._write_newest(rows, stream)
            except Exception as error:  # of Cassandra, by way of Spark: of many classes
                if self._stop.is_set():
                    raise Stopped from error
                log.warning("Spark could not write %s: %s; writing one by one", stream.table, cause(error))
                self._metrics.retries.labels("spark").inc()
                self._aside.write(_records(rows))
            else:
                self._count(stream, written)
        self._metrics.expired.labels(stream.table).inc(sum(g.records for g in summary if g.way == EXPIRED))
        self._count_unknown(stream, summary)

    def _write_newest(self, rows: Any, stream: Stream) -> None:
        derived = newest_of(stream)
        if derived is None:
            return
        from pyspark.sql import functions as f

        row = f.struct(f.col(stream.table), f.col("now_ms"))
        newest = rows.groupBy(f"{stream.table}.symbol").agg(f.max_by(row, f"{stream.table}.version").alias("newest"))
        newest = newest.select("newest.*")
        # Nulls are written: a value of the row before must not show where this one has none.
        self._save(newest.selectExpr(*newest_columns(stream, self._retention_s)), derived.table, nulls=True)

    def _save(self, rows: Any, table: str, *, nulls: bool) -> None:
        save(rows, self._keyspace, table, nulls=nulls, expiring=self._retention_s is not None)

    def _count(self, stream: Stream, written: Sequence[Any]) -> None:
        """Count rows, and observe the latency of the oldest and the newest row of each partition."""
        now, table = time.time(), stream.table
        records = sum(group.records for group in written)
        self._metrics.records.labels(table).inc(records)
        self._metrics.rows.labels(table).inc(records)
        for group in written:
            for event_ms in (group.event_first, group.event_last):
                self._metrics.event_seconds.labels(table).observe(max(0.0, now - event_ms / 1_000))
            for committed_us in (group.committed_first, group.committed_last):
                self._metrics.commit_seconds.labels(table).observe(max(0.0, now - committed_us / 1_000_000))

    def _count_unknown(self, stream: Stream, summary: Sequence[Any]) -> None:
        """Count fields that are not in the catalogue, by the newest record of each partition: later ones have them."""
        for group in summary:
            found = self._decoders[group.topic].unknown_fields(group.newest)
            if found:
                self._metrics.unknown_fields.labels(stream.table).inc(len(found) * group.records)


def _records(rows: Any) -> Iterator[KafkaRecord]:
    for row in rows.select(*_RECORD).toLocalIterator():
        topic, partition, offset, key, value, produced_ms = row
        yield KafkaRecord(topic, partition, offset, _bytes(key), _bytes(value), produced_ms)


def _bytes(value: bytearray | None) -> bytes | None:
    return None if value is None else bytes(value)

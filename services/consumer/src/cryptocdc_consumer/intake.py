"""Turns Kafka's records into batches for Cassandra: decode, transform, encode, group by partition. No I/O."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Protocol

from cryptocdc_consumer.cql import Unencodable
from cryptocdc_consumer.derived import MAKERS, DerivedTable
from cryptocdc_consumer.encode import Key, Prepare, StreamEncoder
from cryptocdc_consumer.transform import Transform, TransformFailed
from cryptocdc_core.catalogue import DERIVED, Stream
from cryptocdc_core.names import Names
from cryptocdc_core.program.metrics import ConsumerMetrics
from cryptocdc_core.rows.changes import Change, Decoder, Undecodable

BATCH_ROWS = 300
BATCH_BYTES = 128 * 1024
"""A batch within one partition is one write for Cassandra, whatever its size: one message, one commit log entry, one
response. A row in a batch of 300 costs both sides a quarter less than one in a batch of 100."""
MOST_PARTITIONS = 10
JOINED_BYTES = 3_500
"""Small batches are combined, since a request costs as much as ten rows. Cassandra warns about batches of more than ten
partitions or 5 KiB, and refuses those of more than 50 KiB."""


class Record(Protocol):
    """A record as Kafka's client returns it."""

    def topic(self) -> str: ...
    def partition(self) -> int: ...
    def offset(self) -> int: ...
    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def timestamp(self) -> tuple[int, int]: ...


@dataclass(slots=True)
class Chunk:
    """Records read together. Its offsets may be committed once nothing is pending."""

    offsets: dict[tuple[str, int], int]
    """The offset after the last record, by topic and partition."""
    records: int
    committed_us: int = 0
    """When PostgreSQL committed the last decoded change."""
    pending: int = 0
    """Number of batches and dead letters that are not acknowledged."""


Entry = tuple[bytes, Record, Any]
"""One row's statement, the record it comes from, and its change, None for a row of a derived table, or OLDER."""
OLDER = object()
"""Instead of a change: the statement only removes older versions of a row that is written too."""


@dataclass(slots=True, eq=False)
class Batch:
    """Rows of one table that are sent together: of one partition, or of several with few rows each. `routing_key` is
    that of the first one."""

    table: str
    routing_key: bytes
    chunk: Chunk
    event: Callable[[Any], int] | None
    """The exchange's time of a change, in milliseconds; None for a derived table."""
    entries: list[Entry] = field(default_factory=list)
    bytes: int = 0
    deletes: int = 0
    removals: int = 0
    """Number of entries that are not separate rows: see OLDER."""
    attempts: int = 0
    acknowledged_at: float = 0.0
    """Seconds since the epoch."""

    def halves(self) -> tuple[Batch, Batch]:
        middle = len(self.entries) // 2
        parts = self.entries[:middle], self.entries[middle:]
        first, second = (
            Batch(
                self.table,
                self.routing_key,
                self.chunk,
                self.event,
                part,
                sum(len(e[0]) for e in part),
                sum(change is not None and change is not OLDER and change.op == "d" for _, _, change in part),
                sum(change is OLDER for _, _, change in part),
            )
            for part in parts
        )
        return first, second


@dataclass(slots=True)
class DeadLetter:
    """A record that can't be written, with the reason: one word for the metric, and the detail."""

    record: Record
    kind: str
    detail: str
    chunk: Chunk

    @property
    def reason(self) -> str:
        return f"{self.kind}: {self.detail}"


@dataclass(slots=True)
class Taken:
    chunk: Chunk
    batches: list[Batch]
    dead_letters: list[DeadLetter]


class _StreamIntake:
    """The decoder, the encoder and the open batches of one stream."""

    def __init__(self, stream: Stream, names: Names, retention_s: int | None, prepare: Prepare) -> None:
        self.stream = stream
        self.decoder = Decoder(stream)
        self.encoder = StreamEncoder(stream, names.keyspace, retention_s, prepare)
        self.derived: list[DerivedTable] = [
            MAKERS[d.table](d, names.keyspace, prepare) for d in DERIVED if d.source == stream.table
        ]
        self.open: dict[Key, Batch] = {}


class Intake:
    """Turns records into chunks."""

    def __init__(
        self,
        names: Names,
        streams: Sequence[Stream],
        retention_s: int | None,
        prepare: Prepare,
        metrics: ConsumerMetrics,
        transform: Transform | None = None,
    ) -> None:
        self._streams: Mapping[str, _StreamIntake] = {
            names.change_topic(stream.table): _StreamIntake(stream, names, retention_s, prepare) for stream in streams
        }
        self._metrics = metrics
        self._transform = transform

    @property
    def topics(self) -> list[str]:
        return list(self._streams)

    def take(self, records: Sequence[Record], now_ms: int) -> Taken:
        """Return the batches for `records`, which are in the order read. A faulty record becomes a dead letter."""
        taken = Taken(Chunk({}, len(records)), [], [])
        by_topic: dict[str, list[Record]] = {}
        for record in records:
            topic = record.topic()
            if topic in by_topic:
                by_topic[topic].append(record)
            else:
                by_topic[topic] = [record]
        for topic, of_topic in by_topic.items():
            # Records of a partition are in order, so the last one's offset remains.
            last = {record.partition(): record for record in of_topic}
            taken.chunk.offsets |= {(topic, partition): record.offset() + 1 for partition, record in last.items()}
            stream = self._streams[topic]
            self._take(stream, of_topic, now_ms, taken)
            self._finish(stream, taken)
            self._metrics.records.labels(stream.stream.table).inc(len(of_topic))
            self._count_unknown(stream, of_topic)
        taken.chunk.pending = len(taken.batches) + len(taken.dead_letters)
        return taken

    def _take(self, lane: _StreamIntake, records: Sequence[Record], now_ms: int, taken: Taken) -> None:
        """Process records: the consumer's innermost loop, which runs twenty thousand times per second."""
        decode, insert, derived, transform = lane.decoder.decode, lane.encoder.insert, lane.derived, self._transform
        chunk, open_batches = taken.chunk, lane.open
        for record in records:
            try:
                change: Any = decode(record.value())
                if transform is not None:
                    change = self._transformed(transform, lane.stream, change)
                    if change is None:
                        continue
                chunk.committed_us = change.committed_us
                if change.op == "d":
                    key, statement = lane.encoder.delete(change)
                    older = None
                    for table in derived:
                        table.take_delete(change, record)
                else:
                    row = insert(change, record.timestamp()[1], now_ms)
                    if row is None:
                        self._metrics.expired.labels(lane.stream.table).inc()
                        continue
                    key, ttl, statement, older = row
                    for table in derived:
                        table.take(change, ttl, record)
                batch = open_batches.get(key)
                if batch is None:
                    routing_key = lane.encoder.routing_key(key)
                    batch = open_batches[key] = Batch(lane.stream.table, routing_key, chunk, lane.encoder.event)
                batch.entries.append((statement, record, change))
                batch.bytes += len(statement)
                batch.deletes += change.op == "d"
                if older is not None:
                    _remove(batch, older, record)
                if len(batch.entries) >= BATCH_ROWS or batch.bytes >= BATCH_BYTES:
                    taken.batches.append(open_batches.pop(key))
            except Undecodable as error:
                taken.dead_letters.append(DeadLetter(record, "undecodable", str(error), chunk))
            except TransformFailed as error:
                taken.dead_letters.append(DeadLetter(record, "transform", str(error), chunk))
            except (Unencodable, struct.error, ValueError, OverflowError, OSError, ArithmeticError) as error:
                taken.dead_letters.append(DeadLetter(record, "unencodable", str(error), chunk))
            except (TypeError, AttributeError) as error:
                if transform is None:
                    raise
                # A value of another type than the decoder's, such as a Decimal instead of its digits.
                problem = f"what it returned can't be written: {error!r}"
                taken.dead_letters.append(DeadLetter(record, "transform", problem, chunk))

    def _transformed(self, transform: Transform, stream: Stream, change: Change) -> Change | None:
        """Return the transformed change, None if it was dropped. Raises TransformFailed."""
        try:
            altered = transform(stream, change)
        except Exception as error:  # user code may raise anything
            raise TransformFailed(repr(error)) from None
        if altered is None:
            self._metrics.left_out.labels(stream.table).inc()
        return altered

    def _finish(self, lane: _StreamIntake, taken: Taken) -> None:
        taken.batches += _combined(lane.open.values())
        lane.open.clear()
        for derived in lane.derived:
            open_batches: dict[Key, Batch] = {}
            for row in derived.flush():
                batch = open_batches.get(row.key)
                if batch is None or len(batch.entries) >= BATCH_ROWS or batch.bytes >= BATCH_BYTES:
                    batch = Batch(row.table, derived.encoder.routing_key(row.key), taken.chunk, None)
                    open_batches[row.key] = batch
                    taken.batches.append(batch)
                if row.older:
                    _remove(batch, row.statement, row.origin)
                    continue
                batch.entries.append((row.statement, row.origin, None))
                batch.bytes += len(row.statement)

    def _count_unknown(self, lane: _StreamIntake, records: Sequence[Record]) -> None:
        """Count fields that are not in the catalogue. The newest record has them, too; only then are all checked."""
        if lane.decoder.unknown_fields(records[-1].value()):
            found = sum(len(lane.decoder.unknown_fields(record.value())) for record in records)
            self._metrics.unknown_fields.labels(lane.stream.table).inc(found)


def _remove(batch: Batch, statement: bytes, record: Record) -> None:
    batch.entries.append((statement, record, OLDER))
    batch.bytes += len(statement)
    batch.removals += 1


def _combined(batches: Iterable[Batch]) -> list[Batch]:
    """Return the batches, with small ones combined."""
    joined: list[Batch] = []
    partitions = 0
    for batch in sorted(batches, key=attrgetter("bytes")):
        if joined and partitions < MOST_PARTITIONS and joined[-1].bytes + batch.bytes <= JOINED_BYTES:
            joined[-1].entries += batch.entries
            joined[-1].bytes += batch.bytes
            joined[-1].deletes += batch.deletes
            joined[-1].removals += batch.removals
            partitions += 1
        else:
            joined.append(batch)
            partitions = 1
    return joined

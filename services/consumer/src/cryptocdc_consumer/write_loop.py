"""The consumer's loop: read, write, and commit what Cassandra has acknowledged.

Chunks of records are written concurrently and finish in the order read; an offset is committed only when everything
before it is in Cassandra or a dead letter. When Cassandra is slow, reading stops; when it stays slow, the partitions
are paused while the group is still polled, so that a slow sink causes no rebalance.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from cryptocdc_adapters.kafka.offsets import lag
from cryptocdc_adapters.metrics.serving import Health
from cryptocdc_consumer.dead_letters import DeadLetters
from cryptocdc_consumer.intake import Batch, Chunk, Intake
from cryptocdc_consumer.outcomes import settle
from cryptocdc_consumer.sink import Sink
from cryptocdc_core.program.metrics import ConsumerMetrics

log = logging.getLogger(__name__)

CHUNK_RECORDS = 6_000
"""Maximum, for a backlog: 20 symbols then have a full batch each."""
LATE_S = 0.25
GATHER_SHARE, GATHER_LIMIT_S = 0.1, 0.2
"""Late rows are gathered for this share of their lateness, up to the limit."""
COMMIT_EVERY_S = 0.5
LAG_EVERY_S = 2.0
ASK_EVERY_S = 10.0
ASK_LIMIT_S = 2.0
PAUSE_AFTER_S = 3.0
"""How long to wait for a full sink without polling: short compared with poll intervals, long compared with a write."""
REVOKE_LIMIT_S = 10.0
STOP_LIMIT_S = 20.0

Partition = tuple[str, int]


class WriteLoop:
    """`consumer` is confluent_kafka's Consumer, not yet subscribed, with automatic commits off; `member` returns
    whether it is in its group."""

    def __init__(
        self,
        consumer: Any,
        intake: Intake,
        sink: Sink,
        dead_letters: DeadLetters,
        metrics: ConsumerMetrics,
        health: Health,
        member: Callable[[], bool],
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._consumer = consumer
        self._intake = intake
        self._sink = sink
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._health = health
        self._member = member
        self._now = now
        self._wall = wall
        self._chunks: deque[Chunk] = deque()
        self._unsent: deque[Batch] = deque()
        self._held: list[Any] = []
        self._owned: set[Partition] = set()
        self._done: dict[Partition, int] = {}
        """The offset up to which everything is written."""
        self._committed: dict[Partition, int] = {}
        self._begun: dict[Partition, int] = {}
        """The committed offset at assignment, for the lag until something is written."""
        self._commit_at = self._lag_at = self._ask_at = 0.0
        self._gather_s = 0.0
        self._full_since: float | None = None
        self._paused = False

    def run(self, stop: threading.Event) -> bool:
        """Run until `stop`, then write and commit everything read. Return False if STOP_LIMIT_S was too short."""
        self._consumer.subscribe(
            self._intake.topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )
        try:
            while not stop.is_set():
                self.step()
            self._drain(STOP_LIMIT_S)
            self._commit(wait=True)
            return not self._chunks
        finally:
            self._consumer.close()

    def step(self) -> None:
        """Handle outcomes, then read as much as there is room for."""
        self._settle()
        self._feed()
        if self._sink.full:
            self._wait_for_sink()
            return
        self._full_since = None
        if self._paused:
            self._pause(False)
        records = self._read()
        if records:
            self._write(records)
        elif not self._chunks:
            self._beat_when_idle()

    def _beat_when_idle(self) -> None:
        """Report an idle consumer as healthy only if it is in the group and Kafka answers."""
        if self._now() < self._ask_at:
            return
        self._ask_at = self._now() + ASK_EVERY_S
        try:
            self._consumer.list_topics(self._intake.topics[0], timeout=ASK_LIMIT_S)
        except KafkaException as error:
            log.warning("Kafka: %s", error)
            return
        if self._member():
            self._health.beat()

    def _read(self) -> list[Any]:
        """Return the records that have arrived: immediately while rows are fresh, gathered for a moment while they are
        late anyway.

        A chunk of few rows makes small batches, each of which costs Cassandra nearly as much as one of fifty rows; and
        a consumer that is faster than the connector would never read more than a few rows.
        """
        held, self._held = self._held, []
        first = self._consumer.poll(0 if held else 0.02 if self._chunks else 0.2)
        if first is None:
            return held
        return [*held, *self._sound([first, *self._consumer.consume(CHUNK_RECORDS - 1, self._gather_s)])]

    def _sound(self, messages: Sequence[Any]) -> list[Any]:
        """Return the records among messages; the others report problems that the client recovers from."""
        records = [message for message in messages if message.error() is None]
        if len(records) < len(messages):
            for message in messages:
                error = message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    log.warning("Kafka: %s", error)
        return records

    def _write(self, records: Sequence[Any]) -> None:
        now = self._wall()
        taken = self._intake.take(records, int(now * 1000))
        late_s = now - taken.chunk.committed_us / 1_000_000
        self._gather_s = min(GATHER_LIMIT_S, late_s * GATHER_SHARE) if late_s > LATE_S else 0.0
        self._chunks.append(taken.chunk)
        for letter in taken.dead_letters:
            self._dead_letters.send(letter)
        self._unsent += taken.batches
        self._feed()

    def _feed(self) -> None:
        while self._unsent and not self._sink.full:
            self._sink.send(self._unsent.popleft())

    def _wait_for_sink(self) -> None:
        now = self._now()
        if self._full_since is None:
            self._full_since = now
        if now - self._full_since < PAUSE_AFTER_S:
            self._sink.wait(0.05)
            return
        self._pause(True)
        message = self._consumer.poll(0.05)
        if message is not None:  # it was fetched before the partitions were paused
            self._held += self._sound([message])

    def _pause(self, paused: bool) -> None:
        assigned = self._consumer.assignment()
        (self._consumer.pause if paused else self._consumer.resume)(assigned)
        if paused != self._paused:
            log.info("Cassandra is slow: reading paused" if paused else "reading resumed")
        self._paused = paused
        self._metrics.paused.set(paused)

    def _settle(self) -> None:
        settle(self._sink, self._dead_letters, self._metrics)
        self._metrics.in_flight.set(self._sink.unsettled)
        while self._chunks and self._chunks[0].pending == 0:
            self._done |= {p: at for p, at in self._chunks.popleft().offsets.items() if p in self._owned}
            self._health.beat()
        if self._now() >= self._commit_at:
            self._commit_at = self._now() + COMMIT_EVERY_S
            self._commit(wait=False)
        if self._now() >= self._lag_at:
            self._lag_at = self._now() + LAG_EVERY_S
            self._observe_lag()

    def _commit(self, *, wait: bool, only: set[Partition] | None = None) -> None:
        new = {
            p: at
            for p, at in self._done.items()
            if self._committed.get(p) != at and (only is None or p in only)
        }  # fmt: skip
        if not new:
            return
        offsets = [TopicPartition(topic, partition, at) for (topic, partition), at in new.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=not wait)
        except KafkaException as error:
            # At worst rows are written twice; the next round retries.
            log.warning("Kafka: offsets not committed: %s", error)
            return
        self._committed |= new

    def on_commit(self, error: Any, partitions: Sequence[Any]) -> None:
        """Handle the result of a commit; failed offsets are committed again."""
        for partition in partitions:
            if error is not None or partition.error is not None:
                self._committed.pop((partition.topic, partition.partition), None)

    def _drain(self, limit_s: float) -> None:
        deadline = self._now() + limit_s
        self._settle()
        self._feed()
        while self._chunks and self._now() < deadline:
            self._sink.wait(0.05)
            self._settle()
            self._feed()

    def _on_assign(self, _: Any, partitions: Sequence[Any]) -> None:
        self._owned |= {(p.topic, p.partition) for p in partitions}
        self._metrics.partitions.set(len(self._owned))
        log.info("assigned %d partitions, %d in all", len(partitions), len(self._owned))

    def _on_revoke(self, _: Any, partitions: Sequence[Any]) -> None:
        """Wait for batches in flight, so that the next owner does not write them again."""
        leaving = {(p.topic, p.partition) for p in partitions}
        self._drain(REVOKE_LIMIT_S)
        self._commit(wait=True, only=leaving)
        self._forget(leaving)

    def _on_lost(self, _: Any, partitions: Sequence[Any]) -> None:
        """Called when another member already owns them: nothing may be committed."""
        self._forget({(p.topic, p.partition) for p in partitions})

    def _forget(self, leaving: set[Partition]) -> None:
        self._owned -= leaving
        self._held = [r for r in self._held if (r.topic(), r.partition()) not in leaving]
        for topic, partition in leaving:
            self._done.pop((topic, partition), None)
            self._committed.pop((topic, partition), None)
            self._begun.pop((topic, partition), None)
            self._metrics.lag.remove(topic, partition)
        self._metrics.partitions.set(len(self._owned))
        log.info("revoked %d partitions, %d left", len(leaving), len(self._owned))

    def _observe_lag(self) -> None:
        """Update the lag. The client knows a partition's end from reading; while reading is paused, query Kafka."""
        try:
            if unknown := self._owned - self._done.keys() - self._begun.keys():
                for at in self._consumer.committed([TopicPartition(*p) for p in unknown], timeout=ASK_LIMIT_S):
                    self._begun[at.topic, at.partition] = max(0, at.offset)
            for topic, partition in self._owned:
                at = TopicPartition(topic, partition)
                span = self._consumer.get_watermark_offsets(at, timeout=ASK_LIMIT_S, cached=not self._paused)
                done = self._done.get((topic, partition), self._begun.get((topic, partition), 0))
                if span[1] >= 0:
                    self._metrics.lag.labels(topic, partition).set(lag(span, done))
        except KafkaException as error:
            log.warning("Kafka: %s", error)

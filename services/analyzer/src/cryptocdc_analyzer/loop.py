"""The analyzer's loop: read trades, write the bars that they change, and only then commit.

What a window needs that is not in memory is read from Cassandra, once the feed's consumers have written everything
before this program's position: then a bar has all trades of its window, whatever was killed, late or lost. A bar that
is written again, or by an analyzer that was frozen, has no more trades than the newest, and so no greater version.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from cassandra import DriverException
from cassandra.cluster import NoHostAvailable
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from cryptocdc_adapters.offsets import Partition
from cryptocdc_adapters.serving import Health
from cryptocdc_analyzer.records import Trades, key_of, value_of
from cryptocdc_analyzer.stored import StoredTrades
from cryptocdc_analyzer.windows import Added, Windows
from cryptocdc_core.changes import Undecodable
from cryptocdc_core.metrics import AnalyzerMetrics
from cryptocdc_core.times import now_ms

log = logging.getLogger(__name__)

AT_ONCE = 1_000
POLL_S = 0.1
COMMIT_EVERY_S = 1.0
ASK_EVERY_S = 0.2
LOG_EVERY_S = 10.0
STALLED_S = 30.0
TIMEOUT_S = 10.0
FLUSH_S = 10.0


class AnalyzerLoop:
    """`consumer` is confluent_kafka's Consumer, not yet subscribed, with automatic commits off; `producer` its
    Producer."""

    def __init__(
        self,
        consumer: Any,
        producer: Any,
        topics: tuple[str, str],
        lengths: Mapping[str, int],
        stored: StoredTrades,
        written: Callable[[list[Partition]], Mapping[Partition, int]],
        metrics: AnalyzerMetrics,
        health: Health,
        member: Callable[[], bool],
        wall_ms: Callable[[], int] = now_ms,
    ) -> None:
        """`topics`: of the trades and of the bars; `lengths`: of the bars, in milliseconds, by the text in the feed;
        `written` returns the offsets that the feed's consumers have committed; `member` returns whether `consumer` is
        in its group."""
        self._consumer = consumer
        self._producer = producer
        self._topic, self._bars_topic = topics
        self._lengths = lengths
        self._stored = stored
        self._written = written
        self._metrics = metrics
        self._health = health
        self._member = member
        self._wall_ms = wall_ms
        self._trades = Trades()
        self._windows: dict[int, Windows] = {}
        self._next: dict[int, int] = {}
        """By partition, the offset after the last record that was read."""
        self._committed: dict[int, int] = {}
        self._waiting: dict[int, int] = {}
        """By partition with unknown windows, the offset that the consumers must have passed before Cassandra is read.
        Nothing is read or committed meanwhile."""
        self._waiting_since = 0.0
        self._ask_at = self._commit_at = self._log_at = 0.0
        self._failure: KafkaError | None = None
        metrics.waiting_seconds.set_function(
            lambda: time.monotonic() - self._waiting_since if self._waiting else 0.0
        )  # fmt: skip

    def run(self, stop: threading.Event) -> None:
        """Run until `stop`. Raises KafkaException if a partition can't be taken over or a bar was not accepted: a
        restart reads again from what was committed."""
        self._consumer.subscribe(
            [self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
        )  # fmt: skip
        try:
            while not stop.is_set():
                self.step()
            self._commit(wait=True)
        finally:
            self._consumer.close()
            self._stored.close()

    def obstacle(self) -> str | None:
        """Return why nothing is computed, None while it is. Thread-safe."""
        waiting_s = time.monotonic() - self._waiting_since if self._waiting else 0.0
        return f"waiting for {waiting_s:.0f} s for consumers or Cassandra" if waiting_s > STALLED_S else None

    def step(self) -> None:
        """Process the records that have arrived, at most AT_ONCE; while waiting, only see whether that is over."""
        messages = self._consumer.consume(AT_ONCE, POLL_S)
        self._take([message for message in messages if self._usable(message)])
        if not self._waiting:
            self._wait_for_unknown()
        elif time.monotonic() >= self._ask_at:
            self._ask_at = time.monotonic() + ASK_EVERY_S
            self._resolve()
        self._emit()
        if messages or self._waiting or self._member():
            self._health.beat()
        if time.monotonic() >= self._commit_at:
            self._commit_at = time.monotonic() + COMMIT_EVERY_S
            self._commit(wait=False)

    def _usable(self, message: Any) -> bool:
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                log.warning("Kafka: %s", error.str())
            return False
        return message.partition() in self._windows

    def _take(self, messages: list[Any]) -> None:
        found = Added()
        for message in messages:
            partition = message.partition()
            try:
                trade = self._trades.read(message.value())
                if trade is None:
                    self._metrics.deletes.inc()
                else:
                    self._windows[partition].add(trade, found)
            except (Undecodable, ArithmeticError):
                # The consumer makes what it can't write a dead letter.
                self._metrics.undecodable.inc()
            self._next[partition] = message.offset() + 1
        self._metrics.trades.inc(len(messages))
        self._metrics.repeated.inc(found.repeated)
        self._metrics.late.inc(found.late)

    def _wait_for_unknown(self) -> None:
        unknown = {p: self._next[p] for p, windows in self._windows.items() if windows.unknown()}
        if unknown:
            self._waiting, self._waiting_since = unknown, time.monotonic()
            self._consumer.pause(self._partitions(self._windows))

    def _resolve(self) -> None:
        """Read the trades of the unknown windows once the consumers have written them, and go on."""
        try:
            wanted = [(self._topic, partition) for partition in self._waiting]
            written = self._written(wanted)
            behind = sum(
                max(0, offset - written.get((self._topic, partition), 0))
                for partition, offset in self._waiting.items()
            )  # fmt: skip
            if behind:
                self._log_waiting(f"{behind} trades that the consumers have not written yet")
                return
            stored = {p: self._stored.read(self._windows[p].unknown()) for p in self._waiting}
        except (KafkaException, NoHostAvailable, DriverException) as error:
            self._log_waiting(f"a server: {error}")
            return
        for partition, trades in stored.items():
            self._metrics.reloaded.inc(self._windows[partition].resolve(trades))
        self._go_on()

    def _go_on(self) -> None:
        self._waiting = {}
        self._consumer.resume(self._partitions(self._windows))

    def _log_waiting(self, what: str) -> None:
        now = time.monotonic()
        if now - self._waiting_since > LOG_EVERY_S and now - self._log_at > LOG_EVERY_S:
            self._log_at = now
            log.warning("waiting for %.0f s for %s", now - self._waiting_since, what)

    def _emit(self) -> None:
        for partition, windows in self._windows.items():
            for row, committed_us in windows.take():
                self._produce(partition, row["symbol"], value_of(row, committed_us), committed_us)
        self._producer.poll(0)
        self._metrics.open_windows.set(sum(map(len, self._windows.values())))
        if self._failure is not None:
            raise KafkaException(self._failure)

    def _produce(self, partition: int, symbol: str, value: bytes, committed_us: int) -> None:
        """Send a bar to the partition of its trades."""

        def delivered(error: KafkaError | None, _: object) -> None:
            if error is not None:
                self._failure = error
                return
            self._metrics.rows.labels("bars").inc()
            if committed_us:
                self._metrics.commit_seconds.observe(max(0.0, self._wall_ms() / 1000 - committed_us / 1e6))

        while True:
            try:
                self._producer.produce(self._bars_topic, value, key_of(symbol), partition, on_delivery=delivered)
                return
            except BufferError:
                self._producer.poll(POLL_S)

    def _assigned(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        if not partitions:
            return
        starts = self._starts(consumer, partitions)
        consumer.incremental_assign(starts)
        for at in starts:
            self._windows[at.partition] = Windows(self._lengths, self._wall_ms())
            self._next[at.partition] = at.offset
        if self._waiting:
            consumer.pause(self._partitions(at.partition for at in starts))

    def _starts(self, consumer: Any, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Return where to start reading each partition: where the group stopped, and from the beginning where it has
        not computed all lengths before."""
        starts = []
        for at in consumer.committed(partitions, timeout=TIMEOUT_S):
            low, high = consumer.get_watermark_offsets(at, timeout=TIMEOUT_S)
            computed = set((at.metadata or "").split(","))
            whole = at.offset < 0 or self._lengths.keys() - computed
            start = low if whole else min(max(at.offset, low), high)  # a recreated topic begins at 0
            if 0 <= at.offset < low and not whole:
                self._metrics.missed.inc(low - at.offset)
                log.error("partition %d: Kafka no longer has %d unread trades", at.partition, low - at.offset)
            starts.append(TopicPartition(self._topic, at.partition, start))
            log.info("partition %d: reading from offset %d of %d", at.partition, start, high)
        return starts

    def _revoked(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        self._commit(wait=True)
        self._lost(consumer, partitions)

    def _lost(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        """Called alone when another member already owns them: nothing may be committed."""
        waiting = bool(self._waiting)
        for at in partitions:
            for kept in (self._windows, self._next, self._committed, self._waiting):
                kept.pop(at.partition, None)
        consumer.incremental_unassign(partitions)
        if waiting and not self._waiting:
            self._go_on()

    def _commit(self, *, wait: bool) -> None:
        """Commit what was read once Kafka has all bars of it."""
        new = {p: offset for p, offset in self._next.items() if self._committed.get(p) != offset}
        if self._waiting or not new:
            return
        self._emit()
        if self._producer.flush(FLUSH_S) or self._failure is not None:
            return
        metadata = ",".join(sorted(self._lengths))
        offsets = [TopicPartition(self._topic, p, offset, metadata) for p, offset in new.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=not wait)
        except KafkaException as error:
            # Bars that are written again have the same versions.
            log.warning("Kafka: offsets not committed: %s", error)
            return
        self._committed |= new

    def _partitions(self, numbers: Any) -> list[TopicPartition]:
        return [TopicPartition(self._topic, number) for number in numbers]

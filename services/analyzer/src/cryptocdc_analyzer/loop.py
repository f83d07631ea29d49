"""The analyzer's loop: read captured rows, write the computed rows that they change, and only then commit.

What a window needs that is not in memory is read from Cassandra, once the feed's consumers have written everything
before this program's position: then a bar has all trades of its window, whatever was killed, late or lost. A bar that
is written again, or by an analyzer that was frozen, has no more trades than the newest, and so no greater version.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from cassandra import DriverException
from cassandra.cluster import NoHostAvailable
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from cryptocdc_adapters.kafka.offsets import Partition, Span, lags
from cryptocdc_adapters.metrics.serving import Health
from cryptocdc_analyzer.models.recent import Recent, RecentBars, RecentBooks, RecentForecasts
from cryptocdc_analyzer.models.skills import Skills
from cryptocdc_analyzer.records import Books, Result, Trades, value_of
from cryptocdc_analyzer.stored import StoredRows
from cryptocdc_analyzer.windows.series import Added, Series, Windows
from cryptocdc_core.catalogue.computed import ANOMALIES, BARS, BOOK_METRICS, FORECASTS, VOLATILITY
from cryptocdc_core.catalogue.streams import ORDER_BOOK, RECENT_TRADES
from cryptocdc_core.feed.analytics import Analytics
from cryptocdc_core.names import Names
from cryptocdc_core.program.metrics import AnalyzerMetrics
from cryptocdc_core.rows.changes import Undecodable, record_key
from cryptocdc_core.time.times import now_ms

log = logging.getLogger(__name__)

AT_ONCE = 1_000
POLL_S = 0.1
COMMIT_EVERY_S = 1.0
ASK_EVERY_S = 0.2
COMPARE_EVERY_S = 1.0
"""How often windows that others are compared with are read, if need be: while the past is caught up with, each step
would need some."""
READ_FOR_S = 1.0
"""How long Cassandra is read before the group is polled again."""
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
        names: Names,
        analytics: Analytics,
        stored: StoredRows,
        written: Callable[[list[Partition]], Mapping[Partition, int]],
        ends: Callable[[list[str]], Mapping[Partition, Span]],
        metrics: AnalyzerMetrics,
        health: Health,
        member: Callable[[], bool],
        wall_ms: Callable[[], int] = now_ms,
    ) -> None:
        """`producer` must choose partitions by key, as Kafka Connect's does. `written` returns the offsets that the
        feed's consumers have committed; `ends` returns the span of each partition of topics, and raises KafkaException
        or TimeoutError; `member` returns whether `consumer` is in its group."""
        self._consumer = consumer
        self._producer = producer
        self._names = names
        lengths = {BARS.table: analytics.bar_lengths, VOLATILITY.table: analytics.volatility_lengths}
        self._lengths = {Series(table, text): ms for table, of in lengths.items() for text, ms in of.items()}
        self._trades_topic = names.change_topic(RECENT_TRADES.table)
        self._books_topic = names.change_topic(ORDER_BOOK.table)
        self._compared = analytics.anomaly_lengths
        self._predicted = analytics.forecast_lengths
        compared = [f"{ANOMALIES.table}/{text}" for text in self._compared]
        windows = [*map("/".join, self._lengths), *compared, *(f"{FORECASTS.table}/{text}" for text in self._predicted)]
        self._computed = {
            **({self._trades_topic: sorted(windows)} if self._lengths else {}),
            **({self._books_topic: sorted([BOOK_METRICS.table, *compared])} if analytics.book_metrics else {}),
        }
        """By topic, what is computed of it."""
        self._stored = stored
        self._written = written
        self._ends = ends
        self._metrics = metrics
        self._skills = Skills(metrics.forecast_skill)
        self._health = health
        self._member = member
        self._wall_ms = wall_ms
        self._trades, self._books = Trades(), Books()
        self._results: list[Result] = []
        """Rows to write."""
        self._windows: dict[Partition, Windows] = {}
        """Of the partitions of trades."""
        self._recent: dict[Partition, list[Recent]] = {}
        self._next: dict[Partition, int] = {}
        """By partition, the offset after the last record that was read."""
        self._committed: dict[Partition, int] = {}
        self._waiting: set[Partition] = set()
        """The partitions whose windows are read from Cassandra. Nothing is read from Kafka or committed meanwhile."""
        self._required: Mapping[Partition, Span] = {}
        """The records that the consumers must have written before Cassandra is read."""
        self._waiting_since = 0.0
        self._reading: Iterator[None] | None = None
        """Reads what is waited for, a page at each step."""
        self._read: Callable[[], Iterator[None]] = iter(()).__iter__
        self._ask_at = self._commit_at = self._log_at = self._compare_at = 0.0
        self._failure: KafkaError | None = None
        metrics.waiting_seconds.set_function(
            lambda: time.monotonic() - self._waiting_since if self._waiting else 0.0
        )  # fmt: skip

    def run(self, stop: threading.Event) -> None:
        """Run until `stop`. Raises KafkaException if a partition can't be taken over or a bar was not accepted: a
        restart reads again from what was committed."""
        self._consumer.subscribe(
            list(self._computed), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
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
            self._wait_for_recent()
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
        return _partition(message) in self._next

    def _take(self, messages: list[Any]) -> None:
        found = Added()
        for message in messages:
            partition = _partition(message)
            try:
                if partition in self._windows:
                    self._take_trade(partition, message.value(), found)
                else:
                    self._take_book(partition, message.value())
            except (Undecodable, ArithmeticError):
                # The consumer makes what it can't write a dead letter.
                self._metrics.undecodable.inc()
            self._next[partition] = message.offset() + 1
        self._metrics.trades.inc(sum(message.topic() == self._trades_topic for message in messages))
        self._count(found)

    def _count(self, found: Added) -> None:
        self._metrics.repeated.inc(found.repeated)
        self._metrics.late.inc(found.late)
        self._metrics.undecodable.inc(found.refused)
        self._metrics.reloaded.inc(found.reloaded)

    def _take_trade(self, partition: Partition, value: bytes | None, found: Added) -> None:
        trade = self._trades.read(value)
        if trade is None:
            self._metrics.deletes.inc()
        else:
            self._windows[partition].add(trade, found)

    def _take_book(self, partition: Partition, value: bytes | None) -> None:
        result = self._books.read(value)
        if result is None:
            self._metrics.deletes.inc()
        else:
            self._results.append(result)
            self._give(partition, result)

    def _give(self, partition: Partition, result: Result) -> None:
        for recent in self._recent[partition]:
            if result.table in [source.table for source in recent.sources]:
                recent.add(result.table, result.row)

    def _wait_for_unknown(self) -> None:
        unknown = self._unknown()
        if not unknown:
            return
        required: Mapping[Partition, Span] = {p: (0, self._next[p]) for p in unknown}
        if any(self._windows[p].begins() for p in unknown):
            # A symbol's earlier trades are in another partition if partitions were added.
            spans = self._spans([self._trades_topic])
            if spans is None:
                return
            required = {**required, **spans}
        self._wait(unknown, required, lambda: self._read_unknown([self._windows[p] for p in self._waiting]))

    def _unknown(self) -> list[Partition]:
        return [partition for partition, windows in self._windows.items() if windows.unknown()]

    def _wait_for_recent(self) -> None:
        """Wait until the consumers have written the rows that windows are compared with, whoever computed them."""
        if self._waiting or time.monotonic() < self._compare_at:
            return
        self._compare_at = time.monotonic() + COMPARE_EVERY_S
        wanted = self._wanted()
        if not wanted:
            return
        self._producer.flush(FLUSH_S)
        tables = {source.table for _, recent in wanted for source in recent.sources}
        spans = self._spans([self._names.change_topic(table) for table in sorted(tables)])
        if spans is not None:
            self._wait([at for at, _ in wanted], spans, lambda: self._read_recent(wanted))

    def _spans(self, topics: list[str]) -> Mapping[Partition, Span] | None:
        """Return what each partition of the topics holds, None if Kafka does not answer: then it is asked again."""
        try:
            return self._ends(topics)
        except (KafkaException, TimeoutError) as error:
            log.warning("Kafka: %s", error)
            return None

    def _wanted(self) -> list[tuple[Partition, Recent]]:
        return [(at, recent) for at, found in self._recent.items() for recent in found if recent.wanted()]

    def _wait(
        self, partitions: Iterable[Partition], required: Mapping[Partition, Span], read: Callable[[], Iterator[None]]
    ) -> None:
        self._waiting, self._required, self._read = set(partitions), required, read
        self._waiting_since = time.monotonic()
        self._consumer.pause(_offsets(self._next))

    def _resolve(self) -> None:
        """Read what is waited for once the consumers have written it, for READ_FOR_S, and go on once all is there."""
        try:
            if self._reading is None:
                behind = sum(lags(self._required, self._written(list(self._required))).values())
                if behind:
                    self._log_waiting(f"{behind} rows that the consumers have not written yet")
                    return
                self._reading = self._read()
            until = time.monotonic() + READ_FOR_S
            for _ in self._reading:
                self._health.beat()
                if time.monotonic() >= until:
                    self._ask_at = 0.0
                    return
        except (KafkaException, NoHostAvailable, DriverException) as error:
            self._reading = None
            self._log_waiting(f"a server: {error}")
            return
        self._go_on()

    def _read_unknown(self, partitions: Iterable[Windows]) -> Iterator[None]:
        """Make the unknown windows known, one symbol after the other, and yield after each page of stored trades."""
        for windows in partitions:
            for symbol, spans in groupby(windows.unknown(), lambda span: span.symbol):
                found = Added()
                yield from windows.resolve(symbol, self._stored.trades(spans), found)
                self._count(found)

    def _read_recent(self, wanted: Iterable[tuple[Partition, Recent]]) -> Iterator[None]:
        for partition, recent in wanted:
            if recent in self._recent.get(partition, []):
                yield from recent.load(self._stored.windows)

    def _go_on(self) -> None:
        self._waiting, self._reading = set(), None
        self._consumer.resume(_offsets(self._next))

    def _log_waiting(self, what: str) -> None:
        now = time.monotonic()
        if now - self._waiting_since > LOG_EVERY_S and now - self._log_at > LOG_EVERY_S:
            self._log_at = now
            log.warning("waiting for %.0f s for %s", now - self._waiting_since, what)

    def _emit(self) -> None:
        for partition, windows in self._windows.items():
            for taken in windows.take():
                result = Result(*taken)
                self._results.append(result)
                self._give(partition, result)
        # A window is compared once the next one begins, which no commit is the cause of.
        now_us = self._wall_ms() * 1000
        for at, recents in self._recent.items():
            made = [Result(recent.result.table, row, now_us) for recent in recents for row in recent.take()]
            self._skills.show(at, (result.row for result in made if result.table == FORECASTS.table))
            self._results += made
        for result in self._results:
            self._produce(result)
        self._results.clear()
        self._producer.poll(0)
        self._metrics.open_windows.set(sum(map(len, self._windows.values())))
        if self._failure is not None:
            raise KafkaException(self._failure)

    def _produce(self, result: Result) -> None:
        """Send a row to the partition of its symbol, which may be another than that of the rows that it is made of."""

        def delivered(error: KafkaError | None, _: object) -> None:
            if error is not None:
                self._failure = error
                return
            self._metrics.rows.labels(result.table).inc()
            if result.committed_us and result.table not in (ANOMALIES.table, FORECASTS.table):
                seconds = self._wall_ms() / 1000 - result.committed_us / 1e6
                self._metrics.commit_seconds.observe(max(0.0, seconds))

        topic, value, key = self._names.change_topic(result.table), value_of(result), record_key(result.row["symbol"])
        while True:
            try:
                self._producer.produce(topic, value, key, on_delivery=delivered)
                return
            except BufferError:
                self._producer.poll(POLL_S)

    def _assigned(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        if not partitions:
            return
        starts = self._starts(consumer, partitions)
        consumer.incremental_assign(starts)
        for at in starts:
            partition, now_ms = (at.topic, at.partition), self._wall_ms()
            self._next[partition] = at.offset
            if at.topic == self._trades_topic:
                self._windows[partition] = Windows(self._lengths, now_ms)
                self._recent[partition] = [RecentBars(self._compared, now_ms), RecentForecasts(self._predicted, now_ms)]
            else:
                self._recent[partition] = [RecentBooks(self._compared, now_ms)]
        if self._waiting:
            consumer.pause(starts)

    def _starts(self, consumer: Any, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Return where to start reading each partition: where the group stopped, and from the beginning where it has
        computed the same before."""
        starts = []
        for at in consumer.committed(partitions, timeout=TIMEOUT_S):
            low, high = consumer.get_watermark_offsets(at, timeout=TIMEOUT_S)
            computed = set((at.metadata or "").split(","))
            whole = at.offset < 0 or set(self._computed[at.topic]) - computed
            # A recreated topic has fewer records than were committed, and begins again.
            start = low if whole or not low <= at.offset <= high else at.offset
            if 0 <= at.offset < low and not whole:
                self._metrics.missed.inc(low - at.offset)
                log.error("%s [%d]: Kafka no longer has %d unread rows", at.topic, at.partition, low - at.offset)
            starts.append(TopicPartition(at.topic, at.partition, start))
            log.info("%s [%d]: reading from offset %d of %d", at.topic, at.partition, start, high)
        return starts

    def _revoked(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        self._commit(wait=True)
        self._lost(consumer, partitions)

    def _lost(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        """Called alone when another member already owns them: nothing may be committed."""
        waiting, self._reading = bool(self._waiting), None
        for at in partitions:
            self._skills.forget((at.topic, at.partition))
            for kept in (self._windows, self._recent, self._next, self._committed):
                kept.pop((at.topic, at.partition), None)
            self._waiting.discard((at.topic, at.partition))
        consumer.incremental_unassign(partitions)
        if waiting and not self._waiting:
            self._go_on()

    def _commit(self, *, wait: bool) -> None:
        """Commit what was read once Kafka has all bars of it."""
        new = {p: offset for p, offset in self._next.items() if self._committed.get(p) != offset}
        if self._waiting or self._unknown() or self._wanted() or not new:
            return
        self._emit()
        if self._producer.flush(FLUSH_S) or self._failure is not None:
            return
        offsets = [
            TopicPartition(topic, partition, offset, ",".join(self._computed[topic]))
            for (topic, partition), offset in new.items()
        ]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=not wait)
        except KafkaException as error:
            # Bars that are written again have the same versions.
            log.warning("Kafka: offsets not committed: %s", error)
            return
        self._committed |= new

    def on_commit(self, error: Any, partitions: Sequence[Any]) -> None:
        """Handle the result of a commit; failed offsets are committed again."""
        for at in partitions:
            if error is not None or at.error is not None:
                self._committed.pop((at.topic, at.partition), None)


def _partition(message: Any) -> Partition:
    return message.topic(), message.partition()


def _offsets(partitions: Iterable[Partition]) -> list[TopicPartition]:
    return [TopicPartition(*partition) for partition in partitions]

"""The alerter's loop: read prices, evaluate alerts, record transitions, and only then commit.

The group's committed offset says up to where prices were evaluated, and its metadata when Kafka received the last of
them. An assigned partition is read from the length of the longest window before that: those prices only fill windows.
So neither a restart nor a rebalance makes an alert fire twice or miss what happened meanwhile.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from cryptocdc_adapters.serving import Health
from cryptocdc_alerter.evaluation import Evaluation, Position
from cryptocdc_alerter.ledger import Ledger
from cryptocdc_alerter.reading import Prices
from cryptocdc_alerter.records import FIRING, Record, known_of, record_of, removed
from cryptocdc_core.alerts import Alert
from cryptocdc_core.changes import Undecodable
from cryptocdc_core.metrics import AlerterMetrics
from cryptocdc_core.names import Source
from cryptocdc_core.times import now_ms

log = logging.getLogger(__name__)

AT_ONCE = 1_000
POLL_S = 0.2
COMMIT_EVERY_S = 1.0
ASK_EVERY_S = 10.0
TIMEOUT_S = 10.0
SLACK_MS = 60_000
"""A record's timestamp is when Connect sent it, later than the exchange's event unless their clocks disagree."""


class PriceLoop:
    """`consumer` is confluent_kafka's Consumer, not yet subscribed, with automatic commits off."""

    def __init__(
        self,
        consumer: Any,
        topic: str,
        alerts: Sequence[Alert],
        prices: Prices,
        ledger: Ledger,
        notify: Callable[[Record], None],
        feed: tuple[str, Source],
        metrics: AlerterMetrics,
        health: Health,
        member: Callable[[], bool],
        wall_ms: Callable[[], int] = now_ms,
    ) -> None:
        """`notify` is called with each acknowledged record, and must not block; `feed`: the identity and its source;
        `member` returns whether `consumer` is in its group."""
        self._consumer = consumer
        self._topic = topic
        self._alerts = {alert.id: alert for alert in alerts}
        self._prices = prices
        self._ledger = ledger
        self._notify = notify
        self._feed = feed
        self._metrics = metrics
        self._health = health
        self._member = member
        self._wall_ms = wall_ms
        self._evaluation = Evaluation(alerts)
        self._resume: dict[int, int] = {}
        """By partition, the first offset that was not evaluated before."""
        self._done: dict[int, tuple[int, int]] = {}
        """By partition, the next offset, and the timestamp of the record before it, in milliseconds."""
        self._committed: dict[int, tuple[int, int]] = {}
        self._commit_at = self._ask_at = 0.0
        self._stop = threading.Event()
        for alert in alerts:
            # Otherwise a symbol without any price would have no series, and no alert could report it.
            metrics.evaluated.labels(alert.symbol).set(wall_ms() / 1000)

    def run(self, stop: threading.Event) -> None:
        """Run until `stop`. Raises KafkaException if a partition can't be taken over: a restart tries again."""
        self._stop = stop
        self._consumer.subscribe(
            [self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
        )  # fmt: skip
        try:
            while not stop.is_set():
                self.step()
            self._commit(wait=True)
        finally:
            self._consumer.close()

    def step(self) -> None:
        """Process the records that have arrived, at most AT_ONCE."""
        messages = self._consumer.consume(AT_ONCE, POLL_S)
        arrived = False
        for message in messages:
            error = message.error()
            if error is None:
                arrived = True
                if not self._take(message):
                    return  # stopped before the alert record was acknowledged: nothing of this is committed
            elif error.code() != KafkaError._PARTITION_EOF:
                log.warning("Kafka: %s", error.str())
        if arrived:
            self._health.beat()
        else:
            self._beat_when_idle()
        if time.monotonic() >= self._commit_at:
            self._commit_at = time.monotonic() + COMMIT_EVERY_S
            self._commit(wait=False)

    def _take(self, message: Any) -> bool:
        partition, offset = message.partition(), message.offset()
        fresh = offset >= self._resume.get(partition, 0)
        try:
            found = self._prices.read(message.value())
        except Undecodable:
            # The consumer makes it a dead letter.
            self._metrics.undecodable.inc()
            found = None
        if found is not None and self._evaluation.watches(found[0]):
            symbol, point = found
            position = Position(self._topic, partition, offset)
            if not fresh:
                self._evaluation.fill(symbol, point, position)
                self._metrics.filled.inc()
            elif not self._evaluate(symbol, point, position):
                return False
        if fresh:
            self._done[partition] = offset + 1, message.timestamp()[1]
        return True

    def _evaluate(self, symbol: str, point: Any, position: Position) -> bool:
        fid, source = self._feed
        for turned in self._evaluation.evaluate(symbol, point, position):
            record = record_of(turned, fid, source, self._wall_ms())
            if not self._record(record):
                return False
            self._metrics.event_seconds.observe(max(0.0, (self._wall_ms() - turned.point.at_ms) / 1000))
        self._metrics.prices.inc()
        self._metrics.evaluated.labels(symbol).set(point.at_ms / 1000)
        return True

    def _record(self, record: Record) -> bool:
        if not self._ledger.write(record, self._stop):
            return False
        log.warning("alert %s: %s at %s since %s", record.state, record.id, record.price, record.since)
        self._metrics.transitions.labels(record.state).inc()
        if record.id in self._alerts:
            self._metrics.firing.labels(record.id, record.symbol).set(record.state == FIRING)
        self._notify(record)
        return True

    def _assigned(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        if not partitions:
            return
        last = self._ledger.read()
        self._clear(last)
        self._evaluation.restore({alert: known_of(record) for alert, record in last.items()})
        consumer.incremental_assign(self._starts(consumer, partitions))
        for alert in self._alerts.values():
            record = last.get(alert.id)
            self._metrics.firing.labels(alert.id, alert.symbol).set(record is not None and record.state == FIRING)

    def _clear(self, last: Mapping[str, Record]) -> None:
        """Resolve firing alerts that were removed from the feed, and erase resolved ones."""
        for alert, record in last.items():
            if alert in self._alerts:
                continue
            if record.state == FIRING:
                self._record(removed(record, self._wall_ms()))
            else:
                self._ledger.erase(alert, self._stop)

    def _starts(self, consumer: Any, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Return where to start reading each partition, so that its windows are full when evaluation continues. A
        partition that was never evaluated is evaluated from its end on."""
        times = []
        for at in consumer.committed(partitions, timeout=TIMEOUT_S):
            low, high = consumer.get_watermark_offsets(at, timeout=TIMEOUT_S)
            resume, recorded_ms = high, self._wall_ms()
            if at.offset >= 0:
                resume = min(max(at.offset, low), high)  # a recreated topic begins at 0
                recorded_ms = int(at.metadata) if (at.metadata or "").isdigit() else recorded_ms
            self._resume[at.partition] = resume
            self._done[at.partition] = resume, recorded_ms
            wanted_ms = recorded_ms - self._evaluation.longest_ms - SLACK_MS
            times.append(TopicPartition(self._topic, at.partition, max(0, wanted_ms)))
        starts = []
        for found in consumer.offsets_for_times(times, timeout=TIMEOUT_S):
            resume = self._resume[found.partition]
            start = min(found.offset, resume) if found.offset >= 0 else resume
            starts.append(TopicPartition(self._topic, found.partition, start))
            log.info("partition %d: reading from offset %d, evaluating from %d", found.partition, start, resume)
        return starts

    def _revoked(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        self._commit(wait=True)
        self._forget(partitions)
        consumer.incremental_unassign(partitions)

    def _lost(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        """Called when another member already owns them: nothing may be committed."""
        self._forget(partitions)
        consumer.incremental_unassign(partitions)

    def _forget(self, partitions: list[TopicPartition]) -> None:
        for at in partitions:
            self._evaluation.remove(at.partition)
            for kept in (self._resume, self._done, self._committed):
                kept.pop(at.partition, None)
        if not self._resume:
            self._metrics.firing.clear()

    def _commit(self, *, wait: bool) -> None:
        new = {p: at for p, at in self._done.items() if self._committed.get(p) != at}
        if not new:
            return
        offsets = [TopicPartition(self._topic, p, offset, str(ms)) for p, (offset, ms) in new.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=not wait)
        except KafkaException as error:
            # Rereading prices does not make alerts fire again.
            log.warning("Kafka: offsets not committed: %s", error)
            return
        self._committed |= new

    def _beat_when_idle(self) -> None:
        """Report an idle program as healthy only if it is in the group and Kafka answers."""
        if time.monotonic() < self._ask_at:
            return
        self._ask_at = time.monotonic() + ASK_EVERY_S
        try:
            self._consumer.list_topics(self._topic, timeout=TIMEOUT_S)
        except KafkaException as error:
            log.warning("Kafka: %s", error)
            return
        if self._member():
            self._health.beat()

"""The alerter's loop: read prices, evaluate alerts, record transitions, and only then commit.

The group's committed offset says up to where prices were evaluated, and its metadata when Kafka received the last of
them. An assigned partition is read from the length of the longest window before that: those prices only fill windows.
So neither a restart nor a rebalance makes an alert fire twice or miss what happened meanwhile.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from cryptocdc_adapters.kafka.offsets import Partition
from cryptocdc_adapters.metrics.serving import Health
from cryptocdc_alerter.anomalies import Anomalies, AnomalyEvaluation, Compared
from cryptocdc_alerter.evaluation import Evaluation, Position, Transition
from cryptocdc_alerter.ledger import Ledger
from cryptocdc_alerter.reading import Prices
from cryptocdc_alerter.records import FIRING, Record, known_of, record_of, removed
from cryptocdc_core.feed.alerts import Alert
from cryptocdc_core.names import Source
from cryptocdc_core.program.metrics import AlerterMetrics
from cryptocdc_core.rows.changes import Undecodable
from cryptocdc_core.time.times import now_ms

log = logging.getLogger(__name__)

AT_ONCE = 1_000
POLL_S = 0.2
COMMIT_EVERY_S = 1.0
ASK_EVERY_S = 10.0
TIMEOUT_S = 10.0
SLACK_MS = 60_000
"""A record's timestamp is when Connect sent it, later than the exchange's event unless their clocks disagree."""


Topics = Mapping[str, Prices | Anomalies]


class PriceLoop:
    """`consumer` is confluent_kafka's Consumer, not yet subscribed, with automatic commits off."""

    def __init__(
        self,
        consumer: Any,
        topics: Topics,
        alerts: Sequence[Alert],
        ledger: Ledger,
        notify: Callable[[Record], None],
        feed: tuple[str, Source],
        metrics: AlerterMetrics,
        health: Health,
        member: Callable[[], bool],
        wall_ms: Callable[[], int] = now_ms,
    ) -> None:
        """`topics`: what decodes the records of each; `notify` is called with each acknowledged record, and must not
        block; `feed`: the identity and its source; `member` returns whether `consumer` is in its group."""
        self._consumer = consumer
        self._topics = topics
        self._alerts = {alert.id: alert for alert in alerts}
        self._ledger = ledger
        self._notify = notify
        self._feed = feed
        self._metrics = metrics
        self._health = health
        self._member = member
        self._wall_ms = wall_ms
        self._evaluation = Evaluation([alert for alert in alerts if not alert.anomaly])
        self._anomalies = AnomalyEvaluation([alert for alert in alerts if alert.anomaly])
        self._resume: dict[Partition, int] = {}
        """By partition, the first offset that was not evaluated before."""
        self._done: dict[Partition, tuple[int, int]] = {}
        """By partition, the next offset, and the timestamp of the record before it, in milliseconds."""
        self._committed: dict[Partition, tuple[int, int]] = {}
        self._commit_at = self._ask_at = 0.0
        self._stop = threading.Event()
        for alert in alerts:
            # Otherwise a symbol without any price would have no series, and no alert could report it.
            metrics.evaluated.labels(alert.symbol).set(wall_ms() / 1000)

    def run(self, stop: threading.Event) -> None:
        """Run until `stop`. Raises KafkaException if a partition can't be taken over: a restart tries again."""
        self._stop = stop
        self._consumer.subscribe(
            list(self._topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
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
        at, offset, recorded_ms = (message.topic(), message.partition()), message.offset(), message.timestamp()[1]
        fresh = offset >= self._resume.get(at, 0)
        try:
            found = self._topics[at[0]].read(message.value())
        except Undecodable:
            # The consumer makes it a dead letter.
            self._metrics.undecodable.inc()
            found = None
        position = Position(*at, offset)
        if isinstance(found, Compared):
            if fresh and self._anomalies.watches(found.symbol):
                turned = self._anomalies.evaluate(found, position, recorded_ms)
                if not self._turn(turned, found.symbol, found.close_ms):
                    return False
        elif found is not None and self._evaluation.watches(found[0]):
            symbol, point = found
            if not fresh:
                self._evaluation.fill(symbol, point, position)
                self._metrics.filled.inc()
            elif not self._turn(self._evaluation.evaluate(symbol, point, position), symbol, point.at_ms):
                return False
            else:
                self._metrics.prices.inc()
        if fresh:
            self._done[at] = offset + 1, recorded_ms
        return True

    def _turn(self, turned: Iterable[Transition], symbol: str, at_ms: int) -> bool:
        """Record what has fired or resolved at a price or a window of `at_ms`; False if stopped before."""
        fid, source = self._feed
        for transition in turned:
            if not self._record(record_of(transition, fid, source, self._wall_ms())):
                return False
            self._metrics.event_seconds.observe(max(0.0, (self._wall_ms() - transition.point.at_ms) / 1000))
        self._metrics.evaluated.labels(symbol).set(at_ms / 1000)
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
        known = {alert: known_of(record) for alert, record in last.items()}
        self._evaluation.restore(known)
        self._anomalies.restore(known)
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
        partition that was never evaluated is evaluated from its end on. Raises KafkaException."""
        times = []
        for at in consumer.committed(partitions, timeout=TIMEOUT_S):
            if at.error is not None:  # its offset is unknown, which must not count as none
                raise KafkaException(at.error)
            low, high = consumer.get_watermark_offsets(at, timeout=TIMEOUT_S)
            resume, recorded_ms = high, self._wall_ms()
            if at.offset >= 0:
                resume = min(max(at.offset, low), high)  # a recreated topic begins at 0
                recorded_ms = int(at.metadata) if (at.metadata or "").isdigit() else recorded_ms
            self._resume[at.topic, at.partition] = resume
            self._done[at.topic, at.partition] = resume, recorded_ms
            wanted_ms = recorded_ms - self._evaluation.longest_ms - SLACK_MS
            times.append(TopicPartition(at.topic, at.partition, max(0, wanted_ms)))
        starts = []
        for found in consumer.offsets_for_times(times, timeout=TIMEOUT_S):
            resume = self._resume[found.topic, found.partition]
            start = min(found.offset, resume) if found.offset >= 0 else resume
            starts.append(TopicPartition(found.topic, found.partition, start))
            log.info("%s [%d]: reading from offset %d, evaluating from %d", found.topic, found.partition, start, resume)
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
            if isinstance(self._topics[at.topic], Prices):
                self._evaluation.remove(at.partition)
            for kept in (self._resume, self._done, self._committed):
                kept.pop((at.topic, at.partition), None)
        if not self._resume:
            self._metrics.firing.clear()

    def _commit(self, *, wait: bool) -> None:
        new = {p: at for p, at in self._done.items() if self._committed.get(p) != at}
        if not new:
            return
        offsets = [TopicPartition(*at, offset, str(ms)) for at, (offset, ms) in new.items()]
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
            self._consumer.list_topics(next(iter(self._topics)), timeout=TIMEOUT_S)
        except KafkaException as error:
            log.warning("Kafka: %s", error)
            return
        if self._member():
            self._health.beat()

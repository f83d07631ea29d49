"""The symbols assigned to this producer: Kafka's consumer group protocol distributes the symbols topic's partitions.

The group never commits: an assigned partition is read from its beginning, and its records are the symbols. Assignment
is cooperative, so that a rebalance affects only the partitions that move.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from cryptocdc_adapters.kafka.clients import client_config
from cryptocdc_adapters.kafka.membership import Membership
from cryptocdc_core.names import Names
from cryptocdc_core.program.settings import KafkaSettings

log = logging.getLogger(__name__)

SESSION_MS = 10_000
"""After this long without a heartbeat a producer's symbols are assigned to the others."""


class Assignment:
    """Runs a thread, which calls `on_change` with (acquired, moved away, removed), each a set of symbols.

    Moved away: another producer has them now. Removed: nobody captures them any more. A producer that loses its
    connection to Kafka keeps its symbols until partitions are assigned to it again.
    """

    def __init__(
        self, settings: KafkaSettings, names: Names, on_change: Callable[[set[str], set[str], set[str]], object]
    ) -> None:
        self._topic = names.symbols_topic
        self._on_change = on_change
        self._symbols: dict[int, set[str]] = {}
        """The captured symbols by partition."""
        self._reading: dict[int, set[str]] = {}
        """The symbols read so far, by partition whose end has not been reached."""
        self._lost: set[int] = set()
        self._ending = threading.Event()
        self.membership = Membership(names.producer_group)
        self._consumer = Consumer(
            client_config(
                settings,
                group_id=names.producer_group,
                enable_auto_commit=False,
                enable_partition_eof=True,
                auto_offset_reset="earliest",
                partition_assignment_strategy="cooperative-sticky",
                session_timeout_ms=SESSION_MS,
                heartbeat_interval_ms=SESSION_MS // 4,
                reconnect_backoff_max_ms=2000,
                topic_metadata_refresh_interval_ms=5000,
            )
            | self.membership.settings,
            logger=log,
        )
        self._thread = threading.Thread(target=self._run, name="assignment", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Leave the group, so that the others take over at once. `on_change` is not called any more."""
        self._ending.set()
        self._thread.join(timeout_s)

    @property
    def alive(self) -> bool:
        """False once it has failed: later assignments would be lost."""
        return self._ending.is_set() or self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._follow()
        except Exception:
            log.exception("the assignment has failed")

    def _follow(self) -> None:
        self._consumer.subscribe(
            [self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost_partitions
        )
        while not self._ending.is_set():
            message = self._consumer.poll(0.5)
            if message is None:
                continue
            error = message.error()
            if error is None:
                self._record(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                self._end_reached(message.partition())
            else:
                log.warning("symbols topic: %s", error)
        self._consumer.close()

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for partition in partitions:
            partition.offset = OFFSET_BEGINNING
            self._reading[partition.partition] = set()
        consumer.incremental_assign(partitions)
        # Partitions that were lost and not assigned again belong to others now.
        for partition in self._lost - self._reading.keys():
            self._give_up(partition)
        self._lost.clear()

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_unassign(partitions)
        if self._ending.is_set():
            return
        for partition in partitions:
            self._reading.pop(partition.partition, None)
            self._give_up(partition.partition)

    def _lost_partitions(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        log.warning("Kafka has removed this producer from its group; it keeps its symbols")
        for partition in partitions:
            self._reading.pop(partition.partition, None)
            self._lost.add(partition.partition)

    def _give_up(self, partition: int) -> None:
        symbols = self._symbols.pop(partition, set())
        if symbols:
            self._on_change(set(), symbols, set())

    def _record(self, message: Message) -> None:
        partition, symbol = message.partition(), (message.key() or b"").decode(errors="replace")
        reading = self._reading.get(partition)
        symbols = self._symbols.setdefault(partition, set()) if reading is None else reading
        added = message.value() is not None and symbol not in symbols
        removed = message.value() is None and symbol in symbols
        symbols.add(symbol) if added else symbols.discard(symbol) if removed else None
        if reading is None and (added or removed):
            self._on_change({symbol} if added else set(), set(), {symbol} if removed else set())

    def _end_reached(self, partition: int) -> None:
        symbols = self._reading.pop(partition, None)
        if symbols is None:
            return
        before = self._symbols.get(partition, set())
        self._symbols[partition] = symbols
        if symbols != before:
            self._on_change(symbols - before, set(), before - symbols)

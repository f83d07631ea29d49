"""How Kafka's callbacks change the symbols; the protocol itself is tested with a broker."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import TopicPartition

from cryptocdc_core.names import Names
from cryptocdc_core.program.settings import KafkaSettings
from cryptocdc_producer.symbols.assignment import Assignment


class Kafka:
    """Replaces the consumer that is passed to the callbacks."""

    def incremental_assign(self, _: list[TopicPartition]) -> None:
        """Nothing to do."""

    incremental_unassign = incremental_assign


class Record:
    def __init__(self, partition: int, symbol: str, value: bytes | None = b"{}") -> None:
        self._partition, self._symbol, self._value = partition, symbol, value

    def partition(self) -> int:
        return self._partition

    def key(self) -> bytes:
        return self._symbol.encode()

    def value(self) -> bytes | None:
        return self._value


class Share:
    """An Assignment without a broker, and its reported changes."""

    def __init__(self) -> None:
        self.changes: list[tuple[set[str], set[str], set[str]]] = []
        self._assignment = Assignment(KafkaSettings(bootstrap="127.0.0.1:9"), Names("unit"), self._tell)

    def _tell(self, *change: set[str]) -> None:
        self.changes.append(change)  # type: ignore[arg-type]

    def assign(self, *partitions: int, records: list[Any] | None = None) -> None:
        """Assign partitions and read them to their end."""
        self._assignment._assigned(Kafka(), [TopicPartition("unit.symbols", at) for at in partitions])
        for record in records or []:
            self._assignment._record(record)
        for at in partitions:
            self._assignment._end_reached(at)

    def revoke(self, partition: int) -> None:
        self._assignment._revoked(Kafka(), [TopicPartition("unit.symbols", partition)])

    def lose(self, *partitions: int) -> None:
        self._assignment._lost_partitions(Kafka(), [TopicPartition("unit.symbols", at) for at in partitions])

    def record(self, record: Record) -> None:
        self._assignment._record(record)

    def take_changes(self) -> list[tuple[set[str], set[str], set[str]]]:
        changes, self.changes = self.changes, []
        return changes


@pytest.fixture
def share() -> Share:
    found = Share()
    found.assign(0, 1, records=[Record(0, "A"), Record(1, "B"), Record(1, "C")])
    assert found.take_changes() == [({"A"}, set(), set()), ({"B", "C"}, set(), set())]
    return found


def test_symbols_removed_before_the_end_of_the_topic_are_never_reported() -> None:
    share = Share()
    share.assign(0, records=[Record(0, "A"), Record(0, "B"), Record(0, "A", None)])

    assert share.take_changes() == [({"B"}, set(), set())]


def test_records_after_the_end_are_reported_immediately(share: Share) -> None:
    share.record(Record(1, "D"))
    share.record(Record(1, "D"))
    share.record(Record(1, "B", None))
    share.record(Record(1, "B", None))

    assert share.take_changes() == [({"D"}, set(), set()), (set(), set(), {"B"})]


def test_a_revoked_partition_s_symbols_have_moved(share: Share) -> None:
    share.revoke(1)

    assert share.take_changes() == [(set(), {"B", "C"}, set())]


def test_without_kafka_the_symbols_are_kept(share: Share) -> None:
    share.lose(0, 1)

    assert share.take_changes() == []


def test_when_kafka_is_back_only_the_difference_is_reported(share: Share) -> None:
    """Meanwhile one partition has moved to another producer, and one has returned with other symbols."""
    share.lose(0, 1)
    share.assign(1, records=[Record(1, "B"), Record(1, "D")])

    assert share.take_changes() == [(set(), {"A"}, set()), ({"D"}, set(), {"C"})]

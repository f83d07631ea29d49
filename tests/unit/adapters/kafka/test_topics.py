"""A topic, or a part of it, is read to the end that it had when reading started."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaException

from cryptocdc_adapters.kafka import topics
from cryptocdc_adapters.kafka.topics import read_to_ends, uncommitted


class Consumer:
    """A topic by partition: its first offset, and the offsets that compaction left, up to `ends`."""

    def __init__(self, left: dict[int, list[int]], ends: dict[int, int], committed: dict[int, int]) -> None:
        self.left, self.ends, self.stored = left, ends, committed
        self.at: dict[int, int] = {}

    def list_topics(self, topic: str, timeout: float) -> Any:
        return SimpleNamespace(topics={topic: SimpleNamespace(error=None, partitions=self.left)})

    def get_watermark_offsets(self, at: Any, timeout: float) -> tuple[int, int]:
        return min(self.left[at.partition], default=self.ends[at.partition]), self.ends[at.partition]

    def committed(self, asked: Sequence[Any], timeout: float) -> list[Any]:
        return [SimpleNamespace(partition=at.partition, offset=self.stored.get(at.partition, -1001)) for at in asked]

    def assign(self, partitions: Sequence[Any]) -> None:
        self.at = {at.partition: at.offset for at in partitions}

    def consume(self, most: int, timeout: float) -> list[Any]:
        found = []
        for partition, start in self.at.items():
            found += [Record(partition, offset) for offset in self.left[partition] if offset >= start]
            self.at[partition] = max(start, self.ends[partition], *self.left[partition], 0)
        return found

    def position(self, asked: Sequence[Any]) -> list[Any]:
        return [SimpleNamespace(partition=at.partition, offset=self.at[at.partition]) for at in asked]


class Record:
    def __init__(self, partition: int, offset: int) -> None:
        self.place = partition, offset

    def error(self) -> None:
        return None

    def partition(self) -> int:
        return self.place[0]

    def offset(self) -> int:
        return self.place[1]


def read(consumer: Any, spans: dict[int, tuple[int, int]]) -> list[tuple[int, int]]:
    return [(record.partition(), record.offset()) for record in read_to_ends(consumer, "t", spans)]


def test_each_partition_is_read_to_its_end_though_its_last_records_were_compacted_away() -> None:
    consumer = Consumer({0: [3, 5], 1: [], 2: [0]}, {0: 9, 1: 4, 2: 1}, {})
    assert read(consumer, {0: (3, 9), 1: (4, 4), 2: (0, 1)}) == [(0, 3), (0, 5), (2, 0)]


def test_records_after_the_given_end_are_left_out() -> None:
    assert read(Consumer({0: [0, 1, 2, 3]}, {0: 4}, {}), {0: (1, 3)}) == [(0, 1), (0, 2)]


def test_uncommitted_ranges_start_no_earlier_than_the_topic_does() -> None:
    consumer: Any = Consumer({0: [5, 6], 1: [0, 1], 2: [0]}, {0: 7, 1: 2, 2: 1}, {0: 2, 1: 1})
    assert uncommitted(consumer, "t") == {0: (5, 7), 1: (1, 2), 2: (0, 1)}


def test_a_partition_that_can_not_be_read_to_its_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "TIMEOUT_S", 0)
    consumer: Any = Consumer({0: []}, {0: 3}, {})
    consumer.consume = lambda most, timeout: []
    with pytest.raises(KafkaException, match="t can't be read to its end"):
        read(consumer, {0: (0, 3)})

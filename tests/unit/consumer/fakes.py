"""Fakes of Kafka, Cassandra and the clock."""

from __future__ import annotations

from collections import deque
from typing import Any

from cassandra import InvalidRequest
from confluent_kafka import KafkaException, TopicPartition


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Cassandra:
    """Answers on request; refuses the statements in `refuses`."""

    def __init__(self) -> None:
        self.refuses: set[bytes] = set()
        self.raises: Exception | None = None
        self.sent = 0
        self.written: list[bytes] = []
        self._asked: deque[tuple[list[bytes], Any, Any]] = deque()

    def send(self, batch: Any) -> Any:
        self.sent += 1
        if self.raises is not None:
            raise self.raises
        rows = [statement for statement, _, _ in batch.entries]
        return _Future(lambda ok, failed: self._asked.append((rows, ok, failed)))

    def answer(self, error: Exception | None = None) -> None:
        """Answer all requests, the latest first."""
        while self._asked:
            rows, ok, failed = self._asked.pop()
            if error is not None:
                failed(error)
            elif self.refuses & set(rows):
                failed(InvalidRequest("not a row"))
            else:
                self.written += rows
                ok(None)


class _Future:
    def __init__(self, add: Any) -> None:
        self.add_callbacks = add


class Kafka:
    """One member's view of a group: records to read, what it paused, what it committed."""

    def __init__(self) -> None:
        self.queue: deque[Any] = deque()
        self.paused = False
        self.polls = 0
        self.commits: list[dict[tuple[str, int], int]] = []
        self.waited: list[bool] = []
        self.assigned: list[Any] = []
        self.closed = False
        self.down = False
        self.end = 100
        self.gathered: list[float] = []
        self.callbacks: dict[str, Any] = {}
        self.earlier: dict[tuple[str, int], int] = {}
        """Committed before this member came."""

    @property
    def offsets(self) -> dict[tuple[str, int], int]:
        """Return the committed offsets."""
        merged: dict[tuple[str, int], int] = {}
        for commit in self.commits:
            merged |= commit
        return merged

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        self.callbacks = callbacks

    def poll(self, timeout: float) -> Any:
        self.polls += 1
        return None if self.paused or not self.queue else self.queue.popleft()

    def consume(self, count: int, timeout: float) -> list[Any]:
        self.gathered.append(timeout)
        return [self.queue.popleft() for _ in range(min(count, len(self.queue)))]

    def assignment(self) -> list[Any]:
        return self.assigned

    def pause(self, partitions: list[Any]) -> None:
        self.paused = True

    def resume(self, partitions: list[Any]) -> None:
        self.paused = False

    def commit(self, offsets: list[Any], asynchronous: bool) -> None:
        self.commits.append({(o.topic, o.partition): o.offset for o in offsets})
        self.waited.append(not asynchronous)

    def committed(self, partitions: list[Any], timeout: float) -> list[Any]:
        if self.down:
            raise KafkaException("down")
        offsets = self.earlier | self.offsets
        return [TopicPartition(p.topic, p.partition, offsets.get((p.topic, p.partition), -1001)) for p in partitions]

    def get_watermark_offsets(self, partition: Any, timeout: float, cached: bool) -> tuple[int, int]:
        """The client's cached watermarks do not change while nothing is read."""
        if self.down:
            raise KafkaException("down")
        return (0, 100 if cached else self.end)

    def list_topics(self, topic: str, timeout: float) -> None:
        if self.down:
            raise KafkaException("down")

    def close(self) -> None:
        self.closed = True


class Topic:
    """The dead-letter topic's producer: delivers when polled, unless `down`."""

    def __init__(self) -> None:
        self.down = False
        self.letters: list[dict[str, Any]] = []
        self._reports: list[tuple[Any, dict[str, Any]]] = []

    def produce(self, topic: str, *, value: Any, key: Any, headers: Any, on_delivery: Any) -> None:
        self._reports.append((on_delivery, {"topic": topic, "value": value, "key": key, "headers": dict(headers)}))

    def poll(self, timeout: float) -> None:
        reports, self._reports = self._reports, []
        for report, letter in reports:
            if self.down:
                report("down", None)
            else:
                self.letters.append(letter)
                report(None, None)

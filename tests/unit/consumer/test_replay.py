"""The replay of dead letters into their topics."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from cryptocdc_consumer import pending
from cryptocdc_consumer.pending import Replayed, replay
from cryptocdc_core.program.settings import KafkaSettings

from .records import NAMES

SETTINGS = KafkaSettings(bootstrap="127.0.0.1:1", password="x")


class Letter:
    """A record of the dead-letter topic."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def headers(self) -> list[tuple[str, bytes]]:
        values = {"reason": "refused", "topic": "f.f.klines", "partition": "2", "offset": "7"}
        return [(f"cryptocdc.{name}", value.encode()) for name, value in values.items()]

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes:
        return b"BTCUSDT"

    def value(self) -> bytes:
        return str(self._offset).encode()


class Producer:
    """Has a queue of three records, of which Kafka acknowledges one whenever the caller waits."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[bytes, Any]] = deque()
        self.sent: list[bytes] = []

    def produce(self, _: str, *, value: bytes, on_delivery: Any, **__: Any) -> None:
        if len(self.waiting) == 3:
            raise BufferError("Local: Queue full")
        self.waiting.append((value, on_delivery))

    def poll(self, timeout_s: float) -> None:
        if timeout_s:
            value, report = self.waiting.popleft()
            self.sent.append(value)
            report(None, None)

    def flush(self, _: float) -> int:
        while self.waiting:
            self.poll(1)
        return 0


def test_more_letters_than_the_client_queues_are_all_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    producer, commits = Producer(), list[Any]()

    @contextmanager
    def reader(*_: object) -> Iterator[Any]:
        yield SimpleNamespace(commit=lambda **given: commits.append(given["offsets"][0].offset))

    monkeypatch.setattr(pending, "_reader", reader)
    monkeypatch.setattr(pending, "_unread", lambda *_: map(Letter, range(10)))
    monkeypatch.setattr(pending, "Producer", lambda _: producer)

    assert replay(SETTINGS, NAMES) == Replayed(10, 0)
    assert producer.sent == [str(offset).encode() for offset in range(10)]
    assert commits == [10]

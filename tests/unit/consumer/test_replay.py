"""The replay of dead letters into their topics."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from confluent_kafka import KafkaError, TopicPartition
from typer.testing import CliRunner

from cryptocdc_consumer import commands, pending
from cryptocdc_consumer.pending import Replayed, replay
from cryptocdc_core.program.exits import Exit
from cryptocdc_core.program.settings import KafkaSettings

from .records import NAMES

SETTINGS = KafkaSettings(bootstrap="127.0.0.1:1", password="x")


class Letter:
    """A record of the dead-letter topic."""

    def __init__(self, offset: int, topic: str = "f.f.klines", of: int = 2) -> None:
        self._offset, self._topic, self._of = offset, topic, of

    def headers(self) -> list[tuple[str, bytes]]:
        values = {"reason": "refused", "topic": self._topic, "partition": str(self._of), "offset": "7"}
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


class Reader:
    """The replay group's consumer, in a Kafka with one topic of three partitions."""

    def __init__(self) -> None:
        self.committed: list[int] = []

    def commit(self, *, offsets: list[TopicPartition], **_: Any) -> None:
        self.committed.append(offsets[0].offset)

    def list_topics(self, topic: str, timeout: float) -> Any:
        if topic == "f.f.klines":
            return SimpleNamespace(topics={topic: SimpleNamespace(error=None, partitions=dict.fromkeys(range(3)))})
        error = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
        return SimpleNamespace(topics={topic: SimpleNamespace(error=error, partitions={})})


def replaying(monkeypatch: pytest.MonkeyPatch, letters: list[Letter]) -> tuple[Reader, Producer]:
    reader, producer = Reader(), Producer()

    @contextmanager
    def opened(*_: object) -> Iterator[Any]:
        yield reader

    monkeypatch.setattr(pending, "_reader", opened)
    monkeypatch.setattr(pending, "_unread", lambda *_: letters)
    monkeypatch.setattr(pending, "Producer", lambda _: producer)
    return reader, producer


def test_more_letters_than_the_client_queues_are_all_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, producer = replaying(monkeypatch, [Letter(offset) for offset in range(10)])

    assert replay(SETTINGS, NAMES) == Replayed(10, 0)
    assert producer.sent == [str(offset).encode() for offset in range(10)]
    assert reader.committed == [10]


GONE = [Letter(0), Letter(1, "f.f.removed"), Letter(2, "f.f.removed"), Letter(3, of=3), Letter(4)]


def test_letters_whose_topic_is_gone_do_not_keep_the_others_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, producer = replaying(monkeypatch, GONE)

    assert replay(SETTINGS, NAMES) == Replayed(2, 0, {"f.f.removed": 2, "f.f.klines": 1})
    assert producer.sent == [b"0", b"4"]
    assert reader.committed == [5]


def test_skipped_letters_are_reported_and_decide_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_names", lambda *_: NAMES)
    app = typer.Typer()
    commands.register(app)

    def put_back(letters: list[Letter], *options: str) -> tuple[int, str]:
        replaying(monkeypatch, letters)
        done = CliRunner().invoke(app, ["dlq", "replay", "-f", "feed.yaml", *options])
        return done.exit_code, done.stdout

    assert put_back(GONE[:1]) == (Exit.OK, f"{NAMES.fid}: 1 replayed\n")
    code, text = put_back(GONE)
    assert code == Exit.UNEQUAL
    assert f"{NAMES.fid}: 2 replayed\n2 of f.f.removed were skipped: the topic" in text
    code, text = put_back(GONE, "--json")
    assert (code, json.loads(text)["gone"]) == (Exit.UNEQUAL, {"f.f.removed": 2, "f.f.klines": 1})

"""The changes of rows that are still in Kafka, among its newest records."""

from __future__ import annotations

import time
from typing import Any

import pytest

from cryptocdc_core.catalogue import by_table
from cryptocdc_core.names import Names
from cryptocdc_core.program.settings import KafkaSettings
from cryptocdc_core.rows.changes import record_end, record_value
from cryptocdc_verifier.comparing.canonical import Key
from cryptocdc_verifier.differences import records
from cryptocdc_verifier.differences.records import Sent, Trace, trace

PRICES = by_table("latest_prices")


class Record:
    def __init__(self, offset: int, value: bytes | None) -> None:
        self._offset, self._value = offset, value

    def offset(self) -> int:
        return self._offset

    def partition(self) -> int:
        return 2

    def value(self) -> bytes | None:
        return self._value


def change(offset: int, op: str = "c", at: int | None = None) -> Record:
    row = {"symbol": "BTCUSDT", "event_time": offset if at is None else at, "price": "1.50", "received_at": 5,
           "version": 7}  # fmt: skip
    return Record(offset, record_value(row, record_end(op, 9)))


class Topic:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.records: list[Record] = []
        monkeypatch.setattr(records, "Consumer", lambda _: self)
        monkeypatch.setattr(records, "bounds", lambda *_: {2: (0, len(self.records))})
        monkeypatch.setattr(records, "read_to_ends", lambda _consumer, _topic, spans: self._read(*spans[2]))

    def _read(self, start: int, end: int) -> list[Record]:
        return self.records[start:end]

    def close(self) -> None: ...

    def trace(self, keys: set[Key]) -> Trace:
        return trace(KafkaSettings(), Names("majors"), PRICES, keys)


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    return Topic(monkeypatch)


def key(at: int) -> Key:
    return b"BTCUSDT", str(at).encode()


def test_the_changes_of_a_key_are_found_in_their_order(topic: Topic) -> None:
    topic.records = [change(0), change(1, "u", at=0), change(2), Record(3, None), Record(4, b"no change")]

    found = topic.trace({key(0), key(8)})

    assert found == Trace({key(0): [Sent(2, 0, "c", 7, 9), Sent(2, 1, "u", 7, 9)], key(8): []}, complete=True)


def test_only_the_newest_records_are_searched(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "SCANNED", 2)
    topic.records = [change(offset) for offset in range(3)]

    found = topic.trace({key(0), key(2)})

    assert (found.changes[key(0)], len(found.changes[key(2)]), found.complete) == ([], 1, False)


def test_many_keys_are_searched_for_in_about_the_time_of_one(topic: Topic) -> None:
    """A repair looks for the changes of up to 20,000 rows in 300,000 records."""
    topic.records = [change(offset) for offset in range(2000)]

    def seconds(keys: set[Key]) -> float:
        start = time.process_time()
        found: Any = topic.trace(keys)
        assert all(found.changes.values())
        return time.process_time() - start

    one = seconds({key(1000)})
    assert seconds({key(at) for at in range(2000)}) < 30 * one

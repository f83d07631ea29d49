"""The reader of Cassandra: it reconnects when none of its known nodes will ever respond again."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cassandra.cluster import NoHostAvailable

from cryptocdc_api.reading import reader as reading
from cryptocdc_api.reading.reader import Reader
from cryptocdc_api.reading.tables import TABLES
from cryptocdc_core.program.metrics import ApiMetrics
from cryptocdc_core.program.settings import CassandraSettings


class Answer:
    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def add_callbacks(self, callback: Any, errback: Any) -> None:
        callback([]) if self._error is None else errback(self._error)


class Cassandra:
    """A cluster and its session in one. `replaced`: all of its nodes have other addresses now."""

    def __init__(self) -> None:
        self.replaced = self.shut_down = False

    def prepare(self, statement: str) -> str:
        return statement

    def execution_profile_clone_update(self, *_: object, **__: object) -> object:
        return object()

    def execute_async(self, *_: object, **__: object) -> Answer:
        return Answer(NoHostAvailable("all nodes", {}) if self.replaced or self.shut_down else None)

    def shutdown(self) -> None:
        self.shut_down = True


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Cassandra]:
    """All connections, in the order of their creation."""
    connections: list[Cassandra] = []

    def connect(_: CassandraSettings) -> tuple[Cassandra, Cassandra]:
        connections.append(Cassandra())
        return connections[-1], connections[-1]

    monkeypatch.setattr(reading, "connect", connect)
    monkeypatch.setattr(reading, "LOST_S", 0.2)
    return connections


@pytest.fixture
def reader(made: list[Cassandra]) -> Iterator[Reader]:
    it = Reader(CassandraSettings(password="x"), "majors", [TABLES["klines"]], [], ApiMetrics("0"))
    stop = threading.Event()
    thread = threading.Thread(target=it.keep_connecting, args=(stop, lambda: None))
    thread.start()
    yield it
    stop.set()
    thread.join()


async def becomes(reader: Reader, answers: bool, limit_s: float = 10) -> None:
    deadline = time.monotonic() + limit_s
    while await reader.answers() is not answers:
        assert time.monotonic() < deadline, f"after {limit_s} s it still does not answer {answers}"
        await asyncio.sleep(0.02)


def test_the_reader_reconnects_once_no_node_has_responded_for_a_while(reader: Reader, made: list[Cassandra]) -> None:
    async def scenario() -> None:
        await becomes(reader, True)
        made[0].replaced = True
        await becomes(reader, False)
        await becomes(reader, True)

    asyncio.run(scenario())
    assert [it.shut_down for it in made] == [True, False]


def test_the_connection_is_kept_if_a_node_responds_again(
    reader: Reader, made: list[Cassandra], monkeypatch: Any
) -> None:
    monkeypatch.setattr(reading, "LOST_S", 60)

    async def scenario() -> None:
        await becomes(reader, True)
        made[0].replaced = True
        await becomes(reader, False)
        made[0].replaced = False
        await becomes(reader, True)

    asyncio.run(scenario())
    assert len(made) == 1

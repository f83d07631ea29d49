"""Stored rows as seen by the capture that continues from them. The queries are tested with a server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.unit.producer.conftest import BINANCE, NOW, kline, make_capture, make_feed

from cryptocdc_core.names import Names
from cryptocdc_producer.storage import store as stores
from cryptocdc_producer.storage.store import Store
from cryptocdc_producer.streams.continuity import Gap

HOUR = 3_600_000


class Klines:
    """Replaces a connection to tables that contain only klines: (interval, open time, closed)."""

    autocommit = False
    _end = socket.socket()

    def __init__(self, *rows: tuple[str, int, bool]) -> None:
        self._rows = rows
        self._found: list[tuple[Any, ...]] = []

    def cursor(self) -> Klines:
        return self

    def __enter__(self) -> Klines:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""

    def fileno(self) -> int:
        return self._end.fileno()

    def execute(self, query: str, values: tuple[str, ...]) -> None:
        self._found = []
        if ".klines " in query:
            _, interval = values
            wanted = [at for its, at, closed in self._rows if its == interval and (closed or "AND closed" not in query)]
            self._found = [(at,) for at in sorted(wanted, reverse="DESC" in query)]

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._found[0] if self._found else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._found


def last_closes(*rows: tuple[str, int, bool]) -> dict[str, int]:
    store = Store(Names("unit"), make_feed(), BINANCE, lambda: Klines(*rows))  # type: ignore[arg-type, return-value]
    return store.load(["BTCUSDT"])["BTCUSDT"].last_closes


def test_capture_continues_after_the_last_closed_kline() -> None:
    assert last_closes(("1h", 5 * HOUR, True), ("1h", 6 * HOUR, True), ("1h", 7 * HOUR, False)) == {"1h": 6 * HOUR}


def test_open_klines_left_by_a_first_start_count_as_missed_closes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Started within an hour, down at its end, back in the next one."""
    monkeypatch.setattr("cryptocdc_producer.capture.time.time_ns", lambda: NOW * 1_000_000)
    store = Store(Names("unit"), make_feed(), BINANCE, lambda: Klines(("1h", NOW - HOUR, False)))  # type: ignore[arg-type, return-value]
    recorded = make_capture(None, **store.load(["BTCUSDT"]))

    recorded.receive(kline(NOW, closed=False, interval="1h"))

    assert recorded.gaps == [Gap("klines", "BTCUSDT", "1h", NOW - HOUR, NOW - HOUR)]


def test_the_oldest_of_several_open_klines_counts_as_missed_too() -> None:
    assert last_closes(("1h", 6 * HOUR, False), ("1h", 7 * HOUR, False)) == {"1h": 5 * HOUR}
    assert last_closes() == {}


def test_each_answer_is_limited_and_not_those_of_hundreds_of_symbols_together(monkeypatch: pytest.MonkeyPatch) -> None:
    limited: list[object] = []

    @contextmanager
    def answering(connection: object) -> Iterator[None]:
        limited.append(connection)
        yield

    monkeypatch.setattr(stores, "answering", answering)
    store = Store(Names("unit"), make_feed(), BINANCE, Klines)  # type: ignore[arg-type]
    store.load([f"S{number}USDT" for number in range(300)])
    assert len(limited) == 300
    store.kept("S0USDT", [])
    assert len(limited) == 301

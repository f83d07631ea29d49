"""Sending an archive's rows: it waits for the consumers, and says what it waits for in vain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cryptocdc_adapters.kafka import offsets
from cryptocdc_core.names import Names
from cryptocdc_core.program.settings import KafkaSettings
from cryptocdc_core.rows.typed import LatestPricesRow, Row
from cryptocdc_exchanges.port import Series
from cryptocdc_producer.archive import sending
from cryptocdc_producer.archive.sending import Sender, SendError

PRICES = Series("latest_prices", "BTCUSDT", "")


class Kafka:
    """Its clients' classes and their objects, of a topic with one partition whose records are all acknowledged."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for client in ("Producer", "AdminClient", "GroupOffsets"):
            monkeypatch.setattr(sending, client, lambda *_, **__: self)
        monkeypatch.setattr(Sender, "_count", lambda *_: 1)
        monkeypatch.setattr(sending, "BACKLOG_EVERY", 1)
        self.records: list[bytes] = []

    def produce(self, _topic: str, value: bytes, *_: Any, **__: Any) -> None:
        self.records.append(value)

    def poll(self, _: float) -> None: ...

    def flush(self, _: float) -> int:
        return 0


def rows() -> Iterator[Row]:
    yield LatestPricesRow(symbol="BTCUSDT", event_time=1, price="1.50", received_at=2, version=1000)


def test_a_kafka_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka's client raises an exception without a message then."""
    Kafka(monkeypatch)

    def late(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(offsets, "ends", late)
    with pytest.raises(SendError, match="Kafka does not answer"):
        Sender(KafkaSettings(), Names("majors")).send(PRICES, rows())

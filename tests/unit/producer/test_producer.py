"""A producer as a whole: what ends it. Its parts have tests of their own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from unittest.mock import Mock

import pytest
from confluent_kafka import KafkaError, KafkaException
from tests.unit.producer.conftest import make_feed

from cryptocdc_adapters.serving import Health
from cryptocdc_core.metrics import ProducerMetrics
from cryptocdc_core.settings import ProgramSettings
from cryptocdc_producer.producer import Producer


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server is asked: port 9 of this machine refuses."""
    monkeypatch.setenv("CRYPTOCDC_KAFKA_BOOTSTRAP", "127.0.0.1:9")
    monkeypatch.setenv("CRYPTOCDC_POSTGRES_PORT", "9")
    monkeypatch.setenv("CRYPTOCDC_POSTGRES_PASSWORD", "none")


async def producing(writer: Mock, consumer: Mock) -> None:
    """A producer with another writer's thread, and another consumer of the symbols."""
    settings = ProgramSettings(feed=Path("unit.yaml"), rest_url="http://127.0.0.1:9", websocket_url="ws://127.0.0.1:9")
    producer = Producer(settings, make_feed(), ProducerMetrics("test"), Health(60))
    producer._writer = writer
    producer._assignment._consumer = consumer
    await asyncio.wait_for(producer.run(), 20)


def test_without_its_writer_it_ends() -> None:
    with pytest.raises(RuntimeError, match="the writer has ended"):
        asyncio.run(producing(Mock(alive=False), Mock(**{"poll.return_value": None})))


@pytest.mark.parametrize("error", [KafkaException(KafkaError(KafkaError._FATAL)), ZeroDivisionError()])
def test_without_its_assignment_it_ends(error: Exception) -> None:
    """Whether Kafka's client fails or one of the callbacks: a producer that hears of no symbol is not well."""
    with pytest.raises(RuntimeError, match="the assignment of symbols has ended"):
        asyncio.run(producing(Mock(alive=True, rounds=0), Mock(**{"poll.side_effect": error})))

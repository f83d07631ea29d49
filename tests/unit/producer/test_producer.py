"""A producer as a whole: what ends it. Its parts have tests of their own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from unittest.mock import Mock

import pytest
from confluent_kafka import KafkaError, KafkaException
from tests.unit.producer.conftest import make_feed

from cryptocdc_adapters.metrics.serving import Health
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_core.program.settings import ProgramSettings
from cryptocdc_producer.producer import Producer


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server is asked: port 9 of this machine refuses."""
    monkeypatch.setenv("CRYPTOCDC_KAFKA_BOOTSTRAP", "127.0.0.1:9")
    monkeypatch.setenv("CRYPTOCDC_POSTGRES_PORT", "9")
    monkeypatch.setenv("CRYPTOCDC_POSTGRES_PASSWORD", "none")


def made(health: Health) -> Producer:
    settings = ProgramSettings(feed=Path("unit.yaml"), rest_url="http://127.0.0.1:9", websocket_url="ws://127.0.0.1:9")
    return Producer(settings, make_feed(), ProducerMetrics("test"), health)


async def producing(writer: Mock, consumer: Mock) -> None:
    """A producer with its writer's thread and its consumer of symbols replaced."""
    producer = made(Health(60))
    producer._writer = writer
    producer._assignment._consumer = consumer
    await asyncio.wait_for(producer.run(), 20)


def test_the_producer_ends_when_its_writer_fails() -> None:
    with pytest.raises(RuntimeError, match="the writer has ended"):
        asyncio.run(producing(Mock(alive=False), Mock(**{"poll.return_value": None})))


@pytest.mark.parametrize("error", [KafkaException(KafkaError(KafkaError._FATAL)), ZeroDivisionError()])
def test_the_producer_ends_when_its_assignment_fails(error: Exception) -> None:
    """Whether Kafka's client or a callback fails: a producer without news of its symbols is not healthy."""
    with pytest.raises(RuntimeError, match="the assignment of symbols has ended"):
        asyncio.run(producing(Mock(alive=True, rounds=0), Mock(**{"poll.side_effect": error})))


STEADY = '{"cgrp": {"state": "up", "join_state": "steady"}}'


@pytest.mark.parametrize(("symbols", "statistics", "healthy"), [
    (set(), None, False), (set(), STEADY, True), ({"BTCUSDT"}, None, True),
], ids=["neither symbols nor a group", "a spare member", "symbols, and Kafka is away"])  # fmt: skip
def test_a_producer_without_symbols_is_healthy_only_as_a_member_of_its_group(
    symbols: set[str], statistics: str | None, healthy: bool
) -> None:
    now = [0.0]
    health = Health(60, lambda: now[0])

    async def tick() -> None:
        producer = made(health)
        producer._writer = Mock(alive=True, rounds=0)
        producer._assignment = Mock(alive=True, membership=producer._assignment.membership)
        producer._roster._wanted = symbols
        if statistics is not None:
            producer._assignment.membership.take(statistics)
        now[0] = 61.0
        ticking = asyncio.ensure_future(producer._tick())
        await asyncio.sleep(0)
        ticking.cancel()

    asyncio.run(tick())
    assert (health.problem() is None) is healthy

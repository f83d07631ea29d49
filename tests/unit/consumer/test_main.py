"""How the consumer ends."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from cassandra import InvalidRequest, OperationTimedOut
from cassandra.cluster import NoHostAvailable
from confluent_kafka import KafkaError, KafkaException

from cryptocdc_adapters.metrics.serving import Health
from cryptocdc_consumer import main
from cryptocdc_core.program.exits import Exit
from cryptocdc_core.program.metrics import ConsumerMetrics

FAULTS = {
    "Cassandra: ('no host', {})": NoHostAvailable("no host", {}),
    "Cassandra: errors=None, last_host=None": OperationTimedOut(),
    "Cassandra: no such keyspace; apply the feed first": InvalidRequest("no such keyspace"),
    "Kafka: ": KafkaException(KafkaError(KafkaError._FATAL)),
}


@pytest.mark.parametrize("said", FAULTS)
def test_a_server_that_goes_away_while_the_consumer_starts_is_named(
    said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def tables(*_: object) -> set[str]:
        raise FAULTS[said]

    connection = SimpleNamespace(
        connect=lambda _: True, obstacle=lambda: None, waiting_s=0.0, session=None, close=lambda: None
    )
    monkeypatch.setattr(main, "Connection", lambda *_: connection)
    monkeypatch.setattr("cryptocdc_adapters.cassandra.sessions.tables", tables)
    feed: Any = SimpleNamespace(name="majors")
    settings: Any = SimpleNamespace(source="exchange")
    nothing: Any = None

    ended = main._run(
        feed, settings, nothing, nothing, None, ConsumerMetrics("test"), Health(60), threading.Event()
    )  # fmt: skip

    assert ended is Exit.PLATFORM
    assert said in caplog.text

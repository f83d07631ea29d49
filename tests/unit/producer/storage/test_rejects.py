"""Refused frames never stop capture, whatever Kafka says."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from cryptocdc_core.names import Names
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_core.program.settings import KafkaSettings
from cryptocdc_producer.storage import rejects
from cryptocdc_producer.storage.rejects import Rejects

FAULTS = {
    "a full queue": BufferError("Local: Queue full"),
    "a topic that is missing": KafkaException(KafkaError(KafkaError._UNKNOWN_TOPIC)),
    "a topic that may not be written": KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_frame_that_kafka_does_not_take_is_counted_and_dropped(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Producer:
        def __init__(self, _: object) -> None: ...

        def produce(self, *_: object, **__: object) -> None:
            raise FAULTS[fault]

        def poll(self, _: float) -> None: ...

    monkeypatch.setattr(rejects, "Producer", Producer)
    metrics = ProducerMetrics("test")
    kept = Rejects(KafkaSettings(bootstrap="127.0.0.1:1", password="x"), Names("unit"), "unit", metrics)
    kept.refuse("future", "dated 90 s ahead", b"{}", "BTCUSDT")
    assert metrics.rejected.labels("future")._value.get() == 1

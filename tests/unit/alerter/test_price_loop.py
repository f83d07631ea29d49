"""The alerter's metrics and health before the first price arrives."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from tests.unit.alerter.prices import alert

from cryptocdc_adapters.metrics.serving import Health
from cryptocdc_alerter.price_loop import PriceLoop
from cryptocdc_core.program.metrics import AlerterMetrics

BEGAN_MS = 1_764_072_000_500


def test_a_symbol_that_never_gets_a_price_has_an_aging_timestamp() -> None:
    """With `symbols.top` it may never be captured: CryptocdcAlertsBlind needs a series whose value ages."""
    metrics = AlerterMetrics("0")
    nothing: Any = None
    PriceLoop(
        nothing, {"majors.majors.latest_prices": nothing}, [alert(symbol="DOGEUSDT", above=1)], nothing, lambda _: None,
        ("majors", "exchange"), metrics, Health(60), lambda: True, lambda: BEGAN_MS,
    )  # fmt: skip
    shown = metrics.registry.get_sample_value("cryptocdc_alerter_evaluated_timestamp_seconds", {"symbol": "DOGEUSDT"})
    assert shown == BEGAN_MS / 1000


class Kafka:
    """A consumer with given messages; if they are only errors, the broker does not answer either."""

    def __init__(self, *messages: Any) -> None:
        self._messages = list(messages)

    def consume(self, _most: int, _timeout_s: float) -> list[Any]:
        return self._messages

    def list_topics(self, _topic: str, timeout: float) -> None:
        for message in self._messages:
            raise KafkaException(message.error())


class Failure:
    """A message that reports an error of the brokers."""

    def error(self) -> KafkaError:
        return KafkaError(KafkaError._ALL_BROKERS_DOWN)


@pytest.mark.parametrize(("kafka", "member", "healthy"), [
    (Kafka(), True, True), (Kafka(), False, False), (Kafka(Failure()), True, False),
], ids=["in its group", "in no group", "only errors come"])  # fmt: skip
def test_an_idle_alerter_is_healthy_only_as_a_group_member(kafka: Kafka, member: bool, healthy: bool) -> None:
    now = [0.0]
    health = Health(60, lambda: now[0])
    nothing: Any = None
    price_loop = PriceLoop(
        kafka, {"majors.majors.latest_prices": nothing}, [], nothing, lambda _: None, ("majors", "exchange"),
        AlerterMetrics("0"), health, lambda: member,
    )  # fmt: skip
    now[0] = 61.0
    price_loop.step()
    assert (health.problem() is None) is healthy


class Unknown:
    """A group's member for whose partitions Kafka does not return what was committed."""

    def subscribe(self, _topics: list[str], *, on_assign: Any, **_: Any) -> None:
        self._assigned = on_assign

    def consume(self, _most: int, _timeout_s: float) -> list[Any]:
        self._assigned(self, [TopicPartition("majors.majors.latest_prices", 0)])
        return []

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[Any]:
        error = KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED)
        return [SimpleNamespace(topic=at.topic, partition=at.partition, offset=-1001, error=error) for at in partitions]

    def get_watermark_offsets(self, _: TopicPartition, timeout: float) -> tuple[int, int]:
        return 0, 100

    def offsets_for_times(self, times: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        return [TopicPartition(at.topic, at.partition, 0) for at in times]

    def incremental_assign(self, _: list[TopicPartition]) -> None:
        raise AssertionError("evaluated from the end on, as if it had never been")

    def close(self) -> None: ...


def test_a_partition_whose_committed_offset_is_unknown_is_not_taken_over() -> None:
    ledger: Any = SimpleNamespace(read=dict)
    price_loop = PriceLoop(
        Unknown(), {"majors.majors.latest_prices": ledger}, [], ledger, lambda _: None, ("majors", "exchange"),
        AlerterMetrics("0"), Health(60), lambda: True,
    )  # fmt: skip
    with pytest.raises(KafkaException):
        price_loop.run(threading.Event())

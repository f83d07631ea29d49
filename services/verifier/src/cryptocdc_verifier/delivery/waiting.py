"""Waits until everything before an LSN has passed slots and consumers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

import requests
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from cryptocdc_adapters.kafka import offsets
from cryptocdc_adapters.kafka.clients import TIMEOUT_S, client_config
from cryptocdc_adapters.kafka.offsets import GroupOffsets, Partition, Span, lags
from cryptocdc_adapters.replication.connect import Connect, ConnectError
from cryptocdc_core.program.backoff import retry
from cryptocdc_core.program.settings import ConnectSettings, KafkaSettings
from cryptocdc_core.storage.shards import Shard
from cryptocdc_verifier.comparing.postgres import PostgresSide
from cryptocdc_verifier.delivery.slots_passed import PostgresSlots, SlotsPassed
from cryptocdc_verifier.delivery.stalls import STALLED_S, Clock, wait_until_zero
from cryptocdc_verifier.target import Target, VerifyError

T = TypeVar("T")

_ARTICLES = {"consumer": "a", "analyzer": "an"}


class Offsets(Protocol):
    """The offsets of a feed's change topics and of its consumers."""

    def ends(self) -> dict[Partition, Span]:
        """Return the first offset and the end offset by (topic, partition)."""
        ...

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the consumer group's committed offsets by (topic, partition), without those never committed."""
        ...


class Delivery:
    """`wait` returns once every change before a position is in Cassandra or a dead letter."""

    def __init__(
        self, slots: SlotsPassed, offsets: Offsets, group: str, clock: Clock, stalled_s: float = STALLED_S
    ) -> None:
        self._slots = slots
        self._offsets = offsets
        self._group = group
        self._clock = clock
        self._stalled_s = stalled_s

    def wait(self, lsn: int) -> None:
        """Wait until `lsn` has passed. Raises VerifyError if slots or consumers make no progress."""
        self._slots.wait(lsn)
        wait_for_group(self._offsets, self._group, "consumer", self._clock, self._stalled_s)


def wait_for_group(offsets: Offsets, group: str, program: str, clock: Clock, stalled_s: float = STALLED_S) -> None:
    """Wait until a group has committed everything that its topics contain now. Raises VerifyError if it makes no
    progress."""
    ends = offsets.ends()

    def left() -> int:
        # Records that Kafka's retention removed unread are never committed; the comparison will report them missing.
        return sum(lags(ends, offsets.committed(ends)).values())

    def problem(remaining: int) -> str:
        return (
            f"the consumer group {group} has not committed anything for {stalled_s:.0f} s and is"
            f" {remaining} records behind: is {_ARTICLES[program]} {program} running?"
        )

    wait_until_zero(left, problem, clock, stalled_s)


def lag_by_topic(offsets: Offsets) -> dict[str, int]:
    """Return how many records of each topic the group has not committed. Raises VerifyError."""
    ends = offsets.ends()
    found = dict.fromkeys((topic for topic, _ in ends), 0)
    for (topic, _), behind in lags(ends, offsets.committed(ends)).items():
        found[topic] += behind
    return found


class ComputedDelivery:
    """`wait` returns once the rows computed from everything in Kafka are in Cassandra, or are dead letters."""

    def __init__(self, target: Target, stalled_s: float = STALLED_S, clock: Clock | None = None) -> None:
        names = target.names
        self._stalled_s, self._clock = stalled_s, clock or Clock()
        sources = sorted({names.change_topic(stream.computed_from or "") for stream in target.computed})
        results = [names.change_topic(stream.table) for stream in target.computed]
        self._stages = (
            (KafkaOffsets(target.kafka, sources, names.consumer_group), names.consumer_group, "consumer"),
            (KafkaOffsets(target.kafka, sources, names.analyzer_group), names.analyzer_group, "analyzer"),
            (KafkaOffsets(target.kafka, results, names.consumer_group), names.consumer_group, "consumer"),
        )

    def wait(self) -> None:
        """Raises VerifyError if consumers or analyzers make no progress."""
        for stage in self._stages:
            wait_for_group(*stage, self._clock, self._stalled_s)


class KafkaOffsets:
    """The offsets of a feed in Kafka. Each call raises VerifyError if Kafka does not answer."""

    def __init__(self, settings: KafkaSettings, topics: list[str], group: str) -> None:
        self._admin = AdminClient(client_config(settings))
        self._group = GroupOffsets(settings, group)
        self._topics = topics
        self._bootstrap = settings.bootstrap

    def ends(self) -> dict[Partition, Span]:
        found = self._retried(lambda: offsets.ends(self._admin, self._topics))
        absent = set(self._topics) - {topic for topic, _ in found}
        if absent:
            raise VerifyError(f"Kafka has no topic {', '.join(sorted(absent))}; was the feed applied?")
        return found

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return self._retried(lambda: self._group.committed(partitions))

    def _retried(self, request: Callable[[], T]) -> T:
        """Retry for a while: a broker that has just started refuses requests at first."""
        try:
            return retry(request, (KafkaException, TimeoutError), TIMEOUT_S, 0.5)
        except (KafkaException, TimeoutError) as error:
            reason = error.args[0].str() if isinstance(error, KafkaException) else "no answer"
            raise VerifyError(f"Kafka at {self._bootstrap}: {reason}") from None


def describe_connector(settings: ConnectSettings, name: str) -> str:
    """Describe the connector's state for an error message."""
    try:
        state = Connect(settings.url).state(name)
    except (ConnectError, requests.RequestException) as error:
        return f"Connect does not answer: {' '.join(str(error).split())[:200]}"
    if state is None:
        return f"there is no connector {name}"
    words = f"connector {name} is {state.state}, its task {', '.join(state.tasks) or 'missing'}"
    return f"{words}: {state.trace}" if state.trace else words


def delivery_of(
    target: Target, side: PostgresSide, stalled_s: float = STALLED_S, clock: Clock | None = None
) -> Delivery:
    names, clock = target.names, clock or Clock()

    def describe(shard: Shard) -> str:
        return describe_connector(target.connect, shard.connector)

    return Delivery(
        SlotsPassed(PostgresSlots(side, names), describe, names, target.feed.spec.scaling.connectors, clock, stalled_s),
        KafkaOffsets(target.kafka, [names.change_topic(s.table) for s in target.streams], names.consumer_group),
        names.consumer_group,
        clock,
        stalled_s,
    )

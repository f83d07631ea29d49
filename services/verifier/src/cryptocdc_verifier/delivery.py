"""Waits until everything before an LSN has passed slot and consumers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import requests
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from cryptocdc_adapters import offsets, slots
from cryptocdc_adapters.connect import Connect, ConnectError
from cryptocdc_adapters.kafka import TIMEOUT_S, client_config
from cryptocdc_adapters.offsets import GroupOffsets, Partition, Span, lags
from cryptocdc_core.backoff import retry
from cryptocdc_core.settings import ConnectSettings, KafkaSettings
from cryptocdc_verifier.postgres import PostgresSide
from cryptocdc_verifier.target import Target, VerifyError

T = TypeVar("T")

STALLED_S = 120.0
_POLL_S = 0.1
_ARTICLES = {"consumer": "a", "analyzer": "an"}
_BEAT_S = 1.0


@dataclass(frozen=True)
class Clock:
    """The clock, which tests replace."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def wait_until_zero(
    left: Callable[[], int], problem: Callable[[int], str], clock: Clock, stalled_s: float = STALLED_S
) -> None:
    """Call `left` until it returns 0. Raises VerifyError with `problem` once it has not shrunk for `stalled_s` seconds.

    Only the time without progress is limited: a backlog of hours is waited for as long as it shrinks.
    """
    least: int | None = None
    since = clock.now()
    while True:
        remaining = left()
        if remaining <= 0:
            return
        if least is None or remaining < least:
            least, since = remaining, clock.now()
        elif clock.now() - since > stalled_s:
            raise VerifyError(problem(remaining))
        clock.sleep(_POLL_S)


class SlotPosition(Protocol):
    """A feed's slot in PostgreSQL, and a way to give it something to confirm."""

    def read(self) -> slots.Slot | None: ...

    def beat(self) -> int:
        """Write something that the slot must pass, and return the position after it."""
        ...


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
        self,
        slot: SlotPosition,
        offsets: Offsets,
        connector: Callable[[], str],
        slot_name: str,
        group: str,
        clock: Clock | None = None,
        stalled_s: float = STALLED_S,
    ) -> None:
        """`connector` returns a description of the connector's state."""
        self._slot = slot
        self._offsets = offsets
        self._connector = connector
        self._slot_name = slot_name
        self._group = group
        self._clock = clock or Clock()
        self._stalled_s = stalled_s

    def wait(self, lsn: int) -> None:
        """Wait until `lsn` has passed. Raises VerifyError if slot or consumers make no progress."""
        self._wait_for_slot(lsn)
        self._wait_for_consumers()

    def _wait_for_slot(self, lsn: int) -> None:
        goal: int | None = None
        beaten = self._clock.now()

        def left() -> int:
            nonlocal goal, beaten
            slot = self._slot.read()
            if slot is None:
                return 1 << 62
            if not slot.usable:
                raise VerifyError(
                    f"slot {self._slot_name} is lost: PostgreSQL has removed WAL that it had not read. The connector"
                    " must take a new snapshot: apply the feed again"
                )
            if goal is None:
                # A new slot confirms the position of its creation before its snapshot has reached Kafka: only a change
                # made after we saw the slot proves that everything before has passed.
                goal = max(lsn, self._slot.beat())
            elif self._clock.now() - beaten > _BEAT_S:
                beaten = self._clock.now()
                self._slot.beat()
            return goal - slot.confirmed

        def problem(remaining: int) -> str:
            how = self._connector()
            if remaining == 1 << 62:
                return f"slot {self._slot_name} has been missing for {self._stalled_s:.0f} s: {how}"
            return (
                f"slot {self._slot_name} has not advanced for {self._stalled_s:.0f} s and is {remaining} bytes of WAL"
                f" behind the position to prove: {how}"
            )

        wait_until_zero(left, problem, self._clock, self._stalled_s)

    def _wait_for_consumers(self) -> None:
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


class PostgresSlot:
    """The slot of a feed in PostgreSQL."""

    def __init__(self, side: PostgresSide, name: str) -> None:
        self._side = side
        self._name = name

    def read(self) -> slots.Slot | None:
        return slots.read_with(self._side.connection, self._name)

    def beat(self) -> int:
        return self._side.beat()


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
    names = target.names
    return Delivery(
        PostgresSlot(side, names.slot),
        KafkaOffsets(target.kafka, [names.change_topic(s.table) for s in target.streams], names.consumer_group),
        lambda: describe_connector(target.connect, names.connector),
        names.slot,
        names.consumer_group,
        clock,
        stalled_s,
    )

"""Waiting until everything before a position of PostgreSQL's log has passed slot and consumers."""

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
_BEAT_S = 1.0


@dataclass(frozen=True)
class Clock:
    """Time, so that a test may turn it."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def wait_until_nothing_left(
    left: Callable[[], int], problem: Callable[[int], str], clock: Clock, stalled_s: float = STALLED_S
) -> None:
    """Ask `left` until it says 0. Raises VerifyError with `problem` once it has not shrunk for `stalled_s` seconds.

    The limit is on standing still and not on the whole: a backlog of hours may be waited for as long as it shrinks.
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
    """A feed's slot, as PostgreSQL shows it, and the way to give it something to confirm."""

    def read(self) -> slots.Slot | None: ...

    def beat(self) -> int:
        """Write something that the slot must pass; the position after it."""
        ...


class Offsets(Protocol):
    """A feed's change topics and how far its consumers are."""

    def ends(self) -> dict[Partition, Span]:
        """By (topic, partition): the first offset that is kept, and the one that the next record will have."""
        ...

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """By (topic, partition) what the consumers' group has committed; without those that it never did."""
        ...


class Delivery:
    """`wait` returns once every change before a position is in Cassandra, or among the dead letters."""

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
        """`connector` says in words how the connector is."""
        self._slot = slot
        self._offsets = offsets
        self._connector = connector
        self._slot_name = slot_name
        self._group = group
        self._clock = clock or Clock()
        self._stalled_s = stalled_s

    def wait(self, lsn: int) -> None:
        """Raises VerifyError when slot or consumers stand still."""
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
                    f"slot {self._slot_name} is lost: PostgreSQL removed log that it had not read. The connector must"
                    " take a new snapshot: apply the feed again"
                )
            if goal is None:
                # A new slot confirms the position at which it was made before its snapshot has reached Kafka: only a
                # change made after we saw the slot proves that what stands before it has passed.
                goal = max(lsn, self._slot.beat())
            elif self._clock.now() - beaten > _BEAT_S:
                beaten = self._clock.now()
                self._slot.beat()
            return goal - slot.confirmed

        def problem(remaining: int) -> str:
            how = self._connector()
            if remaining == 1 << 62:
                return f"there is no slot {self._slot_name} since {self._stalled_s:.0f} s: {how}"
            return (
                f"slot {self._slot_name} has not moved for {self._stalled_s:.0f} s, {remaining} bytes of log before"
                f" what is to be proven: {how}"
            )

        wait_until_nothing_left(left, problem, self._clock, self._stalled_s)

    def _wait_for_consumers(self) -> None:
        ends = self._offsets.ends()

        def left() -> int:
            # What Kafka's retention took unread will never be committed; the comparison will show it missing.
            return sum(lags(ends, self._offsets.committed(ends)).values())

        def problem(remaining: int) -> str:
            return (
                f"the consumers of group {self._group} have not committed anything for {self._stalled_s:.0f} s,"
                f" {remaining} records before the end: is a consumer running?"
            )

        wait_until_nothing_left(left, problem, self._clock, self._stalled_s)


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
    """The offsets of a feed in Kafka. Each call raises VerifyError when Kafka does not answer."""

    def __init__(self, settings: KafkaSettings, topics: list[str], group: str) -> None:
        self._admin = AdminClient(client_config(settings))
        self._group = GroupOffsets(settings, group)
        self._topics = topics
        self._bootstrap = settings.bootstrap

    def ends(self) -> dict[Partition, Span]:
        found = self._patiently(lambda: offsets.ends(self._admin, self._topics))
        absent = set(self._topics) - {topic for topic, _ in found}
        if absent:
            raise VerifyError(f"Kafka has no topic {', '.join(sorted(absent))}: was the feed applied?")
        return found

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return self._patiently(lambda: self._group.committed(partitions))

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Ask again for a while: a broker that has just started refuses at first what it will answer soon."""
        try:
            return retry(ask, (KafkaException, TimeoutError), TIMEOUT_S, 0.5)
        except (KafkaException, TimeoutError) as error:
            told = error.args[0].str() if isinstance(error, KafkaException) else "no answer"
            raise VerifyError(f"Kafka at {self._bootstrap}: {told}") from None


def connector_in_words(settings: ConnectSettings, name: str) -> str:
    """How the connector is, for an error's message."""
    try:
        state = Connect(settings.url).state(name)
    except (ConnectError, requests.RequestException) as error:
        return f"Connect does not answer: {' '.join(str(error).split())[:200]}"
    if state is None:
        return f"there is no connector {name}"
    words = f"connector {name} is {state.state}, its task {', '.join(state.tasks) or 'not there'}"
    return f"{words}: {state.trace}" if state.trace else words


def delivery_of(
    target: Target, side: PostgresSide, stalled_s: float = STALLED_S, clock: Clock | None = None
) -> Delivery:
    names = target.names
    return Delivery(
        PostgresSlot(side, names.slot),
        KafkaOffsets(target.kafka, [names.change_topic(s.table) for s in target.streams], names.consumer_group),
        lambda: connector_in_words(target.connect, names.connector),
        names.slot,
        names.consumer_group,
        clock,
        stalled_s,
    )

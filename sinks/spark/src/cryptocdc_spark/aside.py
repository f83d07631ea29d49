"""The consumer's way, in the driver: for the records that Spark does not write itself, and for all of a table while
Spark can't write it. Waits until every row is acknowledged and every dead letter delivered."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Event

from cryptocdc_adapters.metrics.serving import Health
from cryptocdc_consumer.dead_letters import DeadLetters
from cryptocdc_consumer.intake import Batch, Intake
from cryptocdc_consumer.outcomes import settle
from cryptocdc_consumer.sink import Sink
from cryptocdc_consumer.write_loop import CHUNK_RECORDS, STOP_LIMIT_S
from cryptocdc_core.program.metrics import ConsumerMetrics


class Stopped(Exception):
    """The program is stopping; the batch is repeated after its next start."""


@dataclass(frozen=True, slots=True)
class KafkaRecord:
    """A record that Spark read, as Kafka's client would return it."""

    of: str
    number: int
    at: int
    name: bytes | None
    content: bytes | None
    produced_ms: int

    def topic(self) -> str:
        return self.of

    def partition(self) -> int:
        return self.number

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes | None:
        return self.name

    def value(self) -> bytes | None:
        return self.content

    def timestamp(self) -> tuple[int, int]:
        return 1, self.produced_ms


class Aside:
    def __init__(
        self,
        intake: Intake,
        sink: Sink,
        dead_letters: DeadLetters,
        metrics: ConsumerMetrics,
        health: Health,
        stop: Event,
    ) -> None:
        self._intake = intake
        self._sink = sink
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._health = health
        self._stop = stop

    def write(self, records: Iterable[KafkaRecord]) -> None:
        """Write all records, however long it takes. Raises Stopped."""
        left = iter(records)
        while chunk := list(islice(left, CHUNK_RECORDS)):
            self._write(chunk)
            self._health.beat()

    def _write(self, records: Sequence[KafkaRecord]) -> None:
        taken = self._intake.take(records, int(time.time() * 1000))
        for letter in taken.dead_letters:
            self._dead_letters.send(letter)
        unsent: deque[Batch] = deque(taken.batches)
        stopping_since: float | None = None
        while taken.chunk.pending:
            if self._stop.is_set():
                stopping_since = stopping_since or time.monotonic()
                if time.monotonic() - stopping_since > STOP_LIMIT_S:
                    raise Stopped
            while unsent and not self._sink.full:
                self._sink.send(unsent.popleft())
            self._sink.wait(0.02)
            settle(self._sink, self._dead_letters, self._metrics)

"""The feed's consumer group, in which the job commits without being a member."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from cryptocdc_adapters.kafka.clients import TIMEOUT_S, client_config
from cryptocdc_adapters.kafka.offsets import GroupOffsets, Partition, Span, ends, lag
from cryptocdc_core.program.metrics import ConsumerMetrics
from cryptocdc_core.program.settings import KafkaSettings

log = logging.getLogger(__name__)

AGAIN_S = 0.5
LOG_EVERY_S = 10.0
_MEMBERS = (KafkaError.UNKNOWN_MEMBER_ID, KafkaError.REBALANCE_IN_PROGRESS, KafkaError.ILLEGAL_GENERATION)


class Group:
    def __init__(self, kafka: KafkaSettings, name: str, metrics: ConsumerMetrics, stop: threading.Event) -> None:
        self._name = name
        self._offsets = GroupOffsets(kafka, name)
        self._admin = AdminClient(client_config(kafka))
        self._metrics = metrics
        self._stop = stop
        self._logged_at = float("-inf")
        self._committed: dict[Partition, int] = {}

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        """Return each topic's id, which a topic that is made again does not keep. Raises KafkaException."""
        found = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=TIMEOUT_S)
        return {name: str(future.result(TIMEOUT_S).topic_id) for name, future in found.items()}

    def spans(self, topics: Iterable[str]) -> dict[Partition, Span]:
        """Raises KafkaException, TimeoutError."""
        return ends(self._admin, topics)

    def take_over(
        self,
        topics: Iterable[str],
        start: Callable[[Mapping[Partition, Span], Mapping[Partition, int]], Mapping[Partition, int]],
    ) -> bool:
        """Commit what `start` returns, once the group has no members: those of another engine would go on writing.

        `start` gets the spans and the committed offsets. Return False if the program is stopping.
        """
        names = list(topics)

        def attempt() -> None:
            spans = self.spans(names)
            self._commit(start(spans, self._offsets.committed(spans)))

        return self._until_it_works(attempt)

    def commit(self, offsets: Mapping[Partition, int]) -> bool:
        """Commit offsets, however long it takes. Return False if the program is stopping."""
        return self._until_it_works(lambda: self._commit(offsets))

    def observe_lag(self, topics: Iterable[str]) -> int:
        """Update the lag of each partition, and return the sum. Raises KafkaException, TimeoutError."""
        total = 0
        spans = self.spans(topics)
        for at, span in spans.items():
            behind = lag(span, self._committed.get(at, 0))
            self._metrics.lag.labels(*at).set(behind)
            total += behind
        self._metrics.partitions.set(len(spans))
        return total

    def close(self) -> None:
        self._offsets.close()

    def _commit(self, offsets: Mapping[Partition, int]) -> None:
        self._offsets.commit(offsets)
        self._committed |= offsets
        self._metrics.group_member.set(1)

    def _until_it_works(self, attempt: Callable[[], None]) -> bool:
        while True:
            try:
                attempt()
            except (KafkaException, TimeoutError) as error:
                self._log(error)
                if self._stop.wait(AGAIN_S):
                    return False
            else:
                return True

    def _log(self, error: Exception) -> None:
        if time.monotonic() - self._logged_at < LOG_EVERY_S:
            return
        self._logged_at = time.monotonic()
        reason = error.args[0] if error.args else None
        if isinstance(reason, KafkaError) and reason.code() in _MEMBERS:
            self._metrics.group_member.set(0)
            log.warning("group %s still has members, of another engine; waiting for them to leave", self._name)
        else:
            log.warning("Kafka: %s", error)

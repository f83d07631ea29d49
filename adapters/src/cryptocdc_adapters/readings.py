"""Reads a feed's figures: what its programs serve, and how far Kafka's topics have come."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from cryptocdc_adapters.figures import FeedFigures, Figures, Partition, scrape
from cryptocdc_adapters.kafka import client_config
from cryptocdc_adapters.offsets import GroupOffsets, ends, lags
from cryptocdc_adapters.targets import addresses
from cryptocdc_core.names import Names
from cryptocdc_core.settings import KafkaSettings

KAFKA_TIMEOUT_S = 2.0
"""Figures are for people: an unreachable Kafka must not delay all others."""


class Readings:
    """Call `read` every second or two; rates are those since the reads of the last seconds.

    `targets` is as `targets.addresses` takes it.
    """

    def __init__(self, targets: str, kafka: KafkaSettings, names: Names, tables: Iterable[str]) -> None:
        self._targets = targets
        self._tables = {names.change_topic(table): table for table in tables}
        self._figures = Figures(names.fid, self._tables.values())
        self._admin = AdminClient(client_config(kafka))
        self._group = GroupOffsets(kafka, names.consumer_group)
        self._counts: dict[str, int] = {}
        self._uncommitted: dict[Partition, int] = {}

    def read(self) -> FeedFigures:
        """Return the current figures; those of programs or a Kafka that does not answer are unchanged."""
        with contextlib.suppress(KafkaException, TimeoutError):
            spans = ends(self._admin, self._tables, KAFKA_TIMEOUT_S)
            self._counts = dict.fromkeys(self._tables.values(), 0)
            for (topic, _), (_, end) in spans.items():
                self._counts[self._tables[topic]] += end
            self._uncommitted = lags(spans, self._group.committed(spans, KAFKA_TIMEOUT_S))
        return self._figures.update(scrape(addresses(self._targets)), self._counts, self._uncommitted)

"""Reads a feed's figures: what its programs serve, and how far Kafka's topics have come."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from cryptocdc_adapters.kafka.clients import client_config
from cryptocdc_adapters.kafka.offsets import GroupOffsets, ends, lags
from cryptocdc_adapters.metrics.figures import FeedFigures, Figures, Partition, Written, scrape
from cryptocdc_adapters.metrics.targets import addresses
from cryptocdc_core.names import Names
from cryptocdc_core.program.settings import KafkaSettings

KAFKA_TIMEOUT_S = 2.0
"""Figures are for people: an unreachable Kafka must not delay all others."""


class Readings:
    """Call `read` every second or two; rates are those since the reads of the last seconds.

    `targets` is as `targets.addresses` takes it. `engine`: the feed's sink engine. Connect serves no figures: the
    committed offsets and the dead letters in Kafka are known, and no latency.
    """

    def __init__(
        self, targets: str, kafka: KafkaSettings, names: Names, tables: Iterable[str], engine: str = "consumer"
    ) -> None:
        self._dead_letter_topic = names.dead_letter_topic if engine == "connect" else None
        self._targets = targets
        self._tables = {names.change_topic(table): table for table in tables}
        self._figures = Figures(names.fid, self._tables.values())
        self._admin = AdminClient(client_config(kafka))
        self._group = GroupOffsets(kafka, names.consumer_group)
        self._counts: dict[str, int] = {}
        self._uncommitted: dict[Partition, int] = {}
        self._dead_letters = 0

    def read(self) -> FeedFigures:
        """Return the current figures; those of programs or a Kafka that does not answer are unchanged."""
        with contextlib.suppress(KafkaException, TimeoutError):
            spans = ends(self._admin, self._tables, KAFKA_TIMEOUT_S)
            self._counts = dict.fromkeys(self._tables.values(), 0)
            for (topic, _), (_, end) in spans.items():
                self._counts[self._tables[topic]] += end
            self._uncommitted = lags(spans, self._group.committed(spans, KAFKA_TIMEOUT_S))
            if self._dead_letter_topic is not None:
                found = ends(self._admin, [self._dead_letter_topic], KAFKA_TIMEOUT_S)
                self._dead_letters = sum(end - first for first, end in found.values())
        samples = scrape(addresses(self._targets))
        if self._dead_letter_topic is None:
            return self._figures.update(samples, self._counts, self._uncommitted)
        written = dict(self._counts)
        for (topic, _), records in self._uncommitted.items():
            written[self._tables[topic]] -= records
        return self._figures.update(samples, self._counts, self._uncommitted, Written(written, self._dead_letters))

"""Publishes the state of slot, connector and sink as metrics, whichever sink engine a feed has."""

from __future__ import annotations

import requests

from cryptocdc_adapters import slots
from cryptocdc_adapters.connect import Connect, ConnectError
from cryptocdc_core.metrics import VerifierMetrics
from cryptocdc_verifier.delivery import KafkaOffsets, lag_by_topic
from cryptocdc_verifier.postgres import PostgresSide
from cryptocdc_verifier.target import Target


class Transport:
    """What carries a feed's changes from PostgreSQL to Cassandra."""

    def __init__(self, target: Target, postgres: PostgresSide, metrics: VerifierMetrics) -> None:
        names = self._names = target.names
        self._postgres, self._metrics = postgres, metrics
        self._connect = Connect(target.connect.url)
        topics = [names.change_topic(stream.table) for stream in (*target.streams, *target.computed)]
        self._changes = KafkaOffsets(target.kafka, topics, names.consumer_group)
        self._dead_letters = KafkaOffsets(target.kafka, [names.dead_letter_topic], names.replay_group)

    def publish(self) -> None:
        """Set the metrics; if Connect does not answer, the connector counts as not running.

        Raises psycopg2.Error, VerifyError.
        """
        fid = self._names.fid
        slot = slots.read_with(self._postgres.connection, self._names.slot)
        self._metrics.slot_usable.labels(fid).set(slot is not None and slot.usable)
        self._metrics.slot_retained_bytes.labels(fid).set(slot.retained_bytes if slot is not None else 0)
        try:
            state = self._connect.state(self._names.connector)
        except (ConnectError, requests.RequestException):
            state = None
        self._metrics.connector_running.labels(fid).set(state is not None and state.running)
        for topic, behind in lag_by_topic(self._changes).items():
            self._metrics.lag.labels(fid, topic).set(behind)
        self._metrics.dead_letters.labels(fid).set(sum(lag_by_topic(self._dead_letters).values()))

"""Publishes the state of slots, connectors and sink as metrics, whichever sink engine a feed has."""

from __future__ import annotations

import requests

from cryptocdc_adapters.replication import slots
from cryptocdc_adapters.replication.connect import Connect, ConnectError
from cryptocdc_core.program.metrics import VerifierMetrics
from cryptocdc_core.storage.shards import Shard
from cryptocdc_verifier.comparing.postgres import PostgresSide
from cryptocdc_verifier.delivery.slots_passed import absent
from cryptocdc_verifier.delivery.waiting import KafkaOffsets, lag_by_topic
from cryptocdc_verifier.target import Target


class Transport:
    """What carries a feed's changes from PostgreSQL to Cassandra."""

    def __init__(self, target: Target, postgres: PostgresSide, metrics: VerifierMetrics) -> None:
        names = self._names = target.names
        self._connectors = target.feed.spec.scaling.connectors
        self._published: set[Shard] = set()
        self._postgres, self._metrics = postgres, metrics
        self._connect = Connect(target.connect.url)
        topics = [names.change_topic(stream.table) for stream in (*target.streams, *target.computed)]
        self._changes = KafkaOffsets(target.kafka, topics, names.consumer_group)
        self._dead_letters = KafkaOffsets(target.kafka, [names.dead_letter_topic], names.replay_group)

    def publish(self) -> None:
        """Set the metrics; if Connect does not answer, the connectors count as not running.

        Raises psycopg2.Error, VerifyError.
        """
        fid = self._names.fid
        made = slots.of_feed(self._postgres.connection, self._names)
        wanted = {*made, *absent(self._names, made, self._connectors)}
        for shard in self._published - wanted:  # their number was changed
            for gauge in (self._metrics.slot_usable, self._metrics.slot_retained_bytes):
                gauge.remove(fid, shard.slot)
            self._metrics.connector_running.remove(fid, shard.connector)
        self._published = wanted
        for shard in wanted:
            slot = made.get(shard)
            self._metrics.slot_usable.labels(fid, shard.slot).set(slot is not None and slot.usable)
            retained = slot.retained_bytes if slot is not None else 0
            self._metrics.slot_retained_bytes.labels(fid, shard.slot).set(retained)
            self._metrics.connector_running.labels(fid, shard.connector).set(self._runs(shard))
        for topic, behind in lag_by_topic(self._changes).items():
            self._metrics.lag.labels(fid, topic).set(behind)
        self._metrics.dead_letters.labels(fid).set(sum(lag_by_topic(self._dead_letters).values()))

    def _runs(self, shard: Shard) -> bool:
        try:
            state = self._connect.state(shard.connector)
        except (ConnectError, requests.RequestException):
            return False
        return state is not None and state.running

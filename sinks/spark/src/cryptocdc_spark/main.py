"""The Spark job: reads the settings, wires everything, and runs until stopped."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from cassandra import InvalidRequest
from confluent_kafka import KafkaException, Producer

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_adapters.kafka.offsets import Partition, Span
from cryptocdc_adapters.metrics.serving import Health, serve_or_exit
from cryptocdc_consumer.connection import Connection
from cryptocdc_consumer.dead_letters import DeadLetters, producer_config
from cryptocdc_consumer.intake import Intake
from cryptocdc_consumer.sink import Sink
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.feed.model import CryptoFeed, retention_s
from cryptocdc_core.names import Names, identity
from cryptocdc_core.planning.plan import written_to
from cryptocdc_core.program import logs
from cryptocdc_core.program.exits import Exit, refusing_bad_input, stop_event
from cryptocdc_core.program.metrics import ConsumerMetrics
from cryptocdc_core.program.settings import CassandraSettings, KafkaSettings, ProgramSettings
from cryptocdc_spark.aside import Aside
from cryptocdc_spark.batch import BatchWriter
from cryptocdc_spark.checkpoint import CheckpointFolder
from cryptocdc_spark.group import Group
from cryptocdc_spark.session import query, session
from cryptocdc_spark.settings import SparkSettings
from cryptocdc_spark.start import Start, start, starting_offsets

log = logging.getLogger("cryptocdc.spark")

HEALTHY_FOR_S = 120
"""A batch may take long while Cassandra is away; Spark itself starts in seconds."""
LOOK_EVERY_S = 1.0
LAG_EVERY_S = 2.0


def main() -> None:
    with refusing_bad_input():
        settings, own = ProgramSettings.from_env(), SparkSettings.from_env()
        kafka, sink = KafkaSettings.from_env(), CassandraSettings.from_env()
        logs.configure(settings.log_format, settings.log_level)
        feed = feeds.load(settings.feed)
        names = Names(identity(feed.name, settings.source))
        stop = stop_event()
        metrics = ConsumerMetrics(version("cryptocdc-spark"))
        health = Health(HEALTHY_FOR_S)
        server = serve_or_exit(metrics.registry, health, settings)
        try:
            spark = session(f"cryptocdc {names.fid}", own, sink)
            code = _run(spark, feed, names, own, kafka, sink, metrics, health, stop)
            spark.stop()
            sys.exit(code)
        finally:
            server.shutdown()


def _run(
    spark: Any,
    feed: CryptoFeed,
    names: Names,
    own: SparkSettings,
    kafka: KafkaSettings,
    sink: CassandraSettings,
    metrics: ConsumerMetrics,
    health: Health,
    stop: threading.Event,
) -> Exit:
    connection = Connection(sink, names.keyspace)
    health.ready_when(connection.obstacle)
    group = Group(kafka, names.consumer_group, metrics, stop)
    ttl_s = retention_s(feed.spec.retention.cassandra)
    try:
        if not connection.connect(stop):
            return Exit.OK
        # Includes streams that are no longer captured or computed but still have tables.
        streams = written_to(feed, cassandra.tables(connection.session, names.keyspace))
        topics = {names.change_topic(stream.table): stream for stream in streams}
        intake = Intake(names, streams, ttl_s, connection.prepare, metrics)
        letters = DeadLetters(Producer(producer_config(kafka), logger=log), names.dead_letter_topic, names.fid, metrics)
        batches = Sink(connection.send, metrics)
        health.ready_when(batches.obstacle)
        threading.Thread(
            target=connection.keep_connected, args=(stop, lambda: batches.stalled_s), name="cassandra", daemon=True
        ).start()
        aside = Aside(intake, batches, letters, metrics, health, stop)
        writer = BatchWriter(names.keyspace, topics, ttl_s, aside, group.commit, metrics, health, stop)
        folder = CheckpointFolder(own.checkpoint)
        begun = _begin(group, folder, names.fid, list(topics))
        if begun is None:
            return Exit.OK
        log.info("writing %s into keyspace %s", ", ".join(topics), names.keyspace)
        offsets = starting_offsets(begun.offsets)
        running = query(spark, kafka, names.consumer_group, topics, ttl_s, offsets, folder.query, writer)
        return _watch(running, writer, group, list(topics), health, stop)
    except InvalidRequest as error:
        log.error("Cassandra: %s; apply the feed first", error)
        return Exit.PLATFORM
    finally:
        connection.close()
        group.close()


def _begin(group: Group, folder: CheckpointFolder, fid: str, topics: list[str]) -> Start | None:
    """Decide where to start, and take the group over. Return None if the program is stopping."""
    decided: list[Start] = []
    ids: dict[str, str] = {}

    def decide(spans: Mapping[Partition, Span], committed: Mapping[Partition, int]) -> Mapping[Partition, int]:
        ids.update(group.topic_ids(topics))
        decided[:] = [start(fid, ids, spans, committed, folder.read())]
        return decided[0].offsets

    if not group.take_over(topics, decide):
        return None
    begun = decided[0]
    for note in begun.notes:
        log.warning("%s", note)
    if begun.resumed:
        log.info("resuming at the checkpoint")
    else:
        folder.begin(fid, ids)
    return begun


def _watch(
    running: Any, writer: BatchWriter, group: Group, topics: list[str], health: Health, stop: threading.Event
) -> Exit:
    """Report lag and health until the program stops or the query ends."""
    lag_at = 0.0
    while not stop.wait(LOOK_EVERY_S):
        if not running.isActive:
            log.error("the query has ended: %s", str(running.exception()).strip()[:2000])
            return Exit.PLATFORM
        if time.monotonic() < lag_at:
            continue
        lag_at = time.monotonic() + LAG_EVERY_S
        try:
            if group.observe_lag(topics) == 0:
                health.beat()
        except (KafkaException, TimeoutError) as error:
            log.warning("Kafka: %s", error)
    with writer.busy:  # the batch in work is finished; the next one sees that the program is stopping
        pass
    running.stop()
    log.info("stopped: everything read is written and committed")
    return Exit.OK


if __name__ == "__main__":
    main()

"""The consumer: reads the settings, wires everything, and runs until stopped."""

from __future__ import annotations

import logging
import sys
import threading
from importlib.metadata import version
from typing import Any

from cassandra import InvalidRequest
from confluent_kafka import Consumer, KafkaException, Producer

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_adapters.kafka.clients import group_config
from cryptocdc_adapters.kafka.membership import Membership
from cryptocdc_adapters.metrics.serving import Health, serve_or_exit
from cryptocdc_consumer import transform
from cryptocdc_consumer.connection import FAILURES, Connection
from cryptocdc_consumer.dead_letters import DeadLetters, producer_config
from cryptocdc_consumer.intake import Intake
from cryptocdc_consumer.sink import Sink
from cryptocdc_consumer.write_loop import WriteLoop
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.feed.model import CryptoFeed, retention_s
from cryptocdc_core.names import Names, identity
from cryptocdc_core.planning.plan import written_to
from cryptocdc_core.program import logs
from cryptocdc_core.program.exits import Exit, refusing_bad_input, stop_event
from cryptocdc_core.program.metrics import ConsumerMetrics
from cryptocdc_core.program.settings import CassandraSettings, ConsumerSettings, KafkaSettings, ProgramSettings

log = logging.getLogger("cryptocdc.consumer")

HEALTHY_FOR_S = 60


def main() -> None:
    with refusing_bad_input():
        settings = ProgramSettings.from_env()
        kafka, sink = KafkaSettings.from_env(), CassandraSettings.from_env()
        logs.configure(settings.log_format, settings.log_level)
        feed = feeds.load(settings.feed)
        step = transform.load(feed, ConsumerSettings.from_env())
    stop = stop_event()
    metrics = ConsumerMetrics(version("cryptocdc-consumer"))
    health = Health(HEALTHY_FOR_S)
    server = serve_or_exit(metrics.registry, health, settings)
    try:
        sys.exit(_run(feed, settings, kafka, sink, step, metrics, health, stop))
    finally:
        server.shutdown()


def _run(
    feed: CryptoFeed,
    settings: ProgramSettings,
    kafka: KafkaSettings,
    sink: CassandraSettings,
    step: transform.Transform | None,
    metrics: ConsumerMetrics,
    health: Health,
    stop: threading.Event,
) -> Exit:
    names = Names(identity(feed.name, settings.source))
    connection = Connection(sink, names.keyspace)
    health.ready_when(connection.obstacle)
    metrics.write_stalled_seconds.set_function(lambda: connection.waiting_s)
    try:
        if not connection.connect(stop):
            return Exit.OK
        # Includes streams that are no longer captured or computed but still have tables.
        streams = written_to(feed, cassandra.tables(connection.session, names.keyspace))
        intake = Intake(names, streams, retention_s(feed.spec.retention.cassandra), connection.prepare, metrics, step)
        producer = Producer(producer_config(kafka), logger=log)
        dead_letters = DeadLetters(producer, names.dead_letter_topic, names.fid, metrics)
        committed: list[Any] = []
        membership = Membership(names.consumer_group)
        health.ready_when(membership.obstacle)
        metrics.group_member.set_function(lambda: membership.member)
        consumer = Consumer(
            consumer_config(kafka, names.consumer_group, lambda *result: committed[0](*result), membership), logger=log
        )
        batches = Sink(connection.send, metrics)
        health.ready_when(batches.obstacle)
        loop = WriteLoop(consumer, intake, batches, dead_letters, metrics, health, lambda: membership.member)
        committed.append(loop.on_commit)
        log.info("consuming %s into keyspace %s", ", ".join(intake.topics), names.keyspace)
        threading.Thread(
            target=connection.keep_connected, args=(stop, lambda: batches.stalled_s), name="cassandra", daemon=True
        ).start()
        drained = loop.run(stop)
        log.info(
            "stopped: %s", "everything is written and committed" if drained else "unwritten records will be read again"
        )
        return Exit.OK
    except InvalidRequest as error:
        # Only raised by preparing: the sink handles those of batches.
        log.error("Cassandra: %s; apply the feed first", error)
        return Exit.PLATFORM
    except FAILURES as error:  # likewise, and of reading which tables there are
        log.error("Cassandra: %s", error)
        return Exit.PLATFORM
    except KafkaException as error:
        log.error("Kafka: %s", error)
        return Exit.PLATFORM
    finally:
        connection.close()


def consumer_config(settings: KafkaSettings, group: str, on_commit: Any, membership: Membership) -> dict[str, Any]:
    """Return the consumer's configuration, with a queue large enough for a steady flow and small enough for memory."""
    queue = {"queued_min_messages": 20_000, "queued_max_messages_kbytes": 32_768}
    return group_config(settings, group, **queue) | membership.settings | {"on_commit": on_commit}


if __name__ == "__main__":
    main()

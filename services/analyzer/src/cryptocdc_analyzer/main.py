"""The analyzer: reads the settings, wires everything, and runs until stopped."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import version
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from cryptocdc_adapters.kafka import offsets
from cryptocdc_adapters.kafka.clients import client_config, group_config
from cryptocdc_adapters.kafka.membership import Membership
from cryptocdc_adapters.kafka.offsets import GroupOffsets
from cryptocdc_adapters.metrics.serving import Health, serve_or_exit
from cryptocdc_analyzer.loop import TIMEOUT_S, AnalyzerLoop
from cryptocdc_analyzer.stored import StoredRows
from cryptocdc_core.catalogue import COMPUTED
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.feed.model import CryptoFeed, FeedError
from cryptocdc_core.names import Names, identity
from cryptocdc_core.program import logs
from cryptocdc_core.program.exits import Exit, refusing_bad_input, stop_event
from cryptocdc_core.program.metrics import AnalyzerMetrics
from cryptocdc_core.program.settings import CassandraSettings, KafkaSettings, ProgramSettings

log = logging.getLogger("cryptocdc.analyzer")

HEALTHY_FOR_S = 60


def main() -> None:
    with refusing_bad_input():
        settings, kafka = ProgramSettings.from_env(), KafkaSettings.from_env()
        cassandra = CassandraSettings.from_env()
        logs.configure(settings.log_format, settings.log_level)
        feed = feeds.load(settings.feed)
        if not feed.spec.computed:
            named = ", ".join(stream.name for stream in COMPUTED.values())
            raise FeedError([f"spec.analytics: has nothing to compute; accepted: one or more of {named}"])
    stop = stop_event()
    metrics = AnalyzerMetrics(version("cryptocdc-analyzer"))
    health = Health(HEALTHY_FOR_S)
    server = serve_or_exit(metrics.registry, health, settings)
    names = Names(identity(feed.name, settings.source))
    consumers = GroupOffsets(kafka, names.consumer_group)
    try:
        _loop(feed, names, kafka, cassandra, consumers, metrics, health).run(stop)
    except KafkaException as error:
        log.error("Kafka: %s", error)
        sys.exit(Exit.PLATFORM)
    finally:
        consumers.close()
        server.shutdown()


def _loop(
    feed: CryptoFeed,
    names: Names,
    kafka: KafkaSettings,
    cassandra: CassandraSettings,
    consumers: GroupOffsets,
    metrics: AnalyzerMetrics,
    health: Health,
) -> AnalyzerLoop:
    assert feed.spec.analytics is not None
    log.info("computing %s of %s", ", ".join(stream.table for stream in feed.spec.computed), names.fid)
    membership = Membership(names.analyzer_group)
    health.ready_when(membership.obstacle)
    metrics.group_member.set_function(lambda: membership.member)
    committed: list[Any] = []
    configured = (
        group_config(kafka, names.analyzer_group, queued_max_messages_kbytes=16_384)
        | membership.settings
        | {"on_commit": lambda *result: committed[0](*result)}
    )
    producer = client_config(
        kafka, acks="all", enable_idempotence=True, linger_ms=5, compression_type="lz4",
        # As Kafka Connect's: all rows of a symbol are in one partition, whichever its trades are in.
        partitioner="murmur2_random",
    )  # fmt: skip
    admin = AdminClient(client_config(kafka))
    loop = AnalyzerLoop(
        Consumer(configured, logger=log),
        Producer(producer, logger=log),
        names,
        feed.spec.analytics,
        StoredRows(cassandra, names.keyspace),
        consumers.committed,
        lambda topics: offsets.ends(admin, topics, TIMEOUT_S),
        metrics,
        health,
        lambda: membership.member,
    )
    committed.append(loop.on_commit)
    health.ready_when(loop.obstacle)
    return loop


if __name__ == "__main__":
    main()

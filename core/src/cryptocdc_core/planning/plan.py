"""Derives from a resolved feed everything that must exist for it. Pure: both appliers, local and Kubernetes, use it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cryptocdc_core.catalogue import COMPUTED, STREAMS, Stream
from cryptocdc_core.feed.alerts import Alert
from cryptocdc_core.feed.model import CryptoFeed, retention_s
from cryptocdc_core.names import Names
from cryptocdc_core.planning.connector import connector_config
from cryptocdc_core.planning.platform import PlatformFacts
from cryptocdc_core.planning.resolve import ResolvedFeed
from cryptocdc_core.planning.sink_connector import sink_connector_config
from cryptocdc_core.storage import ddl
from cryptocdc_core.storage.partitioning import partition_of
from cryptocdc_core.storage.shards import Shard, shards


@dataclass(frozen=True, slots=True)
class Topic:
    """A desired Kafka topic. `config` has the settings that differ from the broker's defaults."""

    name: str
    partitions: int
    config: dict[str, str]


@dataclass(frozen=True)
class Plan:
    feed: CryptoFeed
    names: Names
    streams: tuple[Stream, ...]
    """The streams that are captured and proven."""
    carried: tuple[Stream, ...]
    """The streams whose changes are replicated: those of the feed, and removed ones whose tables still exist."""
    computed: tuple[Stream, ...]
    """The streams that the analyzer computes. Their tables are only in Cassandra."""
    written: tuple[Stream, ...]
    """The streams that have a topic and a table in Cassandra: those carried, and those computed now or before."""
    symbols: dict[str, int]
    """Every captured symbol and its partition of the symbols topic."""
    postgres: tuple[str, ...]
    cassandra: tuple[str, ...]
    topics: tuple[Topic, ...]
    connectors: dict[Shard, dict[str, str]]
    """The configuration of each connector that reads PostgreSQL."""
    sink_connector: dict[str, str] | None
    """The configuration of the connector that writes into Cassandra; None if another engine does, or nothing."""

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The alerts whose symbols are captured: `top` may not include some of them today."""
        return tuple(alert for alert in self.feed.spec.alerts if alert.symbol in self.symbols)

    @property
    def connector(self) -> dict[str, str]:
        """The configuration of the connector of a feed that has one."""
        (config,) = self.connectors.values()
        return config

    @property
    def change_topics(self) -> dict[str, Stream]:
        """The streams by the topic of their changes."""
        return {self.names.change_topic(stream.table): stream for stream in self.written}


def streams_of(feed: CryptoFeed, kept: Collection[str] = ()) -> tuple[Stream, ...]:
    """Return the streams of `feed` and those of the tables `kept`, in the catalogue's order."""
    return tuple(stream for stream in STREAMS.values() if stream.table in {*feed.spec.streams.tables, *kept})


def written_to(feed: CryptoFeed, tables: Collection[str]) -> tuple[Stream, ...]:
    """Return the streams that every sink engine writes: those of `feed` and those with one of Cassandra's `tables`."""
    wanted = {*(stream.table for stream in feed.spec.computed), *tables}
    return (*streams_of(feed, tables), *(stream for table, stream in COMPUTED.items() if table in wanted))


def plan(resolved: ResolvedFeed, platform: PlatformFacts, kept: Collection[str] = ()) -> Plan:
    """Return the tables, topics, connector and symbol assignment of a feed. The same input always gives the same plan.

    `kept`: the tables in the feed's PostgreSQL schema, and those of computed streams that were made. A stream that was
    removed from the feed is no longer captured or computed, but its changes are carried and written while its table
    exists: its programs write until they are replaced, and rows skipped then would be missing permanently if the stream
    were added again.
    """
    feed, names = resolved.feed, resolved.names
    carried, written = streams_of(feed, kept), written_to(feed, kept)
    partitions = feed.spec.scaling.partitions
    keep_kafka = retention_s(feed.spec.retention.kafka)
    retention = {"retention.ms": str(keep_kafka * 1000 if keep_kafka is not None else -1)}
    # A dead letter is a record plus headers: the largest record that a change topic accepts must still fit.
    dead_letters = {"retention.ms": "-1", "max.message.bytes": str(2 * 2**20)}
    topics = (
        *(Topic(names.change_topic(stream.table), partitions, retention) for stream in written),
        # Compacted often, so that a producer reads the current assignment and little of its history.
        Topic(names.symbols_topic, partitions, {"cleanup.policy": "compact", "segment.ms": "3600000"}),
        Topic(names.dead_letter_topic, 1, dead_letters),
        Topic(names.alerts_topic, 1, {"cleanup.policy": "compact", "segment.ms": "3600000"}),
        Topic(names.rejected_topic, 1, retention),
        Topic(names.heartbeat_topic, 1, {"retention.ms": "3600000"}),
    )
    tables = ddl.postgres_schema(names, carried, platform.replication_user, feed.spec.scaling.connectors)
    if feed.spec.streams.recent_trades is not None:
        tables.append(ddl.trade_kind(names, feed.spec.streams.recent_trades.kind))
    return Plan(
        feed=feed,
        names=names,
        streams=streams_of(feed),
        carried=carried,
        computed=feed.spec.computed,
        written=written,
        symbols={symbol: partition_of(symbol, partitions) for symbol in resolved.symbols},
        postgres=tuple(tables),
        cassandra=tuple(
            ddl.cassandra_schema(
                names,
                written,
                retention_s(feed.spec.retention.cassandra),
                platform.cassandra_replication,
            )
        ),
        topics=topics,
        connectors={
            shard: connector_config(shard, carried, platform) for shard in shards(names, feed.spec.scaling.connectors)
        },
        sink_connector=sink_connector_config(feed, names, written, platform),
    )

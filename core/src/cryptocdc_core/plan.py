"""From a resolved feed to everything that must exist for it. Pure: both appliers, local and Kubernetes, start here."""

from __future__ import annotations

from dataclasses import dataclass

from cryptocdc_core import ddl
from cryptocdc_core.alerts import Alert
from cryptocdc_core.catalogue import STREAMS, Stream, by_table
from cryptocdc_core.connector import connector_config
from cryptocdc_core.feed import CryptoFeed, retention_s
from cryptocdc_core.names import Names
from cryptocdc_core.partitioning import partition_of
from cryptocdc_core.resolve import ResolvedFeed


@dataclass(frozen=True, slots=True)
class Topic:
    """A Kafka topic as it must be. `config` holds what differs from the broker's defaults."""

    name: str
    partitions: int
    config: dict[str, str]


@dataclass(frozen=True, slots=True)
class PlatformFacts:
    """What a plan must know of the platform: where Connect finds PostgreSQL, and how Cassandra replicates.

    The credentials may be references (`${secrets:…}`) that Connect resolves itself.
    """

    postgres_host: str
    postgres_port: int
    postgres_database: str
    replication_user: str
    replication_password: str
    postgres_sslmode: str = "prefer"
    cassandra_replication: str = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
    topic_replication: int = 1


@dataclass(frozen=True)
class Plan:
    feed: CryptoFeed
    names: Names
    streams: tuple[Stream, ...]
    symbols: dict[str, int]
    """Every captured symbol and its partition of the symbols topic."""
    postgres: tuple[str, ...]
    cassandra: tuple[str, ...]
    topics: tuple[Topic, ...]
    connector: dict[str, str]

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Those whose symbols are captured: `top` may not mean one today, and one that is halted waits."""
        return tuple(alert for alert in self.feed.spec.alerts if alert.symbol in self.symbols)

    @property
    def change_topics(self) -> dict[str, Stream]:
        """The streams by the topic that carries their changes."""
        return {self.names.change_topic(stream.table): stream for stream in self.streams}


def streams_of(feed: CryptoFeed) -> tuple[Stream, ...]:
    """The catalogue's streams that `feed` asks for, in the catalogue's order."""
    wanted = {by_table(table).name for table in feed.spec.streams.tables}
    return tuple(stream for name, stream in STREAMS.items() if name in wanted)


def plan(resolved: ResolvedFeed, platform: PlatformFacts) -> Plan:
    """Tables, topics, connector and symbol assignment of a feed. The same input always gives the same plan."""
    feed, names = resolved.feed, resolved.names
    streams = streams_of(feed)
    partitions = feed.spec.scaling.partitions
    keep_kafka = retention_s(feed.spec.retention.kafka)
    retention = {"retention.ms": str(keep_kafka * 1000 if keep_kafka is not None else -1)}
    # A letter is a record with headers: the largest record that a change topic takes must still fit.
    letters = {"retention.ms": "-1", "max.message.bytes": str(2 * 2**20)}
    topics = (
        *(Topic(names.change_topic(stream.table), partitions, retention) for stream in streams),
        # Kept compact, so that a producer reads the assignment and not its history.
        Topic(names.symbols_topic, partitions, {"cleanup.policy": "compact", "segment.ms": "3600000"}),
        Topic(names.dead_letter_topic, 1, letters),
        Topic(names.alerts_topic, 1, {"cleanup.policy": "compact", "segment.ms": "3600000"}),
        Topic(names.rejected_topic, 1, retention),
        Topic(names.heartbeat_topic, 1, {"retention.ms": "3600000"}),
    )
    tables = ddl.postgres_schema(names, streams, platform.replication_user)
    if feed.spec.streams.recent_trades is not None:
        tables.append(ddl.trade_kind(names, feed.spec.streams.recent_trades.kind))
    return Plan(
        feed=feed,
        names=names,
        streams=streams,
        symbols={symbol: partition_of(symbol, partitions) for symbol in resolved.symbols},
        postgres=tuple(tables),
        cassandra=tuple(
            ddl.cassandra_schema(
                names, streams, retention_s(feed.spec.retention.cassandra), platform.cassandra_replication
            )
        ),
        topics=topics,
        connector=connector_config(names, streams, platform),
    )

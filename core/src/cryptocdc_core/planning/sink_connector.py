"""The configuration of the connector that writes a feed's changes into Cassandra (sinks/connect).

Its mapping makes the rows that the consumer makes, with the same version and TTL. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cryptocdc_core.catalogue import AUDIT, DERIVED, HEATMAP, SHARD, Derived, Stream
from cryptocdc_core.feed.model import CryptoFeed, retention_s
from cryptocdc_core.names import Names
from cryptocdc_core.planning.platform import PlatformFacts
from cryptocdc_core.rows.changes import META, UNAVAILABLE
from cryptocdc_core.rows.heatmap import BINS, SLOT_MS
from cryptocdc_core.rows.versions import DELETION_LEAD_US, LAST_OF_A_MILLISECOND
from cryptocdc_core.storage.ddl import AUDIT_COLUMN

_ORIGINS: dict[str, Any] = {
    "op": META["op"],
    "lsn": META["lsn"],
    "committed_at": {"micros": META["committed_us"]},
    "produced_at": {"time": "record"},
    "written_at": {"time": "now"},
}
_DELETED_AT = {"field": META["committed_us"], "add": DELETION_LEAD_US}


def sink_connector_config(
    feed: CryptoFeed, names: Names, streams: Sequence[Stream], platform: PlatformFacts
) -> dict[str, str] | None:
    """Return the connector's configuration; None if the feed's engine is another, or it has no tasks.

    It reads as the feed's consumer group and assigns partitions as the consumers do, so offsets, lag and proofs are the
    same with either engine. It gets the records' bytes, so that a dead letter has them unchanged.
    """
    tasks = min(feed.spec.scaling.consumers, feed.spec.scaling.partitions)
    if feed.spec.sink.engine != "connect" or not tasks:
        return None
    ttl_s = retention_s(feed.spec.retention.cassandra)
    bytes_converter = "org.apache.kafka.connect.converters.ByteArrayConverter"
    return {
        "connector.class": "io.cryptocdc.connect.cassandra.CassandraSinkConnector",
        "tasks.max": str(tasks),
        "topics": ",".join(names.change_topic(stream.table) for stream in streams),
        "key.converter": bytes_converter,
        "value.converter": bytes_converter,
        "cassandra.hosts": platform.cassandra_hosts,
        "cassandra.port": str(platform.cassandra_port),
        "cassandra.datacenter": platform.cassandra_datacenter,
        "cassandra.username": platform.cassandra_user,
        "cassandra.password": platform.cassandra_password,
        **({"cassandra.ca": platform.cassandra_ca} if platform.cassandra_ca is not None else {}),
        "mapping": json.dumps(mapping(names, streams, ttl_s), separators=(",", ":")),
        "unavailable.value": UNAVAILABLE,
        "errors.tolerance": "all",
        "errors.deadletterqueue.topic.name": names.dead_letter_topic,
        "dead.letter.header.prefix": "cryptocdc.",
        "dead.letter.headers": f"cryptocdc.feed={names.fid}",
        "producer.override.max.request.size": str(2 * 2**20),
        "consumer.override.group.id": names.consumer_group,
        "consumer.override.auto.offset.reset": "earliest",
        "consumer.override.partition.assignment.strategy": (
            "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"
        ),
        "consumer.override.max.poll.records": "6000",
        "consumer.override.fetch.max.wait.ms": "100",
        # A killed worker's partitions are free after so long.
        "consumer.override.session.timeout.ms": "10000",
    }


def mapping(names: Names, streams: Sequence[Stream], ttl_s: int | None) -> dict[str, Any]:
    """Return what the connector writes where: by topic, the tables with their columns (sinks/connect/README.md)."""
    return {
        names.change_topic(stream.table): {
            "operation": {"field": META["op"], "write": ["c", "u", "r"], "delete": ["d"]},
            "present": [*stream.column_names, META["lsn"]],
            "required": [
                *(column.name for column in stream.columns if not column.nullable),
                META["committed_us"],
            ],
            "tables": [
                _table(names, stream, ttl_s),
                *(_derived(names, stream, each, ttl_s) for each in DERIVED if each.source == stream.table),
            ],
        }
        for stream in streams
    }


def _table(names: Names, stream: Stream, ttl_s: int | None) -> dict[str, Any]:
    first = {"operation": "c", "time": stream.time, "written": META["committed_us"]}
    return {
        "table": f"{names.keyspace}.{stream.table}",
        "columns": {
            **{name: name for name in stream.column_names},
            AUDIT_COLUMN: {"fields": {field.name: _ORIGINS[field.name] for field in AUDIT}},
            stream.bucket_column: _bucket(stream),
        },
        "timestamp": "version",
        **_ttl(stream, ttl_s),
        **({"replace": {"first": first}} if stream.nullable else {}),
        "delete": {
            "where": [*stream.partition, stream.bucket_column, *stream.clustering],
            "timestamp": _DELETED_AT,
        },
    }


def _bucket(stream: Stream) -> dict[str, Any]:
    finer = {value: bucket.value for value, bucket in stream.finer_buckets.items()}
    by = {"by": stream.partition[-1], "finer": finer} if finer else {}
    return {"floor": stream.time, "to": stream.bucket.value, **by}


def _ttl(stream: Stream, ttl_s: int | None) -> dict[str, Any]:
    return {} if ttl_s is None else {"ttl": {"seconds": ttl_s, "from": stream.time}}


def _derived(names: Names, stream: Stream, derived: Derived, ttl_s: int | None) -> dict[str, Any]:
    table = {"table": f"{names.keyspace}.{derived.table}", "timestamp": "version", **_ttl(stream, ttl_s)}
    if derived is HEATMAP:
        columns: dict[str, Any] = {column.name: column.name for column in derived.columns}
        sides = ("bid_prices", "bid_quantities", "ask_prices", "ask_quantities")
        return {
            **table,
            "columns": {**columns, stream.bucket_column: _bucket(stream)},
            "delete": {"where": [*derived.partition, stream.time], "timestamp": _DELETED_AT},
            "histogram": {"time": stream.time, "every_ms": SLOT_MS, "bins": BINS, **{name: name for name in sides}},
        }
    return {
        **table,
        "columns": {"shard": {"value": SHARD}, **{name: name for name in stream.column_names}},
        "newest": True,
        "replace": {},
        # The greatest version that the deleted row can have had: a newer row of the symbol stays.
        "delete": {
            "where": ["shard", *derived.clustering],
            "timestamp": {"field": stream.time, "times": 1000, "add": LAST_OF_A_MILLISECOND},
        },
    }

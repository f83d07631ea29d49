"""Debezium's configuration for a feed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.names import quoted
from cryptocdc_core.planning.platform import PlatformFacts
from cryptocdc_core.storage.ddl import HEARTBEAT
from cryptocdc_core.storage.shards import Shard

HEARTBEAT_MS = 1000
"""How often the slot advances when nothing is captured; proofs wait for that."""

CONVERTER = "io.cryptocdc.connect.json.FlatJsonConverter"
"""Our own converter (sources/connect), which is also the transform: the same bytes for less CPU time."""

_WITHOUT_CONVERTER = {
    "key.converter": "org.apache.kafka.connect.json.JsonConverter",
    "key.converter.schemas.enable": "false",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter.schemas.enable": "false",
    "transforms": "unwrap",
    "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
    "transforms.unwrap.add.fields": "op,lsn,source.ts_us",
    "transforms.unwrap.delete.tombstone.handling.mode": "rewrite",
}


def for_plugins(config: Mapping[str, str], plugins: Collection[str]) -> dict[str, str]:
    """Return `connector_config`'s result for a Connect with these plugins' classes: without our converter, Debezium's
    transform and Kafka's converter write the same records."""
    return dict(config) if CONVERTER in plugins else {**config, **_WITHOUT_CONVERTER}


def connector_config(shard: Shard, streams: Sequence[Stream], platform: PlatformFacts) -> dict[str, str]:
    """Return the configuration of a shard's connector for Connect's REST API and Strimzi's KafkaConnector.

    Settings that differ from the defaults, and why: `poll.interval.ms` causes nearly all of the latency (500 → 10);
    without schemas and envelopes a record has 77 bytes per row instead of 4,532; decimals as strings keep their digits;
    only root tables are listed, since partitions are published as their root; the key is the symbol, so that a symbol's
    rows keep their order; the changes in a queue of 2,048 die young in the heap, whereas with 8,192 the collector
    copies them again and again (3 instead of 13 of Connect's 45 µs per row); a linger of 3 ms puts a commit's rows into
    one request, which halves the broker's work.
    """
    names = shard.names
    roots = [f"{names.schema}.{stream.table}" for stream in streams]
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "tasks.max": "1",
        "database.hostname": platform.postgres_host,
        "database.port": str(platform.postgres_port),
        "database.user": platform.replication_user,
        "database.password": platform.replication_password,
        "database.dbname": platform.postgres_database,
        "database.sslmode": platform.postgres_sslmode,
        "topic.prefix": names.topic_prefix,
        "plugin.name": "pgoutput",
        "slot.name": shard.slot,
        "slot.failover": "true",
        # Fails if the slot was made again after the connector's position; the default silently leaves out what is in
        # between. A slot that was only advanced (its restart_lsn is still older) is not noticed by Debezium 3.7.
        "offset.mismatch.strategy": "trust_offset",
        "publication.name": shard.publication,
        "publication.autocreate.mode": "disabled",
        "schema.include.list": names.schema,
        "table.include.list": ",".join(roots),
        "message.key.columns": ";".join(f"{root}:symbol" for root in roots),
        "snapshot.mode": "initial",
        "tombstones.on.delete": "false",
        "decimal.handling.mode": "string",
        "poll.interval.ms": "10",
        "max.batch.size": "512",
        "max.queue.size": "2048",
        "status.update.interval.ms": "2000",
        "heartbeat.interval.ms": str(HEARTBEAT_MS),
        "heartbeat.action.query": f"UPDATE {quoted(names.schema)}.{HEARTBEAT} SET beat_at = now() WHERE id = 1",  # noqa: S608
        "key.converter": CONVERTER,
        "value.converter": CONVERTER,
        "producer.override.linger.ms": "3",
        "producer.override.compression.type": "lz4",
        "producer.override.batch.size": "131072",
        # While PostgreSQL restarts, the task retries instead of failing.
        "errors.max.retries": "-1",
        "retriable.restart.connector.wait.ms": "2000",
        **_only_its_rows(shard, streams),
    }


def _only_its_rows(shard: Shard, streams: Sequence[Stream]) -> dict[str, str]:
    """Return the settings that a connector needs beside others of its feed: a snapshot does not apply the publication's
    row filters, and connectors in one worker with the same `topic.prefix` would have the same metrics."""
    if shard.rows is None:
        return {}
    schema, select = shard.names.schema, "snapshot.select.statement.overrides"
    return {
        select: ",".join(f"{schema}.{stream.table}" for stream in streams),
        **{
            f"{select}.{schema}.{stream.table}": (
                f"SELECT * FROM {quoted(schema)}.{quoted(stream.table)} WHERE {shard.rows}"  # noqa: S608
            )
            for stream in streams
        },
        "custom.metric.tags": f"shard={shard.suffix}",
    }

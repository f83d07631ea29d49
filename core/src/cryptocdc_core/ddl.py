"""The statements that make a feed's tables in both databases, derived from the catalogue. Text in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from cryptocdc_core.catalogue import AUDIT, DERIVED, Bucket, Column, Stream, Type
from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_core.names import Names, literal, quoted

HEARTBEAT = "heartbeat"
GAPS = "gaps"
PROOFS = "proofs"
DROPPED = "dropped"
AUDIT_COLUMN = "audit"
"""Also the name of its type."""

DAY_MS = 86_400_000

_OVERWRITTEN = "{'class': 'UnifiedCompactionStrategy'}"


def postgres_schema(names: Names, streams: Sequence[Stream], replication_user: str) -> list[str]:
    """Schema, tables, their roots' publication and the replication user's rights. Each statement may be run again.

    The publication is set to exactly these roots, partitions published as their root, without truncate: what empties a
    table here must not empty it there unseen.
    """
    schema = quoted(names.schema)
    reader = quoted(replication_user)
    statements = [f"CREATE SCHEMA IF NOT EXISTS {schema}"]
    for stream in streams:
        columns = ", ".join(
            f"{quoted(c.name)} {c.type.postgres}{'' if c.nullable else ' NOT NULL'}" for c in stream.columns
        )
        key = ", ".join(map(quoted, stream.key))
        statements.append(
            f"CREATE TABLE IF NOT EXISTS {schema}.{quoted(stream.table)} ({columns}, PRIMARY KEY ({key}))"
            f" PARTITION BY RANGE ({quoted(stream.time)})"
        )
        if stream.nullable:
            statements.append(_drop_not_null(f"{schema}.{quoted(stream.table)}", stream.nullable))
    statements += [
        # Its row moves the slot on while captured tables are idle, so that no log piles up.
        f"CREATE TABLE IF NOT EXISTS {schema}.{HEARTBEAT} (id integer PRIMARY KEY, beat_at timestamp(3) NOT NULL)",
        f"INSERT INTO {schema}.{HEARTBEAT} VALUES (1, now()) ON CONFLICT DO NOTHING",  # noqa: S608
        # What capture missed, written in the transaction of the row that showed it: a restart goes on filling.
        f"CREATE TABLE IF NOT EXISTS {schema}.{GAPS} ("
        "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, table_name text NOT NULL, symbol text NOT NULL,"
        " interval text NOT NULL DEFAULT '', first bigint NOT NULL, last bigint NOT NULL,"
        " state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'filled', 'unfillable')),"
        " reason text NOT NULL DEFAULT '', found_at timestamp(3) NOT NULL DEFAULT now(), ended_at timestamp(3),"
        " UNIQUE (table_name, symbol, interval, first, last))",
        # Which slices of time the verifier has proven equal; a partition is dropped only when all of it is here. The
        # count and the sum of the versions tell whether a slice has changed since.
        f"CREATE TABLE IF NOT EXISTS {schema}.{PROOFS} ("
        "table_name text NOT NULL, bucket_start timestamp(3) NOT NULL, bucket_end timestamp(3) NOT NULL,"
        " rows bigint NOT NULL, versions numeric NOT NULL, lsn pg_lsn NOT NULL,"
        " proven_at timestamp(3) NOT NULL DEFAULT now(), PRIMARY KEY (table_name, bucket_start))",
        # Which days retention has dropped: Cassandra still has their rows, and they are not extra there.
        f"CREATE TABLE IF NOT EXISTS {schema}.{DROPPED} ("
        "table_name text NOT NULL, day timestamp(3) NOT NULL, rows bigint NOT NULL,"
        " dropped_at timestamp(3) NOT NULL DEFAULT now(), PRIMARY KEY (table_name, day))",
    ]
    roots = ", ".join(f"{schema}.{quoted(t)}" for t in [*(s.table for s in streams), HEARTBEAT])
    publication = quoted(names.publication)
    statements += [
        "DO "
        + literal(
            f"BEGIN IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = {literal(names.publication)}) THEN"
            f" CREATE PUBLICATION {publication} FOR TABLE {roots}"
            " WITH (publish = 'insert, update, delete', publish_via_partition_root = true); END IF; END"
        ),
        f"ALTER PUBLICATION {publication} SET TABLE {roots}",
        f"GRANT USAGE ON SCHEMA {schema} TO {reader}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {reader}",
        f"GRANT UPDATE ON {schema}.{HEARTBEAT} TO {reader}",
    ]
    return statements


def _drop_not_null(table: str, columns: Sequence[Column]) -> str:
    """The statement that lets columns of an existing table be null: earlier releases created every column NOT NULL.

    ALTER TABLE locks the table and its partitions even when it changes nothing, so it runs only where it does.
    """
    names = ", ".join(literal(column.name) for column in columns)
    drop = ", ".join(f"ALTER COLUMN {quoted(column.name)} DROP NOT NULL" for column in columns)
    return "DO " + literal(
        f"BEGIN IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = {literal(table)}::regclass AND attnotnull"
        f" AND attname IN ({names})) THEN ALTER TABLE {table} {drop}; END IF; END"
    )


def drop_postgres(names: Names) -> list[str]:
    """The statements that remove what `postgres_schema` made, rows and all."""
    return [
        f"DROP PUBLICATION IF EXISTS {quoted(names.publication)}",
        f"DROP SCHEMA IF EXISTS {quoted(names.schema)} CASCADE",
    ]


def cassandra_role(names: Names, role: str, password: str, rights: Sequence[str]) -> list[str]:
    """The statements that let a role log in and do this with this keyspace, and no more than that."""
    return [
        f"CREATE ROLE IF NOT EXISTS {quoted(role)} {_login(password)}",
        *(f"GRANT {right} ON KEYSPACE {quoted(names.keyspace)} TO {quoted(role)}" for right in rights),
    ]


def cassandra_password(role: str, password: str) -> str:
    """The statement that gives a role another password. Cassandra takes one every five seconds."""
    return f"ALTER ROLE {quoted(role)} {_login(password)}"


def _login(password: str) -> str:
    return f"WITH PASSWORD = {literal(password)} AND LOGIN = true"


def drop_cassandra(names: Names) -> list[str]:
    """The statements that remove what `cassandra_schema` made, rows and all."""
    return [f"DROP KEYSPACE IF EXISTS {quoted(names.keyspace)}"]


def trade_kind(names: Names, kind: str) -> str:
    """The statement that notes which trades the table holds, and raises when it holds the other kind's: their ids are
    counted apart and must never mix, not even when the feed was deleted, or was without trades, in between."""
    table = f"{quoted(names.schema)}.{quoted(RECENT_TRADES.table)}"
    told = (
        f"spec.streams.recentTrades.kind: {kind!r} is not accepted; accepted: %, whose rows {names.schema}."
        f"{RECENT_TRADES.table} holds: use another feed, or delete this one with `deletionPolicy: Delete`"
    )
    return "DO " + literal(
        f"DECLARE held text := obj_description({literal(table)}::regclass); BEGIN"
        f" IF held <> {literal(kind)} AND EXISTS (SELECT FROM {table}) THEN"
        f" RAISE EXCEPTION {literal(told)}, quote_literal(held); END IF;"
        f" COMMENT ON TABLE {table} IS {literal(kind)}; END"
    )


def partition_name(stream: Stream, day_ms: int) -> str:
    """The PostgreSQL partition of the UTC day that starts at `day_ms`, e.g. klines_p20261121."""
    return f"{stream.table}_p{datetime.fromtimestamp(day_ms / 1000, UTC):%Y%m%d}"


def postgres_partition(names: Names, stream: Stream, day_ms: int) -> str:
    """The statement that makes the partition of the UTC day that starts at `day_ms`, unless it is there."""
    start, end = (f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d}" for at in (day_ms, day_ms + DAY_MS))
    schema = quoted(names.schema)
    return (
        f"CREATE TABLE IF NOT EXISTS {schema}.{quoted(partition_name(stream, day_ms))}"
        f" PARTITION OF {schema}.{quoted(stream.table)} FOR VALUES FROM ('{start}') TO ('{end}')"
    )


def cassandra_schema(names: Names, streams: Sequence[Stream], retention_s: int | None, replication: str) -> list[str]:
    """Keyspace and tables; `replication` is CQL's map, e.g. "{'class': 'SimpleStrategy', 'replication_factor': 1}"."""
    keyspace = quoted(names.keyspace)
    fields = ", ".join(f"{quoted(c.name)} {c.type.cql}" for c in AUDIT)
    statements = [
        f"CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {replication}",
        f"CREATE TYPE IF NOT EXISTS {keyspace}.{AUDIT_COLUMN} ({fields})",
    ]
    for stream in streams:
        partition = (*stream.partition, stream.bucket_column)
        statements.append(
            _cassandra_table(
                keyspace, stream.table, cassandra_columns(stream), partition, stream.clustering, stream.clustering,
                stream.doc, _compaction(retention_s, stream.bucket), f", {AUDIT_COLUMN} frozen<{AUDIT_COLUMN}>",
            )
        )  # fmt: skip
    tables = {stream.table for stream in streams}
    for derived in DERIVED:
        if derived.source in tables:
            by_time = _compaction(retention_s, Bucket.HOUR) if derived.descending else _OVERWRITTEN
            statements.append(
                _cassandra_table(
                    keyspace, derived.table, derived.columns, derived.partition, derived.clustering,
                    derived.descending, derived.doc, by_time,
                )
            )  # fmt: skip
    return statements


def cassandra_columns(stream: Stream) -> tuple[Column, ...]:
    """A stream's columns in Cassandra, the audit apart: those of PostgreSQL and the bucket."""
    finer = "".join(f", of {value} of the {bucket.value}" for value, bucket in stream.finer_buckets.items())
    bucket = Column(stream.bucket_column, Type.TIMESTAMP, f"Start of the {stream.bucket.value}{finer}, in UTC.")
    return (*stream.columns, bucket)


def _cassandra_table(
    keyspace: str, table: str, columns: Sequence[Column], partition: Sequence[str], clustering: Sequence[str],
    descending: Sequence[str], doc: str, compaction: str, more: str = "",
) -> str:  # fmt: skip
    definitions = ", ".join(f"{quoted(c.name)} {c.type.cql}" for c in columns)
    key = f"({', '.join(map(quoted, partition))}), {', '.join(map(quoted, clustering))}"
    order = ", ".join(f"{quoted(name)} {'DESC' if name in descending else 'ASC'}" for name in clustering)
    return (
        f"CREATE TABLE IF NOT EXISTS {keyspace}.{quoted(table)} ({definitions}{more}, PRIMARY KEY ({key}))"
        f" WITH CLUSTERING ORDER BY ({order}) AND comment = {literal(doc)} AND compaction = {compaction}"
    )


def _compaction(retention_s: int | None, bucket: Bucket) -> str:
    """TimeWindowCompaction with about 25 windows a TTL: whole files expire at once. Without TTL, by the bucket."""
    if retention_s is None:
        hours = {Bucket.HOUR: 24, Bucket.DAY: 24 * 7, Bucket.MONTH: 24 * 31}[bucket]
    else:
        hours = max(1, round(retention_s / 3600 / 25))
    return (
        "{'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'HOURS',"
        f" 'compaction_window_size': {hours}}}"
    )

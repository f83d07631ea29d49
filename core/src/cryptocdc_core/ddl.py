"""The statements that create a feed's tables in both databases, derived from the catalogue. Text in, text out."""

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
"""The name of both the column and its type."""

DAY_MS = 86_400_000

_OVERWRITTEN = "{'class': 'UnifiedCompactionStrategy'}"


def postgres_schema(names: Names, streams: Sequence[Stream], replication_user: str) -> list[str]:
    """Return the idempotent statements for schema, tables, publication and the replication user's privileges.

    The publication contains exactly these root tables, publishes partitions as their root, and omits truncate, which
    must not empty a table in Cassandra unnoticed.
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
        # Updates of its row advance the slot while captured tables are idle, so that WAL does not accumulate.
        f"CREATE TABLE IF NOT EXISTS {schema}.{HEARTBEAT} (id integer PRIMARY KEY, beat_at timestamp(3) NOT NULL)",
        f"INSERT INTO {schema}.{HEARTBEAT} VALUES (1, now()) ON CONFLICT DO NOTHING",  # noqa: S608
        # What capture missed, written in the transaction of the row that revealed it, so that filling survives
        # restarts.
        f"CREATE TABLE IF NOT EXISTS {schema}.{GAPS} ("
        "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, table_name text NOT NULL, symbol text NOT NULL,"
        " interval text NOT NULL DEFAULT '', first bigint NOT NULL, last bigint NOT NULL,"
        " state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'filled', 'unfillable')),"
        " reason text NOT NULL DEFAULT '', found_at timestamp(3) NOT NULL DEFAULT now(), ended_at timestamp(3),"
        " UNIQUE (table_name, symbol, interval, first, last))",
        # The slices of time that the verifier has proven equal; a partition is dropped only if all of its slices are
        # here. The number of rows and the sum of the versions show whether a slice has changed since.
        f"CREATE TABLE IF NOT EXISTS {schema}.{PROOFS} ("
        "table_name text NOT NULL, bucket_start timestamp(3) NOT NULL, bucket_end timestamp(3) NOT NULL,"
        " rows bigint NOT NULL, versions numeric NOT NULL, lsn pg_lsn NOT NULL,"
        " proven_at timestamp(3) NOT NULL DEFAULT now(), PRIMARY KEY (table_name, bucket_start))",
        # The days that retention has dropped: their rows are still in Cassandra, where they don't count as extra.
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
    """Return the statements that remove everything that `postgres_schema` creates, including all rows."""
    return [
        f"DROP PUBLICATION IF EXISTS {quoted(names.publication)}",
        f"DROP SCHEMA IF EXISTS {quoted(names.schema)} CASCADE",
    ]


def cassandra_role(names: Names, role: str, password: str, rights: Sequence[str]) -> list[str]:
    """Return the statements that create a role and grant it `rights` on this keyspace, and nothing else."""
    return [
        f"CREATE ROLE IF NOT EXISTS {quoted(role)} {_login(password)}",
        *(f"GRANT {right} ON KEYSPACE {quoted(names.keyspace)} TO {quoted(role)}" for right in rights),
    ]


def cassandra_password(role: str, password: str) -> str:
    """Return the statement that changes a role's password. Cassandra accepts one every five seconds."""
    return f"ALTER ROLE {quoted(role)} {_login(password)}"


def _login(password: str) -> str:
    return f"WITH PASSWORD = {literal(password)} AND LOGIN = true"


def drop_cassandra(names: Names) -> list[str]:
    """Return the statements that remove everything that `cassandra_schema` creates, including all rows."""
    return [f"DROP KEYSPACE IF EXISTS {quoted(names.keyspace)}"]


def trade_kind(names: Names, kind: str) -> str:
    """Return the statement that records the kind of trades in the table, and raises if it contains the other kind:
    their ids are separate sequences that must never mix, even if the feed was deleted, or had no trades, meanwhile."""
    table = f"{quoted(names.schema)}.{quoted(RECENT_TRADES.table)}"
    message = (
        f"spec.streams.recentTrades.kind: {kind!r} is not accepted; accepted: %, the kind of the rows in"
        f" {names.schema}.{RECENT_TRADES.table}: use another feed, or delete this one with `deletionPolicy: Delete`"
    )
    return "DO " + literal(
        f"DECLARE held text := obj_description({literal(table)}::regclass); BEGIN"
        f" IF held <> {literal(kind)} AND EXISTS (SELECT FROM {table}) THEN"
        f" RAISE EXCEPTION {literal(message)}, quote_literal(held); END IF;"
        f" COMMENT ON TABLE {table} IS {literal(kind)}; END"
    )


def partition_name(stream: Stream, day_ms: int) -> str:
    """Return the name of the PostgreSQL partition for the UTC day that starts at `day_ms`, e.g. klines_p20261121."""
    return f"{stream.table}_p{datetime.fromtimestamp(day_ms / 1000, UTC):%Y%m%d}"


def postgres_partition(names: Names, stream: Stream, day_ms: int) -> str:
    """Return the statement that creates the partition for the UTC day that starts at `day_ms`, unless it exists."""
    start, end = (f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d}" for at in (day_ms, day_ms + DAY_MS))
    schema = quoted(names.schema)
    return (
        f"CREATE TABLE IF NOT EXISTS {schema}.{quoted(partition_name(stream, day_ms))}"
        f" PARTITION OF {schema}.{quoted(stream.table)} FOR VALUES FROM ('{start}') TO ('{end}')"
    )


def cassandra_schema(names: Names, streams: Sequence[Stream], retention_s: int | None, replication: str) -> list[str]:
    """Return the idempotent statements for keyspace and tables. `replication` is a CQL map,
    e.g. "{'class': 'SimpleStrategy', 'replication_factor': 1}"."""
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
    """Return a stream's columns in Cassandra, except the audit: those of PostgreSQL and the bucket."""
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
    """Return TimeWindowCompactionStrategy with about 25 windows per TTL, so that whole files expire at once; without
    a TTL the window depends on the bucket."""
    if retention_s is None:
        hours = {Bucket.HOUR: 24, Bucket.DAY: 24 * 7, Bucket.MONTH: 24 * 31}[bucket]
    else:
        hours = max(1, round(retention_s / 3600 / 25))
    return (
        "{'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'HOURS',"
        f" 'compaction_window_size': {hours}}}"
    )

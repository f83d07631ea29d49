"""The statements that create a feed's tables in both databases, derived from the catalogue. Text in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from cryptocdc_core.catalogue import AUDIT, DERIVED, Bucket, Column, Stream, Type
from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_core.names import Names, literal, quoted
from cryptocdc_core.storage.shards import Shard, pattern, shards

HEARTBEAT = "heartbeat"
GAPS = "gaps"
PAST = "history"
"""The reason of a gap that is the past with which a symbol starts."""
GAP_WAITS = "waits for "
"""How the reason of a gap begins that is open and waits for something that can take days."""
PROOFS = "proofs"
DROPPED = "dropped"
HISTORY = "history"
AUDIT_COLUMN = "audit"
"""The name of both the column and its type."""

DAY_MS = 86_400_000

_OVERWRITTEN = "{'class': 'UnifiedCompactionStrategy'}"


def postgres_schema(names: Names, streams: Sequence[Stream], replication_user: str, connectors: int = 1) -> list[str]:
    """Return the idempotent statements for schema, tables, publications and the replication user's privileges. They
    raise if PostgreSQL has too few replication slots for so many connectors.

    Each publication contains exactly these root tables, publishes partitions as their root, and omits truncate, which
    must not empty a table in Cassandra unnoticed. Each has the heartbeat, so that every slot advances.
    """
    schema = quoted(names.schema)
    reader = quoted(replication_user)
    parts = shards(names, connectors)
    statements = [_enough_slots(parts)] if connectors > 1 else []
    statements.append(f"CREATE SCHEMA IF NOT EXISTS {schema}")
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
        # restarts. A negative `first` is a time in ms, negated: the past of trades, whose first id is not known yet.
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
        history_table(names),
    ]
    statements += [statement for shard in parts for statement in _publication(shard, streams)]
    statements += [
        f"GRANT USAGE ON SCHEMA {schema} TO {reader}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {reader}",
        f"GRANT UPDATE ON {schema}.{HEARTBEAT} TO {reader}",
    ]
    return statements


def _publication(shard: Shard, streams: Sequence[Stream]) -> list[str]:
    schema, publication = quoted(shard.names.schema), quoted(shard.publication)
    rows = "" if shard.rows is None else f" WHERE ({shard.rows})"
    roots = ", ".join([*(f"{schema}.{quoted(s.table)}{rows}" for s in streams), f"{schema}.{quoted(HEARTBEAT)}"])
    return [
        "DO "
        + literal(
            f"BEGIN IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = {literal(shard.publication)}) THEN"
            f" CREATE PUBLICATION {publication} FOR TABLE {roots}"
            " WITH (publish = 'insert, update, delete', publish_via_partition_root = true); END IF; END"
        ),
        f"ALTER PUBLICATION {publication} SET TABLE {roots}",
    ]


def _enough_slots(parts: Sequence[Shard]) -> str:
    """Return the statement that raises if PostgreSQL has too few free slots, or processes to read them, for `parts`.
    Slots of another number of connectors stay until these have taken over, but are not read beside them."""
    slots = ", ".join(literal(shard.slot) for shard in parts)
    message = (
        f"spec.scaling.connectors: {len(parts)} is not accepted: PostgreSQL lacks %s replication slots and %s processes"
        " that read them (max_replication_slots is %s, max_wal_senders %s); accepted: fewer connectors, or greater"
        " limits in PostgreSQL"
    )
    body = (
        "DECLARE made integer; reading integer; slots integer; senders integer; BEGIN"  # noqa: S608
        f" SELECT count(*) INTO made FROM pg_replication_slots WHERE slot_name IN ({slots});"
        " SELECT count(*) INTO reading FROM pg_replication_slots"
        f" WHERE active AND slot_name ~ {literal(pattern(parts[0].names.slot))};"
        f" slots := {len(parts)} - made + (SELECT count(*) FROM pg_replication_slots)"
        " - current_setting('max_replication_slots')::integer;"
        f" senders := {len(parts)} - reading + (SELECT count(*) FROM pg_stat_replication)"
        " - current_setting('max_wal_senders')::integer;"
        f" IF (made < {len(parts)} AND slots > 0) OR (reading < {len(parts)} AND senders > 0) THEN"
        f" RAISE EXCEPTION USING MESSAGE = format({literal(message)}, greatest(slots, 0), greatest(senders, 0),"
        " current_setting('max_replication_slots'), current_setting('max_wal_senders')); END IF; END"
    )
    return "DO " + literal(body)


def drop_publications(names: Names, kept: Sequence[Shard] = ()) -> str:
    """Return the statement that drops the publications of the feed's shards but for those `kept`. A slot can't be read
    without its publication, so drop their slots first."""
    wanted = ", ".join(literal(shard.publication) for shard in kept)
    body = (
        "DECLARE old text; BEGIN FOR old IN SELECT pubname FROM pg_publication"  # noqa: S608
        f" WHERE pubname ~ {literal(pattern(names.publication))} AND pubname <> ALL (ARRAY[{wanted}]::text[])"
        " LOOP EXECUTE format('DROP PUBLICATION %I', old); END LOOP; END"
    )
    return "DO " + literal(body)


def history_table(names: Names) -> str:
    """Return the idempotent statement for the table of the archive's files: how far each has come, and why not further.
    Their rows are not in PostgreSQL. Times are milliseconds since the epoch."""
    return (
        f"CREATE TABLE IF NOT EXISTS {quoted(names.schema)}.{HISTORY} ("
        "path text PRIMARY KEY, table_name text NOT NULL, symbol text NOT NULL, kind text NOT NULL,"
        " start_ms bigint NOT NULL, end_ms bigint NOT NULL, state text NOT NULL CHECK (state IN ("
        "'planned', 'downloaded', 'loaded', 'proven', 'quarantined', 'absent')), reason text NOT NULL DEFAULT '',"
        " bytes bigint, checksum text, published text, read_ms bigint, rows bigint, repeated bigint NOT NULL DEFAULT 0,"
        " missing bigint NOT NULL DEFAULT 0, holes text NOT NULL DEFAULT '', first_id bigint, last_id bigint,"
        " extra bigint NOT NULL DEFAULT 0, changed_at timestamp(3) NOT NULL DEFAULT now())"
    )


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
        drop_publications(names),
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


def partition_day(stream: Stream, name: str) -> int:
    """Return the start, in ms, of the UTC day of the PostgreSQL partition with that name."""
    day = int(datetime.strptime(name.rpartition("_p")[2], "%Y%m%d").replace(tzinfo=UTC).timestamp()) * 1000
    assert partition_name(stream, day) == name
    return day


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

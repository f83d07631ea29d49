"""A stream's rows as Spark SQL: how records are parsed, which way each one goes, and the columns of its tables.

Spark writes what the feed's own connector sends. Everything else goes aside, the consumer's way: deletes, records in
another format or that can't be read, values that are not plain, order books that the heatmap needs. Text in, text out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cryptocdc_core.catalogue import AUDIT, DERIVED, HEATMAP, SHARD, Bucket, Column, Derived, Stream, Type
from cryptocdc_core.rows.changes import META
from cryptocdc_core.rows.heatmap import SLOT_MS
from cryptocdc_core.storage.ddl import AUDIT_COLUMN

ROW, REPLACING, EXPIRED, ASIDE = "row", "replacing", "expired", "aside"
"""The ways of a record: written, a null left unset; written, its nulls too, since they may follow a value
(docs/adr/0023); older than the retention; the consumer's way."""

WRITE_TIME, TTL = "row_write_time", "row_ttl"
"""The columns with a row's write time in microseconds and its TTL in seconds, beside those of the table. The connector
names the statement's markers so, without quotes."""

LONG_TEXT = 1_000
"""In bytes; Cassandra refuses keys of more than 64 KiB."""
FUTURE_MS = 86_400_000
"""Times further ahead go aside: their TTL may be more than Cassandra accepts."""

_TYPES: Mapping[Type, str] = {
    Type.TEXT: "STRING", Type.BIGINT: "BIGINT", Type.INTEGER: "INT", Type.BOOLEAN: "BOOLEAN", Type.TIMESTAMP: "BIGINT",
    # As text: the connector makes it a decimal with the same digits, trailing zeros included.
    Type.DECIMAL: "STRING", Type.DECIMALS: "ARRAY<STRING>",
}  # fmt: skip
_PLAIN_DECIMAL = r"'^-?[0-9]{1,200}(\\.[0-9]{1,200})?$'"
_NOW = "CAST(reflect('java.lang.System', 'currentTimeMillis') AS BIGINT) AS now_ms"
"""Not `current_timestamp()`: that becomes a constant of the batch's generated code, which would be compiled again for
each one."""


def json_schema(stream: Stream) -> str:
    """Return the schema of a stream's records for `from_json`, as DDL."""
    meta = {META["op"]: "STRING", META["lsn"]: "BIGINT", META["committed_us"]: "BIGINT"}
    fields = {**{column.name: _TYPES[column.type] for column in stream.columns}, **meta}
    return ", ".join(f"`{name}` {kind}" for name, kind in fields.items())


def parsed(topics: Mapping[str, Stream]) -> list[str]:
    """Return the columns of the parsed records: Kafka's own, and for each table the record's fields, null unless the
    record is of its topic."""
    return [
        "topic", "partition", "offset", "key", "value", "unix_millis(timestamp) AS produced_ms",
        _NOW,
        "CAST(value AS STRING) AS text",
        *(
            f"CASE WHEN topic = '{topic}' THEN from_json(CAST(value AS STRING), '{json_schema(stream)}') END"
            f" AS `{stream.table}`"
            for topic, stream in topics.items()
        ),
    ]  # fmt: skip


def routed(topics: Mapping[str, Stream], retention_s: int | None) -> list[str]:
    """Return the parsed columns with each record's `way`, its commit time in µs and its event time in ms."""
    of: dict[str, Sequence[str]] = {
        "way": [f"WHEN topic = '{topic}' THEN {way(stream, retention_s)}" for topic, stream in topics.items()],
        "committed_us": [f"WHEN topic = '{t}' THEN `{s.table}`.`{META['committed_us']}`" for t, s in topics.items()],
        "event_ms": [f"WHEN topic = '{t}' THEN `{s.table}`.`{s.event}`" for t, s in topics.items()],
    }
    kept = [
        "topic",
        "partition",
        "offset",
        "key",
        "value",
        "produced_ms",
        "now_ms",
        *(f"`{s.table}`" for s in topics.values()),
    ]
    return [*kept, *(f"CASE {' '.join(cases)} END AS {name}" for name, cases in of.items())]


def way(stream: Stream, retention_s: int | None) -> str:
    """Return the expression for the way of a stream's record."""
    at = _field(stream, stream.time)
    cases = [f"WHEN NOT coalesce({' AND '.join(_as_expected(stream))}, false) THEN '{ASIDE}'"]
    if stream.table == HEATMAP.source:
        cases.append(f"WHEN {at} % {SLOT_MS} = 0 THEN '{ASIDE}'")
    if retention_s is not None:
        cases.append(f"WHEN {_ttl(at, retention_s)} <= 0 THEN '{EXPIRED}'")
    if stream.nullable:
        nulls = " OR ".join(f"{_field(stream, column.name)} IS NULL" for column in stream.nullable)
        committed_us = _field(stream, META["committed_us"])
        first = f"{_field(stream, META['op'])} = 'c' AND {at} div 86400000 >= {committed_us} div 86400000000"
        cases.append(f"WHEN ({nulls}) AND NOT ({first}) THEN '{REPLACING}'")
    return f"CASE {' '.join(cases)} ELSE '{ROW}' END"


def _as_expected(stream: Stream) -> Iterator[str]:
    """Yield the conditions of a record in the connector's own format with plain values. `from_json` alone accepts more
    than the decoder of the consumers does: numbers as text, fields that are missing, bytes after the object."""
    at = _field(stream, stream.time)
    yield f"`{stream.table}` IS NOT NULL"
    yield "locate('{', text) = 1 AND locate('{', text, 2) = 0 AND locate('}', text) = length(text)"
    yield "encode(decode(value, 'UTF-8'), 'UTF-8') = value"
    yield f"{_field(stream, META['op'])} IN ('c', 'u', 'r')"
    yield f"{_field(stream, META['committed_us'])} IS NOT NULL"
    yield f"({_field(stream, META['lsn'])} IS NOT NULL OR {_has(META['lsn'], 'null')})"
    yield f"{at} BETWEEN 0 AND now_ms + {FUTURE_MS}"
    for column in stream.columns:
        plain = " AND ".join(_plain(column, _field(stream, column.name)))
        yield f"({plain} OR {_has(column.name, 'null')})" if column.nullable else plain


def _plain(column: Column, value: str) -> Iterator[str]:
    """Yield the conditions of a value that is there and as the connector sends it."""
    yield f"{value} IS NOT NULL"
    if column.type in (Type.TEXT, Type.DECIMAL):
        yield _has(column.name, '"')
    if column.type is Type.TEXT:
        yield f"octet_length({value}) <= {LONG_TEXT}"
    if column.type is Type.DECIMAL:
        yield f"{value} RLIKE {_PLAIN_DECIMAL}"
    if column.type is Type.DECIMALS:
        yield f"({_has(column.name, '[' + chr(34))} OR {_has(column.name, '[]')})"
        # No other value than text after a comma: a decimal's text has none.
        yield rf"""NOT text RLIKE '"{column.name}":\\[[^\\]]*,[^"]'"""
        yield f"forall({value}, it -> coalesce(it RLIKE {_PLAIN_DECIMAL}, false))"


def _has(name: str, start: str) -> str:
    """Return the condition that a record's text has the field `name` with a value that starts so."""
    return f"""contains(text, '"{name}":{start}')"""


def table_columns(stream: Stream, retention_s: int | None) -> list[str]:
    """Return the columns of a stream's table in Cassandra, with the row's write time and TTL."""
    origins = {
        "op": _field(stream, META["op"]),
        "lsn": _field(stream, META["lsn"]),
        "committed_at": f"timestamp_millis({_field(stream, META['committed_us'])} div 1000)",
        "produced_at": "timestamp_millis(produced_ms)",
        "written_at": "timestamp_millis(now_ms)",
    }
    audit = ", ".join(f"'{field.name}', {origins[field.name]}" for field in AUDIT)
    return [
        *_columns(stream),
        f"named_struct({audit}) AS `{AUDIT_COLUMN}`",
        f"timestamp_millis({_bucket(stream)}) AS `{stream.bucket_column}`",
        *_written(stream, retention_s),
    ]


def newest_columns(stream: Stream, retention_s: int | None) -> list[str]:
    """Return the columns of the table with a stream's newest rows, likewise."""
    return [f"{SHARD} AS shard", *_columns(stream), *_written(stream, retention_s)]


def newest_of(stream: Stream) -> Derived | None:
    """Return the table with the stream's newest rows that Spark keeps; None if there is none."""
    return next((it for it in DERIVED if it.source == stream.table and it is not HEATMAP), None)


def _columns(stream: Stream) -> list[str]:
    return [
        f"timestamp_millis({_field(stream, column.name)}) AS `{column.name}`"
        if column.type is Type.TIMESTAMP
        else f"{_field(stream, column.name)} AS `{column.name}`"
        for column in stream.columns
    ]


def _written(stream: Stream, retention_s: int | None) -> list[str]:
    ttl = [] if retention_s is None else [f"{_ttl(_field(stream, stream.time), retention_s)} AS {TTL}"]
    return [f"{_field(stream, 'version')} AS {WRITE_TIME}", *ttl]


def _ttl(at: str, retention_s: int) -> str:
    """Return the expression for the seconds that a row has left."""
    return f"CAST({retention_s} - floor((now_ms - {at}) / 1000) AS INT)"


def _bucket(stream: Stream) -> str:
    """Return the expression for the start of a row's bucket, in milliseconds since the epoch."""
    at = _field(stream, stream.time)
    cases = [
        f"WHEN {_field(stream, stream.partition[-1])} = '{value}' THEN {_floor(bucket, at)}"
        for value, bucket in stream.finer_buckets.items()
    ]
    return f"CASE {' '.join(cases)} ELSE {_floor(stream.bucket, at)} END" if cases else _floor(stream.bucket, at)


def _floor(bucket: Bucket, at: str) -> str:
    if bucket is Bucket.MONTH:
        return f"unix_millis(date_trunc('MONTH', timestamp_millis({at})))"  # the session's time zone is UTC
    return f"{at} - {at} % {3_600_000 if bucket is Bucket.HOUR else 86_400_000}"


def _field(stream: Stream, name: str) -> str:
    return f"`{stream.table}`.`{name}`"

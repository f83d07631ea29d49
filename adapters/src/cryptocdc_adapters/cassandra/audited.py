"""Reads one row of Cassandra with its audit, WRITETIME and TTL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.names import quoted
from cryptocdc_core.rows.hops import Written, audit_of, exact
from cryptocdc_core.storage.ddl import AUDIT_COLUMN


def one_key(stream: Stream) -> tuple[str, ...]:
    """Return the columns that identify a row, in the order of `one_statement`'s placeholders."""
    return (*stream.partition, stream.bucket_column, *stream.clustering)


def one_statement(keyspace: str, stream: Stream) -> str:
    """Return the SELECT of one row. WRITETIME and TTL of `version` are those of the row: all values are written
    together."""
    columns = ", ".join(map(quoted, stream.column_names))
    where = " AND ".join(f"{quoted(name)} = ?" for name in one_key(stream))
    return (
        f'SELECT {columns}, {AUDIT_COLUMN}, WRITETIME("version"), TTL("version")'  # noqa: S608 - quoted
        f" FROM {quoted(keyspace)}.{quoted(stream.table)} WHERE {where}"
    )


def written(stream: Stream, table: str, bucket_ms: int, row: Sequence[Any]) -> Written:
    """Convert a row of `one_statement`."""
    *values, audit, write_us, ttl_s = row
    named = dict(zip(stream.column_names, values, strict=True))
    return Written(table, bucket_ms, exact(stream, named), write_us, ttl_s, audit_of(audit))

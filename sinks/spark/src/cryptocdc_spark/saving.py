"""Writes rows into Cassandra's tables by Spark's connector."""

from __future__ import annotations

from typing import Any

from cryptocdc_spark.expressions import TTL, WRITE_TIME


def save(rows: Any, keyspace: str, table: str, *, nulls: bool, expiring: bool) -> None:
    """Write rows with the columns of `table_columns`. `nulls`: nulls are written too; otherwise they are left unset.
    `expiring`: the rows have a TTL. Raises what Spark raises."""
    options = {
        "keyspace": keyspace,
        "table": table,
        "writetime": WRITE_TIME,
        "spark.cassandra.output.ignoreNulls": str(not nulls).lower(),
        **({"ttl": TTL} if expiring else {}),
    }
    rows.write.format("org.apache.spark.sql.cassandra").options(**options).mode("append").save()


def cause(error: Exception) -> str:
    """Return the cause in what Spark reports: the last one in Java's stack, or the exception of a task's Python."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [at for at, line in enumerate(lines) if line.startswith("Caused by: ")]
    found = causes[-1] if causes else 0
    if lines and "PythonException" in lines[found]:
        stack = next((at for at in range(found + 1, len(lines)) if lines[at].startswith("at ")), len(lines))
        found = stack - 1
    return (lines or [type(error).__name__])[found].removeprefix("Caused by: ")[:300]

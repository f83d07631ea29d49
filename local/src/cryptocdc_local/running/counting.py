"""How many rows a feed has captured."""

from __future__ import annotations

import psycopg2

from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_core.names import quoted
from cryptocdc_core.planning.plan import Plan
from cryptocdc_core.storage.ddl import DROPPED
from cryptocdc_local.applier import Servers


def count_rows(servers: Servers, plan: Plan) -> dict[str, int]:
    """Return the number of rows by table, including those in partitions that retention has dropped."""
    connection, schema = postgres.connect(servers.postgres, "run", autocommit=True), quoted(plan.names.schema)
    try:
        with connection.cursor() as cursor:
            counts = {}
            for stream in plan.streams:
                try:
                    cursor.execute(
                        f"SELECT (SELECT count(*) FROM {schema}.{quoted(stream.table)})"  # noqa: S608
                        f" + coalesce((SELECT sum(rows) FROM {schema}.{DROPPED} WHERE table_name = %s), 0)",
                        (stream.table,),
                    )
                except psycopg2.errors.UndefinedTable:
                    continue
                counts[stream.table] = int(cursor.fetchone()[0])  # type: ignore[index]
            return counts
    finally:
        connection.close()

"""Rows put into PostgreSQL by hand: made up from the catalogue, each column a value of its type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_core.catalogue import Stream, Type
from cryptocdc_core.names import Names, quoted
from cryptocdc_core.program.settings import PostgresSettings
from cryptocdc_core.storage.ddl import DAY_MS, postgres_partition

VALUES: dict[Type, object] = {
    Type.TEXT: "1m", Type.BIGINT: 7, Type.INTEGER: 7, Type.BOOLEAN: True, Type.DECIMAL: "-0.00000100",
}  # fmt: skip


def insert(
    settings: PostgresSettings, names: Names, stream: Stream, times: Sequence[int], symbol: str, **given: object
) -> None:
    """A row at each of `times`, in milliseconds, in partitions made for them, committed together; `given` by column."""
    connection = postgres.connect(settings, "test")
    try:
        with connection, connection.cursor() as cursor:
            for day in sorted({at - at % DAY_MS for at in times}):
                cursor.execute(postgres_partition(names, stream, day))
            columns = ", ".join(quoted(column.name) for column in stream.columns)
            for at in times:
                spelled, values = [], []
                for column in stream.columns:
                    if column.type is Type.TIMESTAMP:
                        spelled.append("timestamp 'epoch' + %s * interval '1 ms'")
                        values.append(given.get(column.name, at))
                    elif column.type is Type.DECIMALS:
                        spelled.append("'{64000.10,63999.00}'")
                    else:
                        spelled.append("%s")
                        special: dict[str, Any] = {"symbol": symbol, "version": at * 1000, "trade_id": at, **given}
                        values.append(special.get(column.name, VALUES[column.type]))
                cursor.execute(
                    f"INSERT INTO {quoted(names.schema)}.{quoted(stream.table)} ({columns})"
                    f" VALUES ({', '.join(spelled)})",
                    values,
                )
    finally:
        connection.close()

"""Where recomputed rows go: into Cassandra as the Spark sink engine writes them, or into Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptocdc_core.catalogue import Stream, Type
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.storage.files import stream_folder
from cryptocdc_spark.expressions import ASIDE, EXPIRED, REPLACING, ROW, json_schema, table_columns, way
from cryptocdc_spark.saving import save


@dataclass(frozen=True)
class Counts:
    """Of one table."""

    rows: int
    expired: int
    """Left out, since they are older than the retention."""
    refused: int
    """Left out, since they have values that no sink engine writes, such as sums of more than 200 digits."""


class Output:
    """Rows older than `retention_s` are left out: they would expire at once, and may lack rows that have expired."""

    def __init__(self, spark: Any, retention_s: int | None) -> None:
        self._spark = spark
        self._retention_s = retention_s

    def write(self, stream: Stream, records: Any) -> Counts:
        """Write the records of a computed stream, an RDD of JSON text."""
        from pyspark import StorageLevel

        rows = self._routed(stream, records).persist(StorageLevel.DISK_ONLY)  # counted, then written
        try:
            by_way = {found.way: found["count"] for found in rows.groupBy("way").count().collect()}
            for kind in (ROW, REPLACING):
                if by_way.get(kind):
                    self._save(stream, rows.where(f"way = '{kind}'"), nulls=kind == REPLACING)
        finally:
            rows.unpersist()
        written = by_way.get(ROW, 0) + by_way.get(REPLACING, 0)
        return Counts(written, by_way.get(EXPIRED, 0), by_way.get(ASIDE, 0))

    def _routed(self, stream: Stream, records: Any) -> Any:
        text = self._spark.createDataFrame(records.map(_single), "text STRING")
        now = "unix_millis(current_timestamp())"
        parsed = text.selectExpr(
            "text", "CAST(text AS BINARY) AS value", f"{now} AS now_ms", f"{now} AS produced_ms",
            f"from_json(text, '{json_schema(stream)}') AS `{stream.table}`",
        )  # fmt: skip
        return parsed.selectExpr("*", f"{way(stream, self._retention_s)} AS way")

    def _save(self, stream: Stream, rows: Any, *, nulls: bool) -> None:
        raise NotImplementedError


class CassandraOutput(Output):
    """With the write time, TTL and bucket of the feed's sink engine: a row that is there already, with the same or a
    greater version, stays."""

    def __init__(self, spark: Any, retention_s: int | None, keyspace: str) -> None:
        super().__init__(spark, retention_s)
        self._keyspace = keyspace

    def _save(self, stream: Stream, rows: Any, *, nulls: bool) -> None:
        columns = table_columns(stream, self._retention_s)
        save(
            rows.selectExpr(*columns), self._keyspace, stream.table, nulls=nulls, expiring=self._retention_s is not None
        )


class ParquetOutput(Output):
    """A folder `stream=NAME` for each stream, decimals as text with all their digits."""

    def __init__(self, spark: Any, retention_s: int | None, files: Path) -> None:
        super().__init__(spark, retention_s)
        self._files = files

    def _save(self, stream: Stream, rows: Any, *, nulls: bool) -> None:
        del nulls  # both kinds of rows are files of the same folder
        rows.selectExpr(*_columns(stream)).write.mode("append").parquet(str(self._files / stream_folder(stream)))


def refuse_used(files: Path) -> None:
    """Raise BadInput if the folder has anything in it."""
    if files.exists() and (not files.is_dir() or any(files.iterdir())):
        raise BadInput(f"--out: {files} is not empty; accepted: a new or an empty folder")


def _columns(stream: Stream) -> Iterator[str]:
    for column in stream.columns:
        value = f"`{stream.table}`.`{column.name}`"
        yield f"timestamp_millis({value}) AS `{column.name}`" if column.type is Type.TIMESTAMP else value


def _single(record: str) -> tuple[str]:
    return (record,)

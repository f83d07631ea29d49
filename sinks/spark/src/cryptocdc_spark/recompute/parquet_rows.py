"""Stored rows in Parquet files as Spark's RDDs: a folder `stream=NAME` for each stream, with its columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from cryptocdc_analyzer.books import StoredBook
from cryptocdc_analyzer.windows.bars import Trade
from cryptocdc_core.catalogue import Stream, Type
from cryptocdc_core.catalogue.streams import ORDER_BOOK, RECENT_TRADES
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.storage.files import stream_folder
from cryptocdc_spark.recompute.extents import Extents, refuse_unknown

COLUMNS: Mapping[Stream, tuple[str, ...]] = {
    RECENT_TRADES: (
        "symbol", "trade_time", "trade_id", "price", "quantity", "buyer_is_maker", "received_at", "version",
    ),
    ORDER_BOOK: (
        "symbol", "bucket_time", "bid_prices", "bid_quantities", "ask_prices", "ask_quantities", "event_time",
        "received_at", "version",
    ),
}  # fmt: skip
"""What is read of each stream; other columns may be there or not."""


def column(name: str, kind: Type, found: str) -> str:
    """Return a column as the SQL text that reads it, given its type in the files. Raises BadInput."""
    quoted = f"`{name}`"
    if kind is Type.TIMESTAMP and found in ("timestamp", "timestamp_ntz"):
        return f"unix_millis(CAST({quoted} AS TIMESTAMP)) AS {quoted}"
    if kind in (Type.TIMESTAMP, Type.BIGINT) and found in ("bigint", "int"):
        return f"CAST({quoted} AS BIGINT) AS {quoted}"
    if kind is Type.DECIMAL and (found == "string" or found.startswith("decimal")):
        return f"CAST({quoted} AS STRING) AS {quoted}"
    if kind is Type.DECIMALS and (found == "array<string>" or found.startswith("array<decimal")):
        return f"CAST({quoted} AS ARRAY<STRING>) AS {quoted}"
    if (kind, found) in ((Type.TEXT, "string"), (Type.BOOLEAN, "boolean")):
        return quoted
    raise BadInput(f"--rows: the column {name} is of type {found}; accepted: {_ACCEPTED[kind]}")


_ACCEPTED = {
    Type.TEXT: "string", Type.BOOLEAN: "boolean", Type.BIGINT: "bigint", Type.INTEGER: "int",
    Type.TIMESTAMP: "timestamp, in UTC, or bigint: milliseconds since 1970", Type.DECIMAL: "string or decimal",
    Type.DECIMALS: "array of string or of decimal",
}  # fmt: skip


class ParquetRows:
    """Raises BadInput if a stream has no files."""

    def __init__(self, files: Path, wanted: Extents, symbols: Sequence[str]) -> None:
        self._files, self._wanted, self._symbols, self._streams = files, wanted, symbols, wanted.sources
        self._frames: dict[Stream, Any] = {}
        for stream in self._streams:
            if not any((files / stream_folder(stream)).rglob("*.parquet")):
                raise BadInput(
                    f"--rows: {files} has no Parquet files in stream={stream.name}; accepted: a folder with files in"
                    f" {', '.join(f'stream={one.name}' for one in self._streams)}"
                )

    def open(self, spark: Any) -> None:
        """Read the files' schemas. Raises BadInput for a column that is missing or of another type, and for a symbol
        without rows."""
        for stream in self._streams:
            frame = spark.read.parquet(str(self._files / stream_folder(stream)))
            types = dict(frame.dtypes)
            missing = [name for name in COLUMNS[stream] if name not in types]
            if missing:
                raise BadInput(
                    f"--rows: stream={stream.name} has no {', '.join(missing)}; accepted: {', '.join(COLUMNS[stream])}"
                )
            columns = (column(name, stream.types[name], types[name]) for name in COLUMNS[stream])
            self._frames[stream] = frame.selectExpr(*columns)
        if self._symbols:
            refuse_unknown(self._symbols, self._stored_symbols())

    def trades(self) -> Any:
        return self._rdd(RECENT_TRADES, _trade, ("price", "quantity"))

    def books(self) -> Any:
        return self._rdd(ORDER_BOOK, _book, COLUMNS[ORDER_BOOK])

    def _stored_symbols(self) -> set[str]:
        found = (frame.select("symbol").distinct().collect() for frame in self._frames.values())
        return {row.symbol for rows in found for row in rows}

    def _rdd(self, stream: Stream, made: Callable[[Any], Any], needed: Sequence[str]) -> Any:
        """A row that is there more than once, as where files overlap, is read once: its newest version. A row without
        a value that is `needed` is left out."""
        from pyspark.sql import functions as f

        rows = self._wanted.source(stream)
        frame = self._frames[stream].where(f"`{stream.time}` >= {rows.start_ms} AND `{stream.time}` < {rows.end_ms}")
        if self._symbols:
            frame = frame.where(f.col("symbol").isin(*self._symbols))
        context = frame.sparkSession.sparkContext
        tasks = max(2 * context.defaultParallelism, frame.rdd.getNumPartitions())
        row = f.struct(*COLUMNS[stream])
        newest = frame.repartition(tasks, *stream.key).groupBy(*stream.key).agg(f.max_by(row, "version").alias("row"))
        return newest.select("row.*").dropna(subset=list(needed)).rdd.map(made)


def _trade(row: Any) -> Trade:
    return Trade(
        row.symbol, row.trade_time, row.trade_id, Decimal(row.price), Decimal(row.quantity), not row.buyer_is_maker,
        row.received_at or 0, 0,
    )  # fmt: skip


def _book(row: Any) -> StoredBook:
    return StoredBook(
        row.symbol, row.bucket_time, _numbers(row.bid_prices), _numbers(row.bid_quantities), _numbers(row.ask_prices),
        _numbers(row.ask_quantities), row.event_time, row.received_at, row.version,
    )  # fmt: skip


def _numbers(texts: Sequence[str]) -> list[Decimal]:
    return [Decimal(text) for text in texts]

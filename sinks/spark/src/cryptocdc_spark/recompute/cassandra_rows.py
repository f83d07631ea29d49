"""Stored rows in Cassandra as Spark's RDDs: each task reads a few of its partitions with Python's driver.

Spark's own connector holds decimals with 18 digits after the point: trailing zeros appear, and further digits are lost
(docs/adr/0034).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from cryptocdc_analyzer.stored import StoredRows
from cryptocdc_analyzer.windows.series import Span
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.catalogue.streams import ORDER_BOOK, RECENT_TRADES
from cryptocdc_core.program.settings import CassandraSettings
from cryptocdc_spark.recompute.extents import Extents, refuse_unknown, spans_of

TASK_PARTITIONS = 24
"""Partitions of Cassandra that a task reads, one after the other: a day of a symbol."""


class CassandraRows:
    """Finds the partitions at once, before Spark is started. Raises BadInput for a symbol without rows, and the
    driver's exceptions."""

    def __init__(self, settings: CassandraSettings, keyspace: str, wanted: Extents, symbols: Sequence[str]) -> None:
        self._settings, self._keyspace = settings, keyspace
        self._spans: dict[Stream, list[Span]] = {}
        self._spark: Any = None
        stored, found = StoredRows(settings, keyspace), set()
        try:
            for stream in wanted.sources:
                partitions = list(stored.partitions(stream))
                found |= {symbol for symbol, _ in partitions}
                self._spans[stream] = spans_of(partitions, stream, wanted.source(stream), symbols)
        finally:
            stored.close()
        refuse_unknown(symbols, found)

    def open(self, spark: Any) -> None:
        self._spark = spark

    def trades(self) -> Any:
        return self._rdd(RECENT_TRADES)

    def books(self) -> Any:
        return self._rdd(ORDER_BOOK)

    def _rdd(self, stream: Stream) -> Any:
        spans, context = self._spans[stream], self._spark.sparkContext
        tasks = max(1, min(len(spans), max(context.defaultParallelism, -(-len(spans) // TASK_PARTITIONS))))
        return context.parallelize(spans, tasks).mapPartitions(partial(_read, self._settings, self._keyspace, stream))


def _read(settings: CassandraSettings, keyspace: str, stream: Stream, spans: Iterable[Span]) -> Iterator[Any]:
    stored = StoredRows(settings, keyspace)
    try:
        pages: Iterator[list[Any]] = stored.trades(spans) if stream == RECENT_TRADES else stored.books(spans)
        for page in pages:
            yield from page
    finally:
        stored.close()

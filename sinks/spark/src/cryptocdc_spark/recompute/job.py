"""The Spark job: from stored rows to the rows of the computed tables, which it hands over as the analyzer's records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from cryptocdc_analyzer.records import Result, value_of
from cryptocdc_core.catalogue import Stream, by_table
from cryptocdc_core.catalogue.computed import ANOMALIES, BOOK_METRICS, FORECASTS
from cryptocdc_spark.recompute import fold
from cryptocdc_spark.recompute.extents import Extent, Extents
from cryptocdc_spark.recompute.output import Counts

Write = Callable[[Stream, Any], Counts]
"""Writes the records of one computed table, an RDD of JSON text."""


class Source(Protocol):
    """Stored rows as RDDs: each row once, of the wanted symbols and time range, in any order."""

    def trades(self) -> Any:
        """Return an RDD of Trade."""
        ...

    def books(self) -> Any:
        """Return an RDD of StoredBook."""
        ...


def recompute(wanted: Extents, source: Source, write: Write, now_us: int) -> dict[str, Counts]:
    """Compute and write everything, one table after the other. Returns what was written, by table.

    What several tables are made of is computed once and kept on the executors' disks.
    """
    from pyspark import StorageLevel

    kept: list[Any] = []

    def keep(computed: Any) -> Any:
        kept.append(computed.persist(StorageLevel.DISK_ONLY))
        return kept[-1]

    done: dict[str, Counts] = {}

    def written(table: str, rows: Any) -> None:
        done[table] = write(by_table(table), rows.map(partial(record, table, now_us)))

    facts = []
    try:
        if wanted.windows:
            placed = source.trades().flatMap(partial(fold.placed, wanted.windows))
            windows = keep(placed.combineByKey(fold.begin, fold.add, fold.merge))
            for table in dict.fromkeys(series.table for series in wanted.windows):
                of_table = windows.filter(partial(_is_of, table))
                written(table, of_table.flatMap(partial(fold.window_row, wanted.windows)))
            facts.append(windows.flatMap(partial(fold.bar_facts, wanted.anomalies)))
            if wanted.forecasts:
                parts = windows.flatMap(partial(fold.forecast_parts, wanted.forecasts)).reduceByKey(fold.united)
                predicted = keep(parts.map(fold.forecast_facts))
                written(FORECASTS.table, _rows(fold.FORECAST_MODEL, wanted.forecasts, predicted))
        if wanted.books is not None:
            figures = keep(source.books().flatMap(fold.book_row))
            written(BOOK_METRICS.table, figures.filter(partial(fold.is_written, wanted.books)))
            in_windows = figures.flatMap(partial(fold.book_windows, wanted.anomalies)).reduceByKey(fold.united)
            facts.append(in_windows.map(partial(fold.book_facts, wanted.anomalies)))
        if wanted.anomalies:
            compared = keep(facts[0].union(facts[1]) if facts[1:] else facts[0])
            written(ANOMALIES.table, _rows(fold.ANOMALY_MODEL, wanted.anomalies, compared))
    finally:
        for computed in kept:
            computed.unpersist()
    return done


def _rows(model: fold.Model, extents: Mapping[str, Extent], facts: Any) -> Any:
    newest: Mapping[fold.Compared, int] = facts.mapValues(_open_ms).reduceByKey(max).collectAsMap()
    grouped = facts.flatMap(partial(fold.runs, model, extents)).groupByKey()
    return grouped.flatMap(partial(fold.model_rows, model, extents, newest))


def record(table: str, now_us: int, row: fold.Row) -> str:
    """Return a row as the analyzer sends it to Kafka: what the sink engines read."""
    return value_of(Result(table, row, now_us)).decode()


def _is_of(table: str, window: tuple[Any, Any]) -> bool:
    return bool(window[0].series.table == table)


def _open_ms(window: tuple[int, Any]) -> int:
    return window[0]

"""Wires one recomputation."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.program.settings import CassandraSettings
from cryptocdc_core.time.times import now_ms
from cryptocdc_spark.recompute.cassandra_rows import CassandraRows
from cryptocdc_spark.recompute.extents import Extents
from cryptocdc_spark.recompute.job import recompute
from cryptocdc_spark.recompute.output import CassandraOutput, Counts, ParquetOutput, refuse_used
from cryptocdc_spark.recompute.parquet_rows import ParquetRows
from cryptocdc_spark.recompute.progress import progress
from cryptocdc_spark.saving import cause
from cryptocdc_spark.session import session
from cryptocdc_spark.settings import SessionSettings


class SparkFailed(RuntimeError):
    """Spark could not finish the job; the message says why."""


@dataclass(frozen=True)
class Tables:
    """The feed's tables in Cassandra. `retention_s`: after which its rows expire; None for never."""

    settings: CassandraSettings
    keyspace: str
    retention_s: int | None


@dataclass(frozen=True)
class Request:
    wanted: Extents
    symbols: Sequence[str]
    """Only of these; of all if there are none."""
    tables: Tables | None
    """None if both `rows` and `out` are given."""
    rows: Path | None
    """Where Parquet files are read, instead of the tables."""
    out: Path | None
    """Where Parquet files are written, instead of the tables."""


def source_of(request: Request) -> CassandraRows | ParquetRows:
    """Return what is read. Raises BadInput for what can be known without Spark, and what Cassandra's driver raises."""
    if request.out is not None:
        refuse_used(request.out)
    if request.rows is not None:
        return ParquetRows(request.rows, request.wanted, request.symbols)
    assert request.tables is not None
    return CassandraRows(request.tables.settings, request.tables.keyspace, request.wanted, request.symbols)


def run(
    request: Request, source: CassandraRows | ParquetRows, own: SessionSettings, say: Callable[[str], None]
) -> dict[str, Counts]:
    """Compute and write everything; return what was written, by table. Raises BadInput, SparkFailed."""
    tables = request.tables
    if own.spark_master.startswith("local"):
        os.environ["PYSPARK_PYTHON"] = sys.executable  # has the analyzer's code
    say("starting Spark")
    spark = session("cryptocdc analyze recompute", own, None if tables is None else tables.settings)
    output: CassandraOutput | ParquetOutput
    try:
        source.open(spark)
        retention_s = None if tables is None else tables.retention_s
        if request.out is not None:
            output = ParquetOutput(spark, retention_s, request.out)
        else:
            assert tables is not None
            output = CassandraOutput(spark, retention_s, tables.keyspace)
        with progress(spark.sparkContext, say):
            return recompute(request.wanted, source, output.write, now_ms() * 1000)
    except BadInput:
        raise
    except Exception as error:  # Py4J's and Spark's, which share no class
        raise SparkFailed(cause(error)) from error
    finally:
        spark.stop()

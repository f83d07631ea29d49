"""What Parquet files may look like, where they are, and how Spark's failures are reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from cryptocdc_core.catalogue import Type
from cryptocdc_core.feed.analytics import Analytics
from cryptocdc_core.program.exits import BadInput
from cryptocdc_spark.recompute.extents import Range, extents
from cryptocdc_spark.recompute.output import refuse_used
from cryptocdc_spark.recompute.parquet_rows import COLUMNS, ParquetRows, column
from cryptocdc_spark.saving import cause

WANTED = extents(Analytics.model_validate({"bars": ["5s"], "bookMetrics": True}), Range(0, 5_000))


@pytest.mark.parametrize(
    ("kind", "found", "text"),
    [
        (Type.TIMESTAMP, "timestamp", "unix_millis(CAST(`c` AS TIMESTAMP)) AS `c`"),
        (Type.TIMESTAMP, "bigint", "CAST(`c` AS BIGINT) AS `c`"),
        (Type.DECIMAL, "decimal(38,8)", "CAST(`c` AS STRING) AS `c`"),
        (Type.DECIMALS, "array<decimal(20,2)>", "CAST(`c` AS ARRAY<STRING>) AS `c`"),
        (Type.BOOLEAN, "boolean", "`c`"),
    ],
)
def test_a_column_of_an_accepted_type_becomes_the_sql_that_reads_it(kind: Type, found: str, text: str) -> None:
    assert column("c", kind, found) == text


@pytest.mark.parametrize(
    ("kind", "found"), [(Type.DECIMAL, "double"), (Type.DECIMALS, "array<double>"), (Type.TIMESTAMP, "string")]
)
def test_a_column_that_would_lose_digits_or_time_is_refused(kind: Type, found: str) -> None:
    with pytest.raises(BadInput, match=rf"^--rows: the column c is of type {found}; accepted: ".replace("<", "[<]")):
        column("c", kind, found)


def test_every_column_that_is_read_is_one_of_the_catalogue() -> None:
    for stream, names in COLUMNS.items():
        assert set(names) <= set(stream.column_names)
        assert {*stream.key, "version"} <= set(names)


def test_a_stream_without_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stream=recentTrades").mkdir()
    (tmp_path / "stream=recentTrades" / "a.parquet").touch()
    with pytest.raises(
        BadInput, match=r"no Parquet files in stream=orderBook; accepted: .*stream=recentTrades, stream"
    ):
        ParquetRows(tmp_path, WANTED, ())
    (tmp_path / "stream=orderBook" / "day=1").mkdir(parents=True)
    (tmp_path / "stream=orderBook" / "day=1" / "b.parquet").touch()
    ParquetRows(tmp_path, WANTED, ())


def test_only_a_new_or_empty_folder_is_written_to(tmp_path: Path) -> None:
    refuse_used(tmp_path / "new")
    refuse_used(tmp_path)
    (tmp_path / "file").touch()
    for used in (tmp_path, tmp_path / "file"):
        with pytest.raises(BadInput, match=r"^--out: .* is not empty; accepted: a new or an empty folder$"):
            refuse_used(used)


def test_the_last_cause_of_a_failure_is_reported_and_for_python_its_exception() -> None:
    java = "o1.save failed\n: SparkException: a\n\tat x\nCaused by: B: no node\n\tat y\nCaused by: C: no answer\n\tat z"
    assert cause(RuntimeError(java)) == "C: no answer"
    python = (
        "o1 failed: PythonException: Traceback (most recent call last):\n  File x\nModuleNotFoundError: No module named"
        " 'river'\n\n\tat org.apache\nCaused by: org.apache.spark.api.python.PythonException: Traceback (most recent"
        " call last):\n  File x\nModuleNotFoundError: No module named 'river'\n\n\tat org.apache.spark\n\tat java"
    )
    assert cause(RuntimeError(python)) == "ModuleNotFoundError: No module named 'river'"
    assert cause(RuntimeError("")) == "RuntimeError"

"""What readers make of exported files, also where some have strings instead of decimals."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")
duckdb = pytest.importorskip("duckdb")

import pyarrow.dataset as ds  # noqa: E402
from tests.unit.exporter.world import World, trades  # noqa: E402

from cryptocdc_core.catalogue import Stream  # noqa: E402
from cryptocdc_core.catalogue.streams import RECENT_TRADES  # noqa: E402
from cryptocdc_core.storage.files import stream_folder  # noqa: E402
from cryptocdc_exporter.columns import decimal_columns, schema  # noqa: E402
from cryptocdc_spark.recompute.parquet_rows import COLUMNS, column  # noqa: E402


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Two symbols and two hours; of the later one the prices do not fit."""
    made = World(tmp_path / "out")
    made.request["unproven"] = True
    made.tables.put(RECENT_TRADES, [*trades("BTCUSDT", 0), *trades("ETHUSDT", 0, seed=2)])
    precise = trades("BTCUSDT", 1)
    precise[0]["price"] = "1E-20"
    made.tables.put(RECENT_TRADES, precise)
    made.export([])
    yield made
    made.background.shutdown()


def test_duckdb_reads_partitions_and_exact_decimals(world: World) -> None:
    files = f"{world.out}/stream=recentTrades/**/14.parquet"
    found = duckdb.sql(
        f"SELECT symbol, date, list(quantity ORDER BY trade_id)"
        f" FROM read_parquet('{files}', hive_partitioning = true) GROUP BY ALL ORDER BY symbol"
    ).fetchall()
    assert [(symbol, str(date)) for symbol, date, _ in found] == [("BTCUSDT", "2026-09-21"), ("ETHUSDT", "2026-09-21")]
    assert found[0][2] == [Decimal(row["quantity"]) for row in trades("BTCUSDT", 0)]


def test_duckdb_reads_files_with_and_without_strings_by_name(world: World) -> None:
    files = f"read_parquet('{world.out}/**/*.parquet', union_by_name = true)"
    assert duckdb.sql(f"SELECT count(*), typeof(any_value(price)) FROM {files}").fetchall() == [(360, "VARCHAR")]
    assert duckdb.sql(f"SELECT price FROM {files} WHERE price LIKE '0.00000000000000000001'").fetchall()


def test_pyarrow_reads_a_dataset_of_one_schema_and_refuses_another(world: World) -> None:
    found = ds.dataset(world.out, partitioning="hive")
    with pytest.raises(pa.ArrowInvalid):
        found.to_table(columns=["price"])
    world.request["text"] = True
    world.export([])
    assert set(ds.dataset(world.out, partitioning="hive").to_table().column("symbol").to_pylist()) == {
        "BTCUSDT", "ETHUSDT",
    }  # fmt: skip


@pytest.mark.parametrize("stream", COLUMNS, ids=lambda stream: stream.table)
@pytest.mark.parametrize("text", [False, True])
def test_recomputation_accepts_the_columns(stream: Stream, text: bool) -> None:
    columns = schema(stream, decimal_columns(stream) if text else ())
    for name in COLUMNS[stream]:
        assert name in column(name, stream.types[name], _in_spark(columns.field(name).type))


def test_recomputation_looks_where_files_are_written(world: World) -> None:
    assert (world.out / stream_folder(RECENT_TRADES)).is_dir()


def _in_spark(kind: Any) -> str:
    """The type as Spark's `DataFrame.dtypes` names it."""
    if pa.types.is_list(kind):
        return f"array<{_in_spark(kind.value_type)}>"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    return {"int64": "bigint", "bool": "boolean", "string": "string", "timestamp[us, tz=UTC]": "timestamp"}[str(kind)]

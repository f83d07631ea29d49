"""Hours become files: which files, rows, columns and metadata."""

from __future__ import annotations

import json

import pytest

pq = pytest.importorskip("pyarrow.parquet")

from tests.unit.exporter.made import rows_of  # noqa: E402
from tests.unit.exporter.world import HOUR, PATH, World, proof, trades  # noqa: E402

from cryptocdc_core.catalogue.streams import KLINES, RECENT_TRADES  # noqa: E402
from cryptocdc_core.storage.windows import Window  # noqa: E402
from cryptocdc_exporter import writing  # noqa: E402
from cryptocdc_exporter.digest import digest_of  # noqa: E402
from cryptocdc_exporter.proven import HOUR_MS  # noqa: E402
from cryptocdc_exporter.writing import metadata_of  # noqa: E402


@pytest.mark.parametrize(
    ("other", "folder"), [("ETH/USDT", "ETH%2FUSDT"), ("币安人生USDT", "%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT")]
)
def test_each_symbol_and_hour_is_a_file_with_its_rows_in_order(world: World, other: str, folder: str) -> None:
    btc, eth, later = trades("BTCUSDT", 0), trades(other, 0, seed=2), trades("BTCUSDT", 1)
    world.tables.put(RECENT_TRADES, [*btc, *eth, *later])
    export = world.export([proof(0, *btc, *eth), proof(1, *later)], Window(HOUR, HOUR + 2 * HOUR_MS))
    files = [PATH.format(*of) for of in (("BTCUSDT", "14"), ("BTCUSDT", "15"), (folder, "14"))]
    assert world.files() == sorted(files)
    assert (export.counts.files, export.counts.rows) == (3, 360)
    for file, symbol in ((files[0], "BTCUSDT"), (files[2], other)):
        table = pq.read_table(world.out / file, partitioning=None)
        assert table.column("trade_id").to_pylist() == list(range(120))
        assert set(table.column("symbol").to_pylist()) == {symbol}


def test_the_metadata_names_the_feed_the_range_the_rows_their_digest_and_the_proof(world: World) -> None:
    rows = trades("BTCUSDT", 0)
    world.tables.put(RECENT_TRADES, rows)
    world.export([proof(0, *rows)], Window(HOUR, HOUR + HOUR_MS))
    file = world.out / world.files()[0]
    found = metadata_of(file)
    assert {name: found[name] for name in ("feed", "source", "stream", "symbol", "rows", "decimals")} == {
        "feed": "majors", "source": "simulated", "stream": "recentTrades", "symbol": "BTCUSDT", "rows": "120",
        "decimals": "decimal",
    }  # fmt: skip
    assert found["digest"] == digest_of(file)
    assert found["versions"] == str(sum(row["version"] for row in rows))
    document = json.loads(found["proof"])
    assert (document["state"], document["rows"], document["slices"][0]["lsn"]) == ("proven", 120, 99)
    assert found["from"] == document["slices"][0]["from"]


def test_the_digest_does_not_depend_on_row_groups_and_changes_with_a_value(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.request["unproven"] = True
    rows = trades("BTCUSDT", 0)
    world.tables.put(RECENT_TRADES, rows)
    world.export([])
    file = world.out / world.files()[0]
    first = metadata_of(file)["digest"]
    monkeypatch.setattr(writing, "ROW_GROUP_BYTES", 1)
    world.export([])
    assert pq.ParquetFile(file).metadata.num_row_groups == 3
    assert metadata_of(file)["digest"] == first == digest_of(file)
    world.tables.rows[RECENT_TRADES.table][5]["price"] = "7.77"
    world.export([])
    assert metadata_of(file)["digest"] != first


def test_a_value_that_does_not_fit_makes_its_column_text_in_all_files_of_the_hour(world: World) -> None:
    rows, others = trades("BTCUSDT", 0), trades("ETHUSDT", 0)
    others[100]["price"] = "1E-20"
    world.tables.put(RECENT_TRADES, [*rows, *others])
    export = world.export([proof(0, *rows, *others)], Window(HOUR, HOUR + HOUR_MS))
    assert export.counts.text == {"price"}
    for name in world.files():
        table = pq.read_table(world.out / name, partitioning=None)
        assert str(table.schema.field("price").type) == "string"
        assert str(table.schema.field("quantity").type) == "decimal128(38, 18)"
        assert metadata_of(world.out / name)["decimals"] == "text: price"


def test_all_decimals_can_be_text_and_replace_files_that_are_not(world: World) -> None:
    rows = trades("BTCUSDT", 0)
    world.tables.put(RECENT_TRADES, rows)
    window = Window(HOUR, HOUR + HOUR_MS)
    world.export([proof(0, *rows)], window)
    world.request["text"] = True
    assert world.export([proof(0, *rows)], window).counts.files == 1
    assert metadata_of(world.out / world.files()[0])["decimals"] == "text"
    assert world.export([proof(0, *rows)], window).counts.files == 0


def test_candles_of_all_intervals_of_an_hour_are_in_one_file(world: World) -> None:
    made = rows_of(KLINES, 40, nulls=True, start=HOUR)
    rows = [row | {"symbol": "BTCUSDT", "interval": ("1m", "1h")[n % 2]} for n, row in enumerate(made)]
    world.tables.put(KLINES, rows)
    world.export([proof(0, *rows)], Window(HOUR, HOUR + HOUR_MS), KLINES)
    (name,) = world.files()
    assert pq.read_table(world.out / name, partitioning=None).column("interval").value_counts().to_pylist() == [
        {"values": "1h", "counts": 20}, {"values": "1m", "counts": 20},
    ]  # fmt: skip


def test_only_the_chosen_symbols_are_read(world: World) -> None:
    rows, others = trades("BTCUSDT", 0), trades("ETHUSDT", 0)
    world.tables.put(RECENT_TRADES, [*rows, *others])
    world.request["symbols"] = ["ETHUSDT"]
    window = Window(HOUR, HOUR + HOUR_MS)
    assert world.export([proof(0, *rows, *others)], window).counts.rows == 120
    assert world.export([proof(0, *rows, *others)], window).counts.present == 1


def test_hours_that_are_exported_already_are_progress(world: World) -> None:
    """To look at the files of many hours may take longer than an exporter may be without a sign of life."""
    rows, later = trades("BTCUSDT", 0), trades("BTCUSDT", 1)
    world.tables.put(RECENT_TRADES, [*rows, *later])
    of = [proof(0, *rows), proof(1, *later)], Window(HOUR, HOUR + 2 * HOUR_MS)
    world.export(*of)
    world.said.clear()

    assert world.export(*of).counts.present == 2
    assert world.said == [0, 0]

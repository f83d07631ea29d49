"""Hours become files, complete or absent, only with rows that agree with their proof."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pq = pytest.importorskip("pyarrow.parquet")

from tests.unit.core.feeds import feed  # noqa: E402
from tests.unit.exporter.cassandra import Tables  # noqa: E402
from tests.unit.exporter.made import rows_of  # noqa: E402

from cryptocdc_adapters.postgres.proofs import Proof  # noqa: E402
from cryptocdc_core.catalogue.streams import KLINES, RECENT_TRADES  # noqa: E402
from cryptocdc_core.program.exits import BadInput  # noqa: E402
from cryptocdc_core.program.settings import CassandraSettings, PostgresSettings  # noqa: E402
from cryptocdc_core.storage.ddl import DAY_MS  # noqa: E402
from cryptocdc_core.storage.windows import Window  # noqa: E402
from cryptocdc_exporter import writing  # noqa: E402
from cryptocdc_exporter.destination import Folder, refuse_others  # noqa: E402
from cryptocdc_exporter.digest import digest_of  # noqa: E402
from cryptocdc_exporter.export import Request, Stopped, StreamExport  # noqa: E402
from cryptocdc_exporter.proven import HOUR_MS, Proven  # noqa: E402
from cryptocdc_exporter.run import _Exports  # noqa: E402
from cryptocdc_exporter.target import Target  # noqa: E402
from cryptocdc_exporter.writing import metadata_of  # noqa: E402

HOUR = 1_790_000_000_000 // HOUR_MS * HOUR_MS
DAY = Window(HOUR, HOUR + 24 * HOUR_MS)
PATH = "stream=recentTrades/symbol={}/date=2026-09-21/{}.parquet"


def trades(symbol: str, hour: int, count: int = 120, seed: int = 1) -> list[dict[str, Any]]:
    made = rows_of(RECENT_TRADES, count, nulls=True, seed=seed, start=HOUR + hour * HOUR_MS)
    return [row | {"symbol": symbol, "trade_id": number} for number, row in enumerate(made)]


def proof(hour: int, *rows: dict[str, Any]) -> Proof:
    start = HOUR + hour * HOUR_MS
    return Proof(Window(start, start + HOUR_MS), len(rows), sum(row["version"] for row in rows), 99)


class World:
    def __init__(self, out: Path) -> None:
        self.out, self.tables, self.stop, self.background = out, Tables(), False, ThreadPoolExecutor(1)
        self.request: dict[str, Any] = {"symbols": [], "unproven": False, "text": False}
        self.after_page: Any = None
        self.said: list[int] = []

    def destination(self) -> Any:
        return Folder(self.out)

    def export(
        self, proofs: list[Proof], window: Window = DAY, stream: Any = RECENT_TRADES, proven: Proven | None = None
    ) -> StreamExport:
        destination = self.destination()
        try:
            request = Request("majors", "simulated", **self.request)
            tables: Any = self.tables
            export = StreamExport(
                stream, request, tables, destination, self.background, self._say, lambda: self.stop
            )  # fmt: skip
            stored, proven = export.stored(), proven or Proven(proofs, ())
            if not request.unproven:
                export.refuse_unproven(window, proven, stored)
            export.run(window, proven, stored)
            return export
        finally:
            destination.close()

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.out)) for path in self.out.rglob("*") if path.suffix != "" and
                      path.is_file())  # fmt: skip

    def _say(self, rows: int) -> None:
        self.said.append(rows)
        if self.after_page is not None:
            self.after_page()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "out")
    yield made
    made.background.shutdown()


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


def test_rows_that_are_not_proven_are_refused_before_anything_is_written(world: World) -> None:
    rows, later = trades("BTCUSDT", 0), trades("BTCUSDT", 1)
    world.tables.put(RECENT_TRADES, [*rows, *later])
    with pytest.raises(BadInput, match=r"recent_trades from .* on are not proven; accepted: --to .*, --unproven"):
        world.export([proof(0, *rows)])
    assert world.files() == []
    world.request["unproven"] = True
    export = world.export([proof(0, *rows)])
    assert (export.counts.files, export.counts.unproven) == (2, 1)
    assert json.loads(metadata_of(world.out / world.files()[1])["proof"]) == {"state": "unproven"}


def test_an_hour_whose_rows_have_changed_since_its_proof_is_left_out(world: World) -> None:
    rows, later = trades("BTCUSDT", 0), trades("BTCUSDT", 1)
    world.tables.put(RECENT_TRADES, [*rows, *later])
    export = world.export([proof(0, *rows[1:]), proof(1, *later)], Window(HOUR, HOUR + 2 * HOUR_MS))
    assert len(world.files()) == len(export.counts.changed) == 1
    assert (export.counts.files, export.counts.rows) == (1, 120)
    assert not list(world.out.rglob("*.tmp"))


def test_rows_that_came_after_a_proof_of_none_are_not_passed_over(world: World) -> None:
    world.tables.put(RECENT_TRADES, trades("BTCUSDT", 0))
    export = world.export([proof(0)], Window(HOUR, HOUR + HOUR_MS))
    assert (export.counts.present, len(export.counts.changed)) == (0, 1)


def test_with_unproven_hours_a_changed_hour_is_exported_without_its_proof(world: World) -> None:
    rows = trades("BTCUSDT", 0)
    world.tables.put(RECENT_TRADES, rows)
    world.request["unproven"] = True
    export = world.export([proof(0, *rows[1:])], Window(HOUR, HOUR + HOUR_MS))
    assert (export.counts.rows, export.counts.unproven, export.counts.changed) == (120, 1, [])
    assert json.loads(metadata_of(world.out / world.files()[0])["proof"]) == {"state": "unproven"}


def test_files_with_the_same_proof_are_kept_and_replaced_after_another_proof(world: World) -> None:
    rows = trades("BTCUSDT", 0)
    world.tables.put(RECENT_TRADES, rows)
    window = Window(HOUR, HOUR + HOUR_MS)
    world.export([proof(0, *rows)], window)
    again = world.export([proof(0, *rows)], window)
    assert (again.counts.files, again.counts.present) == (0, 1)
    late = trades("ETHUSDT", 0, 10)
    world.tables.put(RECENT_TRADES, late)
    again = world.export([proof(0, *rows, *late)], window)
    assert (again.counts.files, again.counts.present) == (2, 0)


def test_a_file_is_removed_once_its_hour_is_proven_without_rows_of_the_symbol(world: World) -> None:
    rows, others, later = trades("BTCUSDT", 0), trades("ETHUSDT", 0), trades("BTCUSDT", 1)
    window = Window(HOUR, HOUR + 2 * HOUR_MS)
    world.tables.put(RECENT_TRADES, [*rows, *others, *later])
    world.export([proof(0, *rows, *others), proof(1, *later)], window)

    world.tables.rows[RECENT_TRADES.table] = [*others, *later]
    world.export([proof(0, *rows, *others), proof(1, *later)], window)
    assert len(world.files()) == 3, "it was not proven again yet"
    world.export([proof(0, *others), proof(1, *later)], window)
    assert world.files() == [PATH.format("BTCUSDT", "15"), PATH.format("ETHUSDT", "14")]
    assert world.export([proof(0, *others), proof(1, *later)], window).counts.present == 2


def test_files_are_removed_once_their_hour_is_proven_without_rows(world: World) -> None:
    earlier, rows, later = trades("BTCUSDT", 0), trades("BTCUSDT", 1), trades("BTCUSDT", 2)
    window = Window(HOUR, HOUR + 3 * HOUR_MS)
    world.tables.put(RECENT_TRADES, [*earlier, *rows, *later])
    world.export([proof(0, *earlier), proof(1, *rows), proof(2, *later)], window)

    world.tables.rows[RECENT_TRADES.table] = [*earlier, *later]
    world.export([proof(0, *earlier), proof(1, *rows), proof(2, *later)], window)
    assert len(world.files()) == 3, "it was not proven again yet"
    world.request["symbols"] = ["BTCUSDT"]
    world.export([proof(0, *earlier), proof(1), proof(2, *later)], window)
    assert len(world.files()) == 3, "one symbol can't be compared with the proof"
    world.request["symbols"] = []
    world.export([proof(0, *earlier), proof(1), proof(2, *later)], window)
    assert world.files() == [PATH.format("BTCUSDT", "14"), PATH.format("BTCUSDT", "16")]


def test_a_removal_that_was_interrupted_is_done_by_the_next_export(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, others = trades("BTCUSDT", 0), trades("ETHUSDT", 0)
    window = Window(HOUR, HOUR + HOUR_MS)
    world.tables.put(RECENT_TRADES, [*rows, *others, *trades("BTCUSDT", 1)])
    world.export([proof(0, *rows, *others)], window)
    world.tables.rows[RECENT_TRADES.table] = [*others, *trades("BTCUSDT", 1)]

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(Folder, "remove", fail)
        with pytest.raises(OSError, match="No space left"):
            world.export([proof(0, *others)], window)
    world.export([proof(0, *others)], window)
    assert world.files() == [PATH.format("ETHUSDT", "14")]


def test_a_file_is_not_removed_for_a_proof_without_sums(world: World) -> None:
    """Rows of a dropped day may have expired in Cassandra."""
    rows, others = trades("BTCUSDT", 0), trades("ETHUSDT", 0)
    window, day = Window(HOUR, HOUR + HOUR_MS), HOUR - HOUR % DAY_MS
    world.tables.put(RECENT_TRADES, [*rows, *others, *trades("BTCUSDT", 1)])
    world.export([proof(0, *rows, *others)], window)
    world.tables.rows[RECENT_TRADES.table] = [*others, *trades("BTCUSDT", 1)]

    world.export([], window, proven=Proven((), {day}, archived={day: 5}))

    assert len(world.files()) == 2


def test_files_with_sums_in_their_proof_stay_once_the_day_is_dropped_from_postgresql(world: World) -> None:
    hour, day = Window(HOUR, HOUR + HOUR_MS), HOUR - HOUR % DAY_MS
    rows = [row | {"symbol": "BTCUSDT", "interval": "1m"} for row in rows_of(KLINES, 40, nulls=True, start=HOUR)]
    # Its partition of the day has no row in the hour, so that it has no file.
    other = [row | {"symbol": "ETHUSDT"} for row in rows_of(KLINES, 1, nulls=True, start=HOUR + HOUR_MS)]
    world.tables.put(KLINES, [*rows, *other])
    world.export([proof(0, *rows)], hour, KLINES)
    read = world.tables.read_parts

    again = world.export([], hour, KLINES, Proven((), {day}))

    assert (again.counts.files, again.counts.present) == (0, 1)
    assert world.tables.read_parts == read
    (name,) = world.files()
    assert json.loads(metadata_of(world.out / name)["proof"])["rows"] == 40


def test_an_hour_of_a_dropped_day_is_exported_again_if_a_file_is_missing_or_the_archive_has_more(world: World) -> None:
    hour, day = Window(HOUR, HOUR + HOUR_MS), HOUR - HOUR % DAY_MS
    rows, others = trades("BTCUSDT", 0), trades("ETHUSDT", 0)
    world.tables.put(RECENT_TRADES, [*rows, *others])
    for damage, proven in (
        (lambda: (world.out / world.files()[0]).unlink(), Proven((), {day})),
        (lambda: None, Proven((), {day}, archived={day: 5})),
    ):
        world.export([proof(0, *rows, *others)], hour)
        damage()
        assert world.export([], hour, proven=proven).counts.files == 2


def test_an_unproven_file_is_replaced_once_its_hour_is_proven(world: World) -> None:
    rows = trades("BTCUSDT", 0)
    world.tables.put(RECENT_TRADES, rows)
    world.request["unproven"] = True
    world.export([])
    world.request["unproven"] = False
    assert world.export([proof(0, *rows)], Window(HOUR, HOUR + HOUR_MS)).counts.files == 1


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


@pytest.mark.parametrize("error", [Stopped, OSError(28, "No space left on device"), KeyboardInterrupt])
def test_an_export_that_ends_in_the_middle_of_an_hour_leaves_no_file_of_it(world: World, error: Any) -> None:
    rows, later = trades("BTCUSDT", 0), trades("BTCUSDT", 1)
    world.tables.put(RECENT_TRADES, [*rows, *later])

    def fail() -> None:
        if any(world.out.rglob("*.parquet")):  # of the hour before
            raise error

    world.after_page = fail
    with pytest.raises(error if isinstance(error, type) else type(error)):
        world.export([proof(0, *rows), proof(1, *later)], Window(HOUR, HOUR + 2 * HOUR_MS))
    assert len(world.files()) == 1
    world.after_page = None
    again = world.export([proof(0, *rows), proof(1, *later)], Window(HOUR, HOUR + 2 * HOUR_MS))
    assert (again.counts.files, again.counts.present) == (1, 1)


def test_what_a_killed_export_left_is_removed(tmp_path: Path) -> None:
    Folder(tmp_path).close()
    left = tmp_path / ".export" / "x.tmp"
    left.touch()
    Folder(tmp_path).close()
    assert not left.exists()


def test_two_exports_into_one_folder_are_refused(tmp_path: Path) -> None:
    first = Folder(tmp_path)
    with pytest.raises(BadInput, match="another export writes to"):
        Folder(tmp_path)
    first.close()
    Folder(tmp_path).close()


def test_a_folder_that_can_not_be_written_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"--out: .*Not a directory; accepted: a folder that can be written to"):
        Folder(tmp_path / "file" / "out")
    if os.geteuid() != 0:
        tmp_path.chmod(0o500)
        with pytest.raises(BadInput, match=r"--out: .*Permission denied"):
            Folder(tmp_path / "out")


@pytest.mark.parametrize("other", ["feed", "plain", "broken"])
def test_a_folder_with_files_of_others_is_refused(world: World, other: str) -> None:
    rows = trades("BTCUSDT", 0)
    world.tables.put(RECENT_TRADES, rows)
    world.export([proof(0, *rows)], Window(HOUR, HOUR + HOUR_MS))
    file = world.out / world.files()[0]
    if other == "plain":
        pq.write_table(pq.read_table(file, partitioning=None).replace_schema_metadata(None), file)
    elif other == "broken":
        file.write_bytes(b"PAR1")
    folder = Folder(world.out)
    feed = "others" if other == "feed" else "majors"
    with pytest.raises(BadInput, match=r"--out: .* accepted: a place with files of"):
        refuse_others(folder, [RECENT_TRADES], feed, "simulated")
    folder.close()


@pytest.mark.parametrize("content", [b"", b"PAR1", None])
def test_a_file_that_is_damaged_or_was_not_exported_is_named(world: World, content: bytes | None) -> None:
    rows = trades("BTCUSDT", 0)
    world.tables.put(RECENT_TRADES, rows)
    world.export([proof(0, *rows)], Window(HOUR, HOUR + HOUR_MS))
    file = world.out / world.files()[0]
    if content is None:
        pq.write_table(pq.read_table(file, partitioning=None).replace_schema_metadata(None), file)
    else:
        file.write_bytes(content)

    with pytest.raises(BadInput, match=r"BTCUSDT/date=2026-09-21/14\.parquet is damaged or was not exported"):
        world.export([proof(0, *rows)], Window(HOUR, HOUR + HOUR_MS))


def test_a_file_that_can_not_be_begun_is_removed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.tables.put(RECENT_TRADES, trades("BTCUSDT", 0))
    world.request["unproven"] = True

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "ParquetWriter", refuse)
    with pytest.raises(OSError, match="No space left"):
        world.export([])
    assert world.files() == []


def test_hours_that_are_exported_already_are_progress(world: World) -> None:
    """To look at the files of many hours may take longer than an exporter may be without a sign of life."""
    rows, later = trades("BTCUSDT", 0), trades("BTCUSDT", 1)
    world.tables.put(RECENT_TRADES, [*rows, *later])
    of = [proof(0, *rows), proof(1, *later)], Window(HOUR, HOUR + 2 * HOUR_MS)
    world.export(*of)
    world.said.clear()

    assert world.export(*of).counts.present == 2
    assert world.said == [0, 0]


class Connection:
    """Answers statements about a table of PostgreSQL with `rows`, by the table's name."""

    def __init__(self, **rows: list[tuple[Any, ...]]) -> None:
        self.rows = rows
        self.statement = ""

    def cursor(self) -> Any:
        return contextlib.nullcontext(self)

    def execute(self, statement: str, _: object) -> None:
        self.statement = statement

    def fetchone(self) -> tuple[str]:
        return ("history",)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return next(rows for table, rows in self.rows.items() if f".{table} " in self.statement)


def test_a_day_whose_past_is_being_loaded_is_not_proven() -> None:
    """It is recorded as dropped from PostgreSQL before its rows are in Cassandra."""
    days = [(20_000 + number) * DAY_MS for number in range(3)]
    connection: Any = Connection(
        proofs=[], dropped=[(day,) for day in days],
        history=[(days[1], days[2] + DAY_MS, 5), (days[1], days[2], None), (days[2], days[2] + DAY_MS, 7)],
    )  # fmt: skip
    target = Target(feed(), "exchange", PostgresSettings(password="x"), CassandraSettings(password="x"))

    found = _Exports(target, connection, []).proven(RECENT_TRADES)
    captured, loading, loaded = (found.hour(Window(day, day + HOUR_MS)) for day in days)

    assert captured is not None
    assert captured.read_ms is None
    assert loading is None
    assert loaded is not None
    assert loaded.read_ms == 7


def test_rows_that_are_being_loaded_are_refused_with_what_to_wait_for(world: World) -> None:
    day = HOUR - HOUR % DAY_MS
    world.tables.put(RECENT_TRADES, trades("BTCUSDT", 0))
    with pytest.raises(BadInput, match="or wait for `cryptocdc history load` of that day"):
        world.export([], proven=Proven((), {day}, archived={day: None}))
    world.export([], proven=Proven((), {day}, archived={day: 5}))
    assert len(world.files()) == 1


def test_an_hour_is_exported_again_when_more_of_its_day_was_loaded(world: World) -> None:
    """For example another symbol, or another interval of candles in the same file."""
    hour, day = Window(HOUR, HOUR + HOUR_MS), HOUR - HOUR % DAY_MS
    rows = trades("BTCUSDT", 0)
    world.tables.put(RECENT_TRADES, rows[:100])
    tables: Any = world.tables
    folder = Folder(world.out)
    export = StreamExport(
        RECENT_TRADES, Request("majors", "simulated", (), False, False), tables, folder, world.background, world._say,
        lambda: False,
    )  # fmt: skip

    def pass_over(read_ms: int | None) -> tuple[int, int]:
        export.run(hour, Proven((), {day}, archived={day: read_ms}), export.stored())
        return export.counts.files, export.counts.rows

    assert pass_over(5) == (1, 100)
    world.tables.put(RECENT_TRADES, rows[100:])
    assert pass_over(None) == (1, 100), "it is being loaded"
    assert pass_over(7) == (2, 220)
    assert pass_over(7) == (2, 220)
    export._done.clear()  # as after a restart
    assert pass_over(7) == (2, 220)
    folder.close()

"""Days that are no longer in PostgreSQL, or come from the archive."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest

pytest.importorskip("pyarrow")

from tests.unit.core.feeds import feed
from tests.unit.exporter.made import rows_of
from tests.unit.exporter.world import HOUR, World, proof, trades

from cryptocdc_core.catalogue.streams import KLINES, RECENT_TRADES
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.program.settings import CassandraSettings, PostgresSettings
from cryptocdc_core.storage.ddl import DAY_MS
from cryptocdc_core.storage.windows import Window
from cryptocdc_exporter.destination import Folder
from cryptocdc_exporter.export import Request, StreamExport
from cryptocdc_exporter.proven import HOUR_MS, Proven
from cryptocdc_exporter.run import _Exports
from cryptocdc_exporter.target import Target
from cryptocdc_exporter.writing import metadata_of


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

"""A file is removed once its hour is proven without its rows."""

from __future__ import annotations

import pytest

pytest.importorskip("pyarrow")

from tests.unit.exporter.world import HOUR, PATH, World, proof, trades

from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_core.storage.ddl import DAY_MS
from cryptocdc_core.storage.windows import Window
from cryptocdc_exporter.destination import Folder
from cryptocdc_exporter.proven import HOUR_MS, Proven


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

"""Hours become files only with rows that agree with their proof."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("pyarrow")

from tests.unit.exporter.world import HOUR, World, proof, trades

from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.storage.windows import Window
from cryptocdc_exporter.proven import HOUR_MS
from cryptocdc_exporter.writing import metadata_of


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


def test_an_unproven_file_is_replaced_once_its_hour_is_proven(world: World) -> None:
    rows = trades("BTCUSDT", 0)
    world.tables.put(RECENT_TRADES, rows)
    world.request["unproven"] = True
    world.export([])
    world.request["unproven"] = False
    assert world.export([proof(0, *rows)], Window(HOUR, HOUR + HOUR_MS)).counts.files == 1

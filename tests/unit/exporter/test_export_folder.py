"""Files are complete or absent, and those of others are left alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

pq = pytest.importorskip("pyarrow.parquet")

from tests.unit.exporter.world import HOUR, World, proof, trades  # noqa: E402

from cryptocdc_core.catalogue.streams import RECENT_TRADES  # noqa: E402
from cryptocdc_core.program.exits import BadInput  # noqa: E402
from cryptocdc_core.storage.windows import Window  # noqa: E402
from cryptocdc_exporter.destination import Folder, refuse_others  # noqa: E402
from cryptocdc_exporter.export import Stopped  # noqa: E402
from cryptocdc_exporter.proven import HOUR_MS  # noqa: E402


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

"""Loading an archive's files: what can't be loaded is quarantined with the reason, and the next file follows."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.archive_files import DAY, ArchiveServer, archive_of, file_of, serving, spot_klines, spot_trades, zipped

from cryptocdc_adapters.exchange import archive_host
from cryptocdc_adapters.exchange.archive_host import ArchiveHost
from cryptocdc_adapters.postgres.history_files import HistoryFile
from cryptocdc_core.program.backoff import Backoff
from cryptocdc_core.rows.typed import Row
from cryptocdc_core.rows.versions import archive_version
from cryptocdc_exchanges.port import Series
from cryptocdc_producer.archive import load as loads
from cryptocdc_producer.archive.load import DiskFull, Item, Loading

ARCHIVE = archive_of("binance")
TRADES = Series("recent_trades", "BTCUSDT", "aggregate")
START = int(datetime(2026, 3, 5, tzinfo=UTC).timestamp() * 1000)


class Records:
    """Remembers each state in which a file was saved. PostgreSQL keeps the days `kept`."""

    def __init__(self) -> None:
        self.saved: list[HistoryFile] = []
        self.kept: list[int] = []

    def save(self, files: Sequence[HistoryFile]) -> None:
        self.saved += map(copy.copy, files)

    def claim(self, file: HistoryFile) -> list[int]:
        return [day for day in self.kept if file.start_ms <= day < file.end_ms]

    @property
    def states(self) -> list[str]:
        return [it.state for it in self.saved]


class Topics:
    """Keeps the rows that were sent; `fails` is raised after so many rows of one call."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.fails: tuple[int, Exception] | None = None

    def send(self, _: Series, rows: Iterator[Row], sent: Callable[[int], None]) -> None:
        for number, row in enumerate(rows):
            if self.fails is not None and number == self.fails[0]:
                raise self.fails[1]
            self.rows.append(row)
            sent(1)


class House:
    def __init__(self, server: ArchiveServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.records, self.topics = Records(), Topics()

    def item(self, number: int = 0, lines: list[str] | None = None, series: Series = TRADES) -> Item:
        """The file of the day with that number, with 10 trades of its own unless given others."""
        start = START + number * DAY
        file = file_of(series, start)
        body = self.server.put(file.path, spot_trades(start, 100 + 10 * number, 10) if lines is None else lines)
        return Item(file, HistoryFile(file.path, *series, file.start_ms, file.end_ms, bytes=len(body)))

    def load(self, *items: Item, **options: Any) -> list[tuple[Item, Path]]:
        host = ArchiveHost(self.server.url)
        loading = Loading(ARCHIVE, host, self.records, self.topics.send, self.folder, **options)
        return list(loading.run(items))


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(archive_host, "BACKOFF", Backoff(0.0, 0.0))
    with serving() as server:
        yield House(server, tmp_path / "downloads")


@pytest.mark.parametrize("symbol", ["BTCUSDT", "币安人生USDT"])
def test_a_file_is_loaded_once_all_of_its_rows_are_acknowledged(house: House, symbol: str) -> None:
    ((item, path),) = house.load(house.item(series=TRADES._replace(symbol=symbol)))

    assert {row.symbol for row in house.topics.rows} == {symbol}
    assert all(asked.isascii() for _, asked, _ in house.server.asked)
    assert house.records.states == ["downloaded", "loaded"]
    record = item.record
    assert (record.rows, record.first_id, record.last_id, record.missing) == (10, 100, 109, 0)
    assert {row.version for row in house.topics.rows} == {archive_version(record.read_ms or 0)}
    assert path.exists(), "it is kept until it is proven"


def test_a_file_whose_rows_were_not_acknowledged_is_sent_again_whole_and_the_same(house: House) -> None:
    item = house.item()
    house.topics.fails = (4, RuntimeError("killed"))
    with pytest.raises(RuntimeError):
        house.load(item)
    before, house.topics.rows, house.topics.fails = house.topics.rows, [], None

    assert house.records.states == ["downloaded"]
    house.load(item)

    assert house.topics.rows[:4] == before
    assert len(house.topics.rows) == 10
    assert house.records.states[-1] == "loaded"


def test_a_loaded_file_is_only_downloaded_to_be_proven(house: House) -> None:
    item = house.item()
    house.load(item)
    house.topics.rows.clear()

    ((_, path),) = house.load(item)

    assert path.exists()
    assert house.topics.rows == []


def test_a_loaded_file_that_could_not_be_downloaded_to_be_proven_keeps_no_trace_of_that(house: House) -> None:
    item = house.item()
    house.load(item)
    (house.folder / item.file.path.lstrip("/").replace("/", "+")).unlink()
    house.server.busy[item.file.path] = 100
    assert house.load(item) == []
    assert (item.record.state, item.record.reason[:14]) == ("loaded", "not downloaded")
    house.server.busy.clear()

    assert len(house.load(item)) == 1
    assert item.record.reason == ""


BROKEN = {
    "empty": (b"", "it is empty"),
    "page": (b"<html><body>later</body></html>", "it is not a zip file: it begins with '<html>"),
    "truncated": (zipped(spot_trades(START, 1, 1000))[:3000], "the zip is damaged or truncated"),
    "two files": (zipped([], "a.csv") + b"", "it has no rows"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_is_not_what_the_archive_describes_is_quarantined_and_the_next_one_loaded(
    house: House, kind: str
) -> None:
    body, problem = BROKEN[kind]
    broken, good = house.item(0), house.item(1)
    house.server.files[broken.file.path] = body

    loaded = house.load(broken, good)

    assert [item for item, _ in loaded] == [good]
    assert broken.record.state == "quarantined"
    assert problem in broken.record.reason
    assert len(house.topics.rows) == 10
    assert not any(broken.file.path.rpartition("/")[2] in path.name for path in house.folder.iterdir())


def test_nothing_is_sent_of_a_file_with_a_bad_line(house: House) -> None:
    lines = spot_trades(START, 100, 10)
    lines[7] += ",0"
    item = house.item(lines=lines)

    assert house.load(item) == []
    assert item.record.reason.startswith("line 8: 9 fields instead of 8")
    assert house.topics.rows == []


def test_a_damaged_zip_is_found_by_its_own_checksum(house: House) -> None:
    item = house.item()
    body = bytearray(house.server.files[item.file.path])
    body[60] ^= 0xFF
    house.server.files[item.file.path] = bytes(body)

    assert house.load(item) == []
    assert item.record.reason.startswith("the zip is damaged or truncated")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (spot_trades(START, 100, 10), "it has 10 rows, without a hole from 100 to 109"),
        (spot_trades(START, 100, 5) + spot_trades(START + 9000, 107, 3), "it has 8 rows, 2 missing from 100 to 109"),
    ],
)
def test_a_checksum_that_does_not_match_is_quarantined_with_what_the_file_holds(
    house: House, lines: list[str], says: str
) -> None:
    item = house.item(lines=lines)
    house.server.files[f"{item.file.path}.CHECKSUM"] = f"{'0' * 64}  file.zip\n".encode()

    assert house.load(item) == []
    assert item.record.state == "quarantined"
    assert f"the published one {'0' * 64}; {says}" in item.record.reason
    assert house.topics.rows == []

    assert [it for it, _ in house.load(item, accept_mismatch=True)] == [item]
    assert house.records.states[-1] == "loaded"
    assert "the published one" in item.record.reason, "it stays on record"


def test_a_file_without_a_published_checksum_is_quarantined(house: House) -> None:
    item = house.item()
    house.server.files[f"{item.file.path}.CHECKSUM"] = b"<html>"

    assert house.load(item) == []
    assert item.record.reason.startswith("the archive publishes no checksum of it")


def test_a_file_that_vanished_is_absent(house: House) -> None:
    item = house.item()
    del house.server.files[item.file.path]

    assert house.load(item) == []
    assert item.record.state == "absent"


def test_a_file_that_can_not_be_downloaded_now_stays_planned_and_the_next_one_is_loaded(house: House) -> None:
    item, good = house.item(0), house.item(1)
    house.server.busy[item.file.path] = 100

    assert [it for it, _ in house.load(item, good)] == [good]
    assert item.record.state == "planned"
    assert item.record.reason.endswith("HTTP status 503")


def test_what_is_left_of_another_edition_of_a_file_is_downloaded_again(house: House) -> None:
    item = house.item()
    house.folder.mkdir()
    part = house.folder / f"{item.file.path.lstrip('/').replace('/', '+')}.part"
    part.write_bytes(b"PK-of-another")

    assert [it for it, _ in house.load(item)] == [item]
    assert len(house.topics.rows) == 10


def test_a_day_that_postgresql_keeps_is_not_loaded(house: House) -> None:
    item = house.item()
    house.records.kept = [START]

    assert house.load(item) == []
    assert (item.record.state, item.record.reason) == (
        "planned", "PostgreSQL keeps 1 of its days, the first is 2026-03-05",
    )  # fmt: skip
    assert house.topics.rows == []


def test_a_hole_is_named_in_the_record(house: House) -> None:
    series = Series("klines", "BTCUSDT", "1m")
    lines = spot_klines(START, 5)
    item = house.item(lines=lines[:2] + lines[3:], series=series)
    house.load(item)

    assert (item.record.missing, item.record.holes) == (1, "2026-03-05T00:02:00.000Z")


def test_a_full_disk_ends_loading_before_anything_is_downloaded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loads, "SPARE_BYTES", 1 << 62)

    with pytest.raises(DiskFull, match=r"MiB are free and .* needs"):
        house.load(house.item())
    assert not any(method == "GET" for method, _, _ in house.server.asked)


def test_downloads_are_bounded_on_disk(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loads, "DISK_BYTES", 1)
    items = [house.item(number) for number in range(6)]
    held = []
    loading = Loading(ARCHIVE, ArchiveHost(house.server.url), house.records, house.topics.send, house.folder)
    for _, path in loading.run(items):
        held.append(len(list(house.folder.iterdir())))
        path.unlink()

    assert held == [1] * 6


def test_a_download_that_ends_while_the_disk_is_looked_at_ends_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file has another name while it is downloaded: it may be gone between listing the folder and asking its size."""
    listed = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda folder: [*listed(folder), folder / "ended.zip.part"])

    assert len(house.load(house.item(0), house.item(1))) == 2

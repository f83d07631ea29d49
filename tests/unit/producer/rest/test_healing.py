"""Gaps of raw trades filled from the archive's file of their day, once it is there and in order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.archive_files import DAY, ArchiveServer, archive_of, file_of, serving, zipped
from tests.unit.producer.conftest import BINANCE, handlers_of, make_feed
from tests.unit.producer.rest.test_backfill import until

from cryptocdc_adapters.exchange import archive_host
from cryptocdc_core.program.backoff import Backoff
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_exchanges.port import Series
from cryptocdc_producer.archive import healing as healings
from cryptocdc_producer.archive.healing import Healing
from cryptocdc_producer.rest import backfill as backfills
from cryptocdc_producer.rest.backfill import Backfill
from cryptocdc_producer.storage.intake import Data, Entry, GapEnd, GapWait, Intake
from cryptocdc_producer.storage.store import Kept
from cryptocdc_producer.streams.continuity import Gap

START = int(datetime(2026, 3, 5, tzinfo=UTC).timestamp() * 1000)
RAW = Series("recent_trades", "BTCUSDT", "trade")
GAP = Gap("recent_trades", "BTCUSDT", "", 110, 129)
FIRST_DAY, SECOND_DAY = file_of(RAW, START).path, file_of(RAW, START + DAY).path


def raw_trades(first: int, count: int, start_ms: int = START) -> list[str]:
    return [f"{first + at},95000.10,0.001,95.0,{(start_ms + at * 1000) * 1000},True,True" for at in range(count)]


@dataclass
class Stored:
    """PostgreSQL with these trades, and without the days that are `gone`."""

    traded_at: Mapping[int, int] = field(default_factory=lambda: {109: START + 9000, 130: START + 30_000})
    gone: set[int] = field(default_factory=set)

    def kept(self, _: str, __: Any) -> Kept:
        return Kept(self.traded_at, frozenset(self.gone), None)


class House:
    """A backfill of raw trades at a host that does not return them by id."""

    def __init__(
        self,
        archive: ArchiveServer,
        *gaps: Gap,
        stored: Stored | None = None,
        retry_s: float = 0.01,
        folder: Path | None = None,
    ) -> None:
        self.metrics, self.entries = ProducerMetrics("test"), list[Entry]()
        self._intake = Intake(ProducerMetrics("test"))
        healing = Healing(
            archive_of("binance"), archive.url, "trade", stored or Stored(), self._intake, retry_s, folder
        )
        feed = make_feed(streams={"recentTrades": {"kind": "trade"}})
        handlers = handlers_of(feed, self._intake, venue=BINANCE)
        self.backfill = Backfill(handlers.by_table, None, self._intake, self.metrics, healing)  # type: ignore[arg-type]
        self.backfill.add(gaps)
        self._tasks = [asyncio.create_task(self.backfill.run()), asyncio.create_task(healing.run())]

    async def until(self, kind: type, count: int = 1) -> None:
        def look() -> bool:
            self.entries += self._intake.take(0.01)
            return sum(isinstance(it, kind) for it in self.entries) >= count

        await until(look)

    def of(self, kind: type) -> list[Any]:
        return [it for it in self.entries if isinstance(it, kind)]

    @property
    def ids(self) -> list[int]:
        return [it.row.trade_id for it in self.of(Data)]

    def counted(self, name: str, **labels: str) -> float | None:
        labels = {"table": "recent_trades", **labels}
        return self.metrics.registry.get_sample_value(f"cryptocdc_producer_{name}", labels)


@pytest.fixture
def archive() -> Iterator[ArchiveServer]:
    with serving() as served:
        yield served


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfills, "_FIRST_AFTER_S", 0.0)
    monkeypatch.setattr(healings, "_FIRST_AFTER_S", 0.0)
    monkeypatch.setattr(archive_host, "BACKOFF", Backoff(0.001, 0.002))


def test_a_gap_waits_for_the_days_file_and_is_filled_from_it(archive: ArchiveServer) -> None:
    async def scenario() -> None:
        it = House(archive, GAP)
        await it.until(GapWait)
        assert it.of(GapWait) == [GapWait(GAP, "waits for the archive's file of 2026-03-05")]
        assert it.counted("gaps_waiting") == 1
        assert it.counted("gaps_open") == 0, "nothing is wrong: an alarm would be false for a day"

        archive.put(FIRST_DAY, raw_trades(100, 50))
        await it.until(GapEnd)

        assert it.ids == list(range(110, 130))
        assert it.entries[-1] == GapEnd(GAP, "filled", "from the archive's file of 2026-03-05")
        assert it.counted("gap_rows_total", outcome="filled") == 20
        assert it.counted("gaps_waiting") == 0

    asyncio.run(scenario())


def test_gaps_of_a_day_are_filled_from_one_download(archive: ArchiveServer) -> None:
    async def scenario() -> None:
        archive.put(FIRST_DAY, raw_trades(100, 50))
        second = GAP._replace(first=140, last=141)
        stored = Stored({at: START + at for at in (109, 130, 139, 142)})
        it = House(archive, second, GAP, stored=stored)
        await it.until(GapEnd, 2)

        assert sorted(it.ids) == [*range(110, 130), 140, 141]
        assert [path for method, path, _ in archive.asked if method == "GET"].count(FIRST_DAY) == 1

    asyncio.run(scenario())


def test_a_gap_over_midnight_needs_the_files_of_both_days(archive: ArchiveServer) -> None:
    async def scenario() -> None:
        archive.put(FIRST_DAY, raw_trades(100, 20))
        it = House(archive, GAP, stored=Stored({109: START, 130: START + DAY + 1}))
        await it.until(GapWait)
        assert it.of(GapWait)[-1].reason == "waits for the archive's file of 2026-03-06"
        archive.put(SECOND_DAY, raw_trades(120, 20, START + DAY))
        await it.until(GapEnd)

        assert it.ids == list(range(110, 130))
        assert it.of(GapEnd)[-1].state == "filled"

    asyncio.run(scenario())


def test_a_trade_after_the_gap_that_is_not_stored_yet_is_waited_for(archive: ArchiveServer) -> None:
    """It may be of the next day, whose file would not be read otherwise."""

    class Slow(Stored):
        looks = 0

        def kept(self, symbol: str, ids: Any) -> Kept:
            self.looks += 1
            self.traded_at = {109: START} if self.looks == 1 else {109: START, 130: START + DAY + 1}
            return super().kept(symbol, ids)

    async def scenario() -> None:
        archive.put(FIRST_DAY, raw_trades(100, 20))
        archive.put(SECOND_DAY, raw_trades(120, 20, START + DAY))
        it = House(archive, GAP, stored=Slow())
        await it.until(GapEnd)

        assert it.ids == list(range(110, 130))
        assert it.of(GapEnd)[-1].state == "filled"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        (b"<html>Please try again later.</html>", "which looks like a web page"),
        (zipped(raw_trades(100, 500))[:900], "the zip is damaged or truncated"),
        (zipped([*raw_trades(100, 20), "120,1"]), "line 21: 2 fields instead of 7"),
        (b"", "it is empty"),
    ],
    ids=["page", "truncated", "fields", "empty"],
)
def test_a_file_that_is_not_in_order_is_not_used_and_looked_for_again(
    archive: ArchiveServer, file: bytes, problem: str
) -> None:
    async def scenario() -> None:
        archive.files[FIRST_DAY] = file
        it = House(archive, GAP)
        await it.until(GapWait)
        assert it.of(GapWait)[-1].reason.startswith("waits for the archive's file of 2026-03-05: ")
        assert problem in it.of(GapWait)[-1].reason
        assert not it.ids

        archive.put(FIRST_DAY, raw_trades(100, 50))
        await it.until(GapEnd)
        assert it.of(GapEnd)[-1].state == "filled"

    asyncio.run(scenario())


def test_a_file_with_another_checksum_is_not_used(archive: ArchiveServer) -> None:
    async def scenario() -> None:
        archive.put(FIRST_DAY, raw_trades(100, 50))
        archive.files[f"{FIRST_DAY}.CHECKSUM"] = f"{'0' * 64}  x.zip".encode()
        it = House(archive, GAP)
        await it.until(GapWait)

        assert f"and the published one {'0' * 64}" in it.of(GapWait)[-1].reason
        assert not it.ids

    asyncio.run(scenario())


def test_ids_that_the_file_lacks_are_named_and_the_rest_is_filled(archive: ArchiveServer) -> None:
    async def scenario() -> None:
        lines = raw_trades(100, 50)
        archive.put(FIRST_DAY, lines[:15] + lines[17:28] + lines[29:])
        it = House(archive, GAP)
        await it.until(GapEnd)

        assert len(it.ids) == 17
        assert it.of(GapEnd) == [
            GapEnd(GAP, "unfillable", "the archive's file of 2026-03-05 lacks 3 of 20: 115 to 116, 128")
        ]
        assert it.counted("gap_rows_total", outcome="unfillable") == 3

    asyncio.run(scenario())


def test_a_gap_of_a_day_that_postgresql_no_longer_keeps_ends_with_what_can_be_done(archive: ArchiveServer) -> None:
    async def scenario() -> None:
        stored = Stored()
        it = House(archive, GAP, stored=stored)
        await it.until(GapWait)
        stored.gone.add(START)
        await it.until(GapEnd)

        [end] = it.of(GapEnd)
        assert end.state == "unfillable"
        assert end.reason == (
            "PostgreSQL no longer keeps 2026-03-05 (waits for the archive's file of 2026-03-05):"
            " `cryptocdc history load --from 2026-03-05` loads it into Cassandra"
        )

    asyncio.run(scenario())


def test_a_folder_that_can_t_be_written_is_waited_for(archive: ArchiveServer, tmp_path: Path) -> None:
    async def scenario() -> None:
        archive.put(FIRST_DAY, raw_trades(100, 50))
        it = House(archive, GAP, folder=tmp_path / "absent")
        await it.until(GapWait)
        assert "No such file or directory" in it.of(GapWait)[-1].reason

        (tmp_path / "absent").mkdir()
        await it.until(GapEnd)
        assert it.of(GapEnd)[-1].state == "filled"
        assert it.counted("gap_rows_total", outcome="filled") == 20

    asyncio.run(scenario())


def test_a_gap_without_trades_around_it_ends_unfillable(archive: ArchiveServer) -> None:
    async def scenario() -> None:
        it = House(archive, GAP, stored=Stored({}))
        await it.until(GapEnd)

        assert it.of(GapEnd)[0].state == "unfillable"
        assert "`cryptocdc history load`" in it.of(GapEnd)[0].reason

    asyncio.run(scenario())


def test_an_absent_file_is_asked_for_once_in_the_time_between_attempts(archive: ArchiveServer) -> None:
    async def scenario() -> None:
        it = House(archive, GAP, stored=Stored({109: START, 142: START + 1}), retry_s=3600)
        await it.until(GapWait)
        later = GAP._replace(first=140, last=141)
        it.backfill.add([later])
        await it.until(GapWait, 2)

        assert [path for _, path, _ in archive.asked] == [FIRST_DAY]

    asyncio.run(scenario())


def test_a_symbol_that_moved_to_another_producer_is_healed_there(archive: ArchiveServer) -> None:
    async def scenario() -> None:
        it = House(archive, GAP)
        await it.until(GapWait)
        it.backfill.drop("BTCUSDT")
        asked = len(archive.asked)
        archive.put(FIRST_DAY, raw_trades(100, 50))
        other = House(archive, GAP)
        await other.until(GapEnd)

        assert it.counted("gaps_waiting") == 0
        assert not it.ids
        assert len(archive.asked) > asked

    asyncio.run(scenario())

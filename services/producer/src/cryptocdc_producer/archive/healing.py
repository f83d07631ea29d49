"""Fills gaps of trades that can't be requested by id from the archive's files of the days that they are in.

A day's file appears on the next day. Its rows go through PostgreSQL like those of any gap, so only days that PostgreSQL
keeps are filled.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import inf
from pathlib import Path
from typing import Protocol

import psycopg2

from cryptocdc_adapters.exchange.archive_host import ArchiveHost, ArchiveUnavailable, Stopped
from cryptocdc_core.rows.typed import Row
from cryptocdc_core.storage.ddl import DAY_MS, GAP_WAITS
from cryptocdc_core.time import times
from cryptocdc_exchanges.port import Archive, File, Period, Series
from cryptocdc_producer.archive.load import SPARE_BYTES, DiskFull, free_bytes, mismatch
from cryptocdc_producer.archive.reading import UnreadableFile, check, content
from cryptocdc_producer.storage.intake import Intake
from cryptocdc_producer.storage.store import Kept
from cryptocdc_producer.streams.continuity import Gap
from cryptocdc_producer.streams.handler import Filling

log = logging.getLogger(__name__)

AT_ONCE = 1000
"""Rows that are read together in a thread."""
_FIRST_AFTER_S = 2.0
"""The rows around a gap are in PostgreSQL soon after it was found."""
_LOOKS = 3
"""How often the rows on both sides of a gap are looked for before those that are not there are taken to be gone."""
_SHOWN = 5
"""Ranges of missing ids that are named."""


class Stored(Protocol):
    def kept(self, symbol: str, ids: Sequence[int]) -> Kept:
        """Return what PostgreSQL has of the trades with these ids. Raises psycopg2.Error."""


@dataclass
class Outcome:
    """What became of a gap. `reason`: "" unless rows are missing."""

    state: str
    reason: str
    filled: int


@dataclass
class _Healed:
    """A gap, its days and what was found in them so far."""

    gap: Gap
    ended: Callable[[Outcome], None]
    waits: Callable[[str], None]
    looks: int = 0
    days: list[int] | None = None
    """Days that it may be in and that were not read yet; None until it is known where it is."""
    read: list[int] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    found: list[tuple[int, int]] = field(default_factory=list)
    """Ranges of the ids that were found, in order."""
    said: str = ""

    def take(self, trade_id: int) -> None:
        if self.found and self.found[-1][1] == trade_id - 1:
            self.found[-1] = (self.found[-1][0], trade_id)
        else:
            self.found.append((trade_id, trade_id))

    def wait(self, day: int, problem: str) -> None:
        reason = f"{GAP_WAITS}the archive's file of {times.iso(day)[:10]}" + (f": {problem}" if problem else "")
        if reason != self.said:
            self.said = reason
            self.waits(reason)

    def outcome(self) -> Outcome:
        filled = sum(last - first + 1 for first, last in self.found)
        files = f"the archive's file of {', '.join(times.iso(day)[:10] for day in self.read)}"
        lacking = list(_lacking(self.gap, self.found))
        if not lacking:
            return Outcome("filled", f"from {files}", filled)
        parts = []
        if self.gone or not self.read:
            day = times.iso(self.gone[0])[:10] if self.gone else "these trades"
            hint = f" --from {day}" if self.gone else ""
            waited = f" ({self.said})" if self.said else ""
            parts.append(
                f"PostgreSQL no longer keeps {day}{waited}: `cryptocdc history load{hint}` loads it into Cassandra"
            )
        if self.read:
            shown = ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in lacking[:_SHOWN])
            more = f" and {len(lacking) - _SHOWN} more ranges" if len(lacking) > _SHOWN else ""
            parts.append(f"{files} lacks {self.gap.size - filled} of {self.gap.size}: {shown}{more}")
        return Outcome("unfillable", "; ".join(parts), filled)


def _lacking(gap: Gap, found: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the ranges of a gap's ids that are not in `found`."""
    at = gap.first
    for first, last in sorted(found):
        if first > at:
            yield at, first - 1
        at = max(at, last + 1)
    if at <= gap.last:
        yield at, gap.last


class Healing:
    """All of it runs on the event loop, but for reading PostgreSQL, the archive and its files."""

    def __init__(
        self, archive: Archive, base: str, kind: str, stored: Stored, intake: Intake, retry_s: float,
        folder: Path | None = None,
    ) -> None:  # fmt: skip
        """`base`: the archive's base URL. `kind`: of the feed's trades. `retry_s`: seconds after which a file that was
        not there is looked for again. `folder`: where one file at a time is kept; by default a temporary one."""
        self._archive, self._kind, self._stored, self._intake = archive, kind, stored, intake
        self._stop = threading.Event()
        self._host = ArchiveHost(base, self._stop)
        self._retry_s, self._folder = retry_s, folder
        self._gaps: dict[Gap, _Healed] = {}
        self._due = asyncio.Event()
        self._tried: dict[str, tuple[float, str]] = {}
        """By path, when (monotonic) a file was looked for last, and why it could not be used."""

    def has(self, gap: Gap) -> bool:
        """Return whether the archive publishes the rows of a gap."""
        return self._archive.file(self._series(gap), Period.DAY, 0) is not None

    def add(self, filling: Filling, ended: Callable[[Outcome], None], waits: Callable[[str], None]) -> None:
        """Heal a gap. `waits` is called with what it waits for, whenever that changes; `ended` once."""
        self._gaps[filling.gap] = _Healed(filling.gap, ended, waits)
        self._due.set()

    def drop(self, symbol: str) -> None:
        """Drop the gaps of a symbol, which another producer captures now."""
        self._gaps = {gap: it for gap, it in self._gaps.items() if gap.symbol != symbol}

    def close(self) -> None:
        """Let a download end early."""
        self._stop.set()

    async def run(self) -> None:
        while True:
            self._due.clear()
            look_again = any(it.days is None for it in await self._round())
            wait = _FIRST_AFTER_S if look_again else self._retry_s
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), wait if self._gaps else None)
                await asyncio.sleep(_FIRST_AFTER_S)

    async def _round(self) -> list[_Healed]:
        """Look for the files of all gaps, symbol by symbol; return the gaps that wait on."""
        for symbol in sorted({gap.symbol for gap in self._gaps}):
            of_symbol = [it for gap, it in self._gaps.items() if gap.symbol == symbol]
            try:
                await self._locate(symbol, of_symbol)
                for day in sorted({day for it in of_symbol for day in it.days or ()}):
                    await self._day(symbol, day, [it for it in of_symbol if day in (it.days or ())])
            except psycopg2.Error as error:
                log.warning("%s: can't read from PostgreSQL where its gaps are: %s", symbol, str(error).strip())
            for it in of_symbol:
                if it.days == [] and it.gap in self._gaps:
                    del self._gaps[it.gap]
                    it.ended(it.outcome())
        return list(self._gaps.values())

    async def _locate(self, symbol: str, gaps: Sequence[_Healed]) -> None:
        """Find the days that gaps are in by the trades before and after them; leave out those past retention."""
        ids = [at for it in gaps if it.days is None for at in (it.gap.first - 1, it.gap.last + 1)]
        kept = await asyncio.to_thread(self._stored.kept, symbol, ids)
        for it in gaps:
            if it.days is None:
                sides = [kept.traded_at[at] for at in (it.gap.first - 1, it.gap.last + 1) if at in kept.traded_at]
                it.looks += 1
                if len(sides) < 2 and it.looks < _LOOKS:  # the other one may be of another day
                    continue
                it.days = list(range(Period.DAY.floor(min(sides)), max(sides) + 1, DAY_MS)) if sides else []
            it.gone += filter(kept.is_gone, it.days)
            it.days = [day for day in it.days if not kept.is_gone(day)]

    async def _day(self, symbol: str, day: int, gaps: Sequence[_Healed]) -> None:
        """Fill from a day's file what it has of `gaps`, or say why not."""
        file = self._archive.file(Series(gaps[0].gap.table, symbol, self._kind), Period.DAY, day)
        assert file is not None, "`has` was asked"
        tried_at, problem = self._tried.get(file.path, (-inf, None))
        if time.monotonic() < tried_at + self._retry_s:
            for it in gaps:
                it.wait(day, problem or "")
            return
        found = [list(it.found) for it in gaps]
        try:
            with tempfile.TemporaryDirectory(prefix="cryptocdc-archive-", dir=self._folder) as folder:
                path = Path(folder, "file.zip")
                problem = await asyncio.to_thread(self._fetch, file, path)
                if problem is None:
                    await self._fill(file, path, gaps)
        except (ArchiveUnavailable, DiskFull, UnreadableFile, OSError) as error:
            problem = str(error)
            for it, before in zip(gaps, found, strict=True):
                it.found = before  # what was read so far is read again
        except Stopped:
            return
        if problem is None:
            self._tried.pop(file.path, None)
        else:
            self._tried[file.path] = time.monotonic(), problem
        for it in gaps:
            if problem is not None:
                it.wait(day, problem)
            elif it.days is not None:
                it.days.remove(day)
                it.read.append(day)

    def _fetch(self, file: File, path: Path) -> str | None:
        """Download and check a whole file. Return why it can't be used: "" if it is not published yet, None if it can.

        Raises ArchiveUnavailable, DiskFull, Stopped, OSError.
        """
        size = self._host.size(file.path)
        if size is None:
            return ""
        free = free_bytes(path.parent)
        if size + SPARE_BYTES > free:
            raise DiskFull(f"{path.parent}: {free >> 20:,} MiB are free and it needs {size >> 20:,} MiB")
        body = self._host.small(self._archive.checksum_path(file))
        checksum = self._host.download(file.path, path)
        if checksum is None:
            return ""
        if problem := mismatch(checksum, None if body is None else self._archive.checksum(body)):
            return problem
        try:
            check(path, self._archive.format(file.series), file, self._stop)
        except UnreadableFile as error:
            return str(error)
        return None

    async def _fill(self, file: File, path: Path, gaps: Sequence[_Healed]) -> None:
        with content(path, self._archive.format(file.series), file, times.now_ms()) as read:
            wanted = _within(read.rows, sorted(gaps, key=lambda it: it.gap.first))
            while rows := await asyncio.to_thread(lambda: list(islice(wanted, AT_ONCE))):
                await self._intake.room()
                self._intake.put_rows(rows, live=False)

    def _series(self, gap: Gap) -> Series:
        return Series(gap.table, gap.symbol, self._kind)


def _within(rows: Iterable[Row], gaps: Sequence[_Healed]) -> Iterator[Row]:
    """Yield the rows that are in one of the gaps, which are in order and don't overlap, and record their ids there."""
    at = 0
    for row in rows:
        trade_id: int = row.trade_id  # type: ignore[attr-defined]
        while at < len(gaps) and gaps[at].gap.last < trade_id:
            at += 1
        if at == len(gaps):
            return
        if trade_id >= gaps[at].gap.first:
            gaps[at].take(trade_id)
            yield row

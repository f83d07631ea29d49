"""Asks an archive which of the files that a range needs it has, and what is left to do about each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from cryptocdc_adapters.exchange.archive_host import ArchiveUnavailable
from cryptocdc_adapters.postgres.history_files import HistoryFile
from cryptocdc_core.time import intervals
from cryptocdc_exchanges.port import Archive, File, Period, Series
from cryptocdc_producer.archive.load import Item
from cryptocdc_producer.archive.plan import days_of, files, in_days

AT_ONCE = 8
AGAIN = "published again"
_SHOWN = 40


class Host(Protocol):
    base: str
    """The URL to which paths are added."""

    def size(self, path: str) -> int | None: ...

    def small(self, path: str) -> bytes | None: ...


@dataclass
class Survey:
    """`items` are to be loaded or proven, in order; `records` are all files of the range."""

    items: list[Item] = field(default_factory=list)
    records: list[HistoryFile] = field(default_factory=list)
    unpublished: list[Series] = field(default_factory=list)
    """Those that have no file of a single day, while days of a month that is not wanted whole are wanted."""

    @property
    def bytes(self) -> int:
        return sum(max(0, item.record.bytes or 0) for item in self.items)


def survey(
    archive: Archive, host: Host, wanted: Mapping[Series, Sequence[int]], known: Sequence[HistoryFile],
    asked: Callable[[int, int], None] = lambda _done, _all: None,
) -> Survey:  # fmt: skip
    """Return what there is of the days `wanted`. `asked` is called with how many files were asked for, and of how many.

    Raises ArchiveUnavailable.
    """
    found = Survey()
    by_path = {it.path: it for it in known}
    candidates: list[File] = []
    for series, of_series in wanted.items():
        before = [it for it in known if (it.table_name, it.symbol, it.kind) == series]
        chosen = files(archive, series, of_series, before)
        # A month that was loaded before also has days that are not wanted now.
        if not {day for file in chosen for day in days_of(file)}.issuperset(of_series):
            found.unpublished.append(series)
        candidates += chosen
    with ThreadPoolExecutor(AT_ONCE, "survey") as pool:

        def look(these: list[File]) -> list[tuple[File, HistoryFile]]:
            looked = []
            for record in pool.map(lambda file: _look(archive, host, file, by_path.get(file.path)), these):
                looked.append(record)
                asked(len(looked), len(these))
            return list(zip(these, looked, strict=True))

        first = look(candidates)
        # Days instead of the months that are not there, if the archive has days of that series.
        days = {file: in_days(archive, file.series, days_of(file)) for file, record in first
                if record.state == "absent" and file.period is Period.MONTH}  # fmt: skip
        second = look([day for file in days for day in days[file]])
    every = [(file, record) for file, record in first if not days.get(file)] + second
    place = {series: at for at, series in enumerate(wanted)}
    for file, record in sorted(every, key=lambda it: (place[it[0].series], it[0].start_ms)):
        found.records.append(record)
        if record.state not in ("absent", "proven"):
            found.items.append(Item(file, record))
    return found


def _look(archive: Archive, host: Host, file: File, record: HistoryFile | None) -> HistoryFile:
    """Return a file's record, with its size; one that was loaded is planned again if it was published again.

    Raises ArchiveUnavailable.
    """
    if record is None:
        record = HistoryFile(file.path, *file.series, file.start_ms, file.end_ms)
    if record.state in ("loaded", "proven"):
        published = _published(archive, host, file)
        if published is None or published == record.published:
            return record
        record.state, record.reason, record.read_ms = "planned", AGAIN, None
    size = host.size(file.path)
    if size is None:
        record.state, record.reason = "absent", "the archive does not have it"
    else:
        if record.state == "absent":
            record.state, record.reason = "planned", ""
        record.bytes = size if size >= 0 else None
    return record


def _published(archive: Archive, host: Host, file: File) -> str | None:
    """Return the published SHA-256 of a file, None if none is published.

    Raises ArchiveUnavailable for an answer that is something else, such as a web page with status 200: it must not look
    like another edition of a file that is loaded.
    """
    path = archive.checksum_path(file)
    body = host.small(path)
    if body is None:
        return None
    found, name = archive.checksum(body), file.path.rpartition("/")[2]
    if found is None or name.encode() not in body:
        raise ArchiveUnavailable(
            f"{host.base}{path}: the response is not a SHA-256 with the name {name}: it begins with"
            f" {body[:_SHOWN].decode('utf-8', 'replace')!r}"
        )
    return found


def estimated_rows(archive: Archive, items: Iterable[Item]) -> int:
    """Return about how many rows the files have: of candles as many as their time has, of trades by their size."""
    rows = 0
    for file, record in items:
        form = archive.format(file.series)
        if record.rows is not None:
            rows += record.rows
        elif form.id == "open_time":
            rows += intervals.count(file.series.kind, file.start_ms, file.end_ms - 1)
        else:
            rows += max(0, record.bytes or 0) // form.packed_bytes
    return rows

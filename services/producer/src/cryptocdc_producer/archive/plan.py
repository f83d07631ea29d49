"""Which files of an archive cover a range of time. Pure: what exists is asked elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from cryptocdc_adapters.postgres.history_files import HistoryFile
from cryptocdc_core.catalogue.streams import KLINES
from cryptocdc_core.storage.ddl import DAY_MS
from cryptocdc_exchanges.archive_lines import hole
from cryptocdc_exchanges.port import Archive, File, Period, Series

SPARE_MS = DAY_MS
"""A day that expires in Cassandra within this time is not loaded: its rows could not be proven any more."""

REST_DAYS = 31
"""Days that are fetched over REST at most: a month of the busiest symbol's trades takes an hour of the weight that live
capture leaves."""


@dataclass(frozen=True)
class Retained:
    """What is kept where, at `now_ms`: the retentions in seconds, None without an end."""

    now_ms: int
    postgres_s: int | None
    cassandra_s: int | None


@dataclass
class Days:
    """The days of a range, by their starts in ms: those to load, and why the others are not."""

    load: list[int] = field(default_factory=list)
    expired: int = 0
    """Older than Cassandra's retention."""
    recent: list[int] = field(default_factory=list)
    """Those at the end of the range that PostgreSQL keeps: live capture and REST have them. At most REST_DAYS."""
    kept: int = 0
    """Days before the last one to load that PostgreSQL has not dropped yet."""
    beyond: int = 0
    """Days that PostgreSQL keeps before `recent`, too many to be fetched over REST."""


def days(start_ms: int, end_ms: int, retained: Retained, kept: Collection[int]) -> Days:
    """Sort the days that [start_ms, end_ms) touches. `kept`: the starts of the days of which PostgreSQL has rows.

    Rows that PostgreSQL keeps never bypass it. What it does not keep any more it never keeps again, so a day that can
    be loaded now still can while it is being loaded.
    """
    found = Days()
    least = 0 if retained.cassandra_s is None else retained.now_ms - retained.cassandra_s * 1000 + SPARE_MS
    # The current day is never over, whatever is kept.
    most = -1 if retained.postgres_s is None else retained.now_ms - retained.postgres_s * 1000
    for day in range(Period.DAY.floor(start_ms), min(end_ms, retained.now_ms), DAY_MS):
        if day < least:
            found.expired += 1
        elif day + DAY_MS > most or day in kept:
            found.recent.append(day)
        else:
            found.kept += len(found.recent)
            found.recent.clear()
            found.load.append(day)
    found.beyond = max(0, len(found.recent) - REST_DAYS)
    del found.recent[: found.beyond]
    return found


def files(archive: Archive, series: Series, wanted: Sequence[int], known: Iterable[HistoryFile]) -> list[File]:
    """Return the files of `series` to look for, in order of time: a month's where all of its days are wanted, else the
    days'. `known`: what is recorded of files of the same series; days are not loaded twice from different files."""
    begun = [it for it in known if it.state not in ("planned", "absent")]
    monthly = {it.start_ms for it in begun if it.end_ms - it.start_ms > DAY_MS}
    daily = {it.start_ms for it in begun if it.end_ms - it.start_ms == DAY_MS}
    found = []
    for month, group in groupby(wanted, Period.MONTH.floor):
        of_month = list(group)
        whole = len(of_month) == (Period.MONTH.next(month) - month) // DAY_MS
        file = archive.file(series, Period.MONTH, month)
        if file is not None and (month in monthly or (whole and not daily.intersection(of_month))):
            found.append(file)
        else:
            found += in_days(archive, series, of_month)
    return found


def in_days(archive: Archive, series: Series, wanted: Iterable[int]) -> list[File]:
    """Return the files of single days; none if the archive has none for this series."""
    found = (archive.file(series, Period.DAY, day) for day in wanted)
    return [file for file in found if file is not None]


def days_of(file: File) -> list[int]:
    return list(range(file.start_ms, file.end_ms, DAY_MS))


def gaps(records: Iterable[HistoryFile]) -> Iterator[HistoryFile]:
    """Yield the files that the archive does not have between others of the same series that it has, given in order."""
    for _, group in groupby(records, lambda it: (it.table_name, it.symbol, it.kind)):
        of_series = list(group)
        there = [at for at, it in enumerate(of_series) if it.state != "absent"]
        if there:
            yield from (it for it in of_series[there[0] : there[-1]] if it.state == "absent")


Hole = tuple[int, int, int]
"""The first and last id that are missing, and how many are: of klines, open times."""


def with_holes(records: Iterable[HistoryFile]) -> Iterator[tuple[HistoryFile, Hole | None]]:
    """Yield each file, given in order, with the hole between the last one before it that was read and itself."""
    for (table, _, kind), group in groupby(records, lambda it: (it.table_name, it.symbol, it.kind)):
        id_column = KLINES.time if table == KLINES.table else "trade_id"
        last: int | None = None
        for record in group:
            if last is None or record.first_id is None:
                yield record, None
            else:
                yield record, hole(kind, id_column, last, record.first_id)
            last = record.last_id if record.last_id is not None else last

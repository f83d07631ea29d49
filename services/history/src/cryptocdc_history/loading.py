"""Loads and proves the files of a range, and fetches the days after them over REST: the archive's host, the exchange,
Kafka, PostgreSQL and Cassandra together."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import psycopg2
from psycopg2.extensions import connection as Connection

from cryptocdc_adapters.exchange.archive_host import ArchiveHost, ArchiveUnavailable
from cryptocdc_adapters.exchange.rest import ExchangeError
from cryptocdc_adapters.postgres.connections import connect
from cryptocdc_adapters.postgres.history_files import HistoryFile, HistoryFiles
from cryptocdc_core.catalogue import by_table
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.time import times
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.port import Archive, Series, Venue
from cryptocdc_history.recent import Part, Recent
from cryptocdc_producer.archive.load import DISK_BYTES, DiskFull, Item, Loading
from cryptocdc_producer.archive.load import Progress as LoadProgress
from cryptocdc_producer.archive.plan import REST_DAYS, Days, Retained, days, gaps
from cryptocdc_producer.archive.sending import Sender, SendError
from cryptocdc_producer.archive.survey import Survey, estimated_rows, survey
from cryptocdc_producer.rest.ranges import Ranges, UnwrittenError
from cryptocdc_verifier.archived import prove, wait_for_consumers
from cryptocdc_verifier.comparing.cassandra import CassandraSide
from cryptocdc_verifier.target import Target

PROVEN_AT_ONCE = DISK_BYTES // 2
"""Bytes of loaded files after which they are proven: consumers work on while more files are loaded."""


@dataclass(frozen=True)
class Options:
    begins: Mapping[str, int]
    """The time in ms from which on a table is loaded."""
    to_ms: int | None
    """Exclusive; None: now."""
    series: Sequence[Series]
    folder: Path
    accept_mismatch: bool = False
    only_plan: bool = False
    chosen: Collection[str] = ()
    """Symbols that are refused if the archive has no file of them in the range, or the exchange does not list them;
    others are left out."""
    refuse_beyond: bool = True
    """Whether more days than REST is for are refused; else those before are left out."""

    @property
    def from_ms(self) -> int:
        return min(self.begins.values())


class HistoryError(RuntimeError):
    """Loading can't go on: the message says why, `remedy` what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        self.message, self.remedy = message, remedy
        super().__init__(f"{message}; {remedy}")


@dataclass(frozen=True)
class Load:
    """What is to be loaded, of which feed."""

    target: Target
    venue: Venue
    options: Options


@dataclass
class Result:
    """What became of a range: its files, and the parts that are fetched over REST."""

    load: Load
    days: dict[str, Days]
    """By table."""
    survey: Survey
    only_plan: bool = False
    estimated: int = 0
    parts: list[Part] = field(default_factory=list)

    @property
    def missing(self) -> list[HistoryFile]:
        """The files that the archive lacks between others."""
        return list(gaps(self.survey.records))

    @property
    def unknown(self) -> list[str]:
        """The symbols of which the archive has nothing at all in the range."""
        there = {it.symbol for it in self.survey.records if it.state != "absent"}
        return sorted({it.symbol for it in self.survey.records} - there)

    @property
    def failed(self) -> list[HistoryFile]:
        files = [it for it in self.survey.records if it.state not in ("proven", "absent")]
        return files + [it.record for it in self.parts if it.record.state == "planned"]

    @property
    def complete(self) -> bool:
        return self.only_plan or not (self.failed or self.missing)

    def to_json(self) -> dict[str, Any]:
        states = Counter(it.state for it in self.survey.records)
        target = self.load.target
        return {
            "feed": target.feed.name,
            "source": target.source,
            "from": times.iso(self.load.options.from_ms),
            "to": times.iso(times.now_ms() if self.load.options.to_ms is None else self.load.options.to_ms),
            "files": dict(sorted(states.items())),
            "bytes": sum(max(0, it.bytes or 0) for it in self.survey.records if it.state != "absent"),
            "rows": self.estimated if self.only_plan else sum(it.rows or 0 for it in self.survey.records),
            "complete": self.complete,
            "missing": [it.path for it in self.missing],
            "failed": {it.path: it.reason for it in self.failed} if not self.only_plan else {},
            "not_loaded_days": {
                table: {"expired": it.expired, "kept": it.kept, "beyond": it.beyond} for table, it in self.days.items()
            },
            "over_rest": [
                {
                    "table": it.record.table_name,
                    "symbol": it.record.symbol,
                    "kind": it.record.kind,
                    "from": times.iso(it.record.start_ms),
                    "to": times.iso(it.record.end_ms),
                    "state": it.record.state,
                    "reason": it.record.reason,
                    "rows": it.record.rows,
                }
                for it in self.parts
            ],
        }

    def text(self) -> str:
        states = Counter(it.state for it in self.survey.records)
        rows = sum(it.rows or 0 for it in self.survey.records if it.state == "proven")
        lines = [f"{it.path}: {it.state}: {it.reason}" for it in self.failed] if not self.only_plan else []
        lines += [f"{it.path}: missing: the archive has files before and after it" for it in self.missing]
        records = [part.record for part in self.parts if part.missing is not None]
        lines += [f"{it.path}: {it.state}: {it.reason}" for it in records if it.state == "absent"]
        lines += self.notes()
        counts = ", ".join(f"{count:,} {state}" for state, count in sorted(states.items()))
        lines.append(f"{counts or 'no files'}" + (f"; {rows:,} rows proven in Cassandra" if rows else ""))
        fetched = [it for it in records if it.state == "loaded"]
        if fetched:
            of_parts = f"{len(fetched):,} {'part' if len(fetched) == 1 else 'parts'}"
            lines[-1] += f"; over REST {of_parts}, {sum(it.rows or 0 for it in fetched):,} rows"
        return "\n".join(lines)

    def notes(self) -> list[str]:
        """Say which days are not loaded, and why."""
        found, feed = [], self.load.target.feed
        for table, it in self.days.items():
            kept = feed.spec.retention
            if it.expired:
                found.append(
                    f"{table}: days not loaded: {it.expired:,}, older than retention.cassandra, {kept.cassandra}"
                )
            if it.beyond:
                found.append(
                    f"{table}: days not loaded: {it.beyond:,}, within retention.postgres, {kept.postgres}, and before"
                    f" the {REST_DAYS} days for which REST is used"
                )
            if left := [part.missing for part in self.parts if part.missing and part.record.table_name == table]:
                begin = times.iso(min(missing.from_ms for missing in left))[:16]
                found.append(
                    f"{table}: {len(left):,} series over REST from {begin} on, up to the first row captured: PostgreSQL"
                    f" keeps these days (retention.postgres, {kept.postgres})"
                )
            if it.kept:
                found.append(
                    f"{table}: days not loaded: {it.kept:,}, which PostgreSQL has not dropped yet, as it does once they"
                    " are proven; `cryptocdc backfill` fetches what is missing of them"
                )
        without = [part.record for part in self.parts if part.missing is None]
        for (table, reason), count in Counter((it.table_name, it.reason) for it in without).items():
            begin = times.iso(self.days[table].recent[0])[:10]
            found.append(
                f"{table}: {count:,} series not fetched from {begin} on: {reason}; live capture has what came since it"
                " began, and the days before that are loaded once PostgreSQL has dropped them"
            )
        if self.unknown:
            found.append(
                f"{', '.join(self.unknown)}: the archive has no file of this time, such as before a market's listing"
            )
        for series in self.survey.unpublished:
            found.append(
                f"{series.table} {series.symbol} {series.kind}: the archive has only whole months of it; of others"
                " nothing is loaded"
            )
        return found


class Screen(Protocol):
    """What is shown while files are loaded."""

    def asked(self, done: int, of: int) -> None: ...

    def planned(self, result: Result) -> None: ...

    def loading(self) -> LoadProgress: ...

    def proving(self, count: int) -> None: ...

    def proven(self, record: HistoryFile) -> None: ...

    def fetching(self, record: HistoryFile, rows: int, through_ms: int) -> None: ...

    def fetched(self, record: HistoryFile) -> None: ...


def load(what: Load, screen: Screen) -> Result:
    """Load what is not loaded, prove what is not proven, fetch the days after that over REST. Raises BadInput,
    HistoryError, VerifyError, and errors of the servers' clients."""
    target, options, archive = what.target, what.options, what.venue.archive
    assert archive is not None
    stop = threading.Event()
    with closing(connect(target.postgres, "history", autocommit=True)) as connection, _alone(connection, target):
        records = _records(connection, target)
        host = ArchiveHost(what.venue.hosts.archive, stop)
        of_tables = _days(what, records)
        if options.refuse_beyond:
            refuse_beyond(of_tables, what)
        known = records.all()
        wanted = {series: of_tables[series.table].load for series in options.series}
        try:
            found = survey(archive, host, wanted, [it for it in known if not it.over_rest], screen.asked)
        except ArchiveUnavailable as error:
            raise HistoryError(f"archive: {error}", "spec.endpoints.archive names another host") from error
        result = Result(what, of_tables, found, options.only_plan, estimated_rows(archive, found.items))
        refuse_unknown(result.unknown, what)
        recent = Recent(what.venue, records, known, options.to_ms)
        result.parts = recent.parts(options.series, of_tables)
        screen.planned(result)
        if options.only_plan:
            return result
        records.plan(found.records)
        if found.items:
            try:
                _run(what, archive, host, records, found.items, screen, stop)
            except (DiskFull, OSError, SendError) as error:
                raise HistoryError(f"{error}", "the same command goes on from here") from error
        # Meanwhile capture may have begun.
        result.parts = recent.parts(options.series, of_tables)
        try:
            asyncio.run(_fetch(what, records, recent, result.parts, screen))
        except (ExchangeError, Rejected, UnwrittenError) as error:
            raise HistoryError(f"over REST: {error}", "the same command goes on from here") from error
        return result


async def _fetch(what: Load, records: HistoryFiles, recent: Recent, parts: Sequence[Part], screen: Screen) -> None:
    """Raises BadInput for a chosen symbol that the exchange does not list, ExchangeError, Rejected, psycopg2.Error,
    UnwrittenError."""
    records.save(it.record for it in parts if it.missing is None)
    ranges = Ranges(what.target.feed, what.venue, what.target.names, what.target.postgres)
    try:
        for part in parts:
            if part.missing is not None:
                await recent.fetch(part, ranges, partial(_reached, screen, part.record))
                screen.fetched(part.record)
                if part.record.state == "absent" and part.record.symbol in what.options.chosen:
                    raise BadInput(f"--symbol: {part.record.symbol}: {part.record.reason}; accepted: listed symbols")
    finally:
        ranges.close()


def _reached(screen: Screen, record: HistoryFile, _: str, rows: int, through_ms: int) -> None:
    screen.fetching(record, rows, through_ms)


def _run(
    what: Load, archive: Archive, host: ArchiveHost, records: HistoryFiles, items: Sequence[Item], screen: Screen,
    stop: threading.Event,
) -> None:  # fmt: skip
    target, options = what.target, what.options
    streams = [by_table(table) for table in sorted({item.record.table_name for item in items})]
    cassandra = CassandraSide(target.cassandra, target.names, streams)
    sender = Sender(target.kafka, target.names)
    loading = Loading(
        archive, host, records, sender.send, options.folder, accept_mismatch=options.accept_mismatch,
        progress=screen.loading(), stop=stop,
    )  # fmt: skip
    pending: list[tuple[Item, Path]] = []

    def prove_pending() -> None:
        if not pending:
            return
        screen.proving(len(pending))
        wait_for_consumers(target, sorted({item.record.table_name for item, _ in pending}))
        for item, path in pending:
            prove(target, cassandra, archive.format(item.file.series), item.record, path)
            records.save([item.record])
            path.unlink()
            screen.proven(item.record)
        pending.clear()

    try:
        with closing(loading.run(items)) as loaded:
            for item, path in loaded:
                pending.append((item, path))
                if sum(held.stat().st_size for _, held in pending) > PROVEN_AT_ONCE:
                    prove_pending()
        prove_pending()
    finally:
        stop.set()
        sender.close()
        cassandra.close()


@contextmanager
def _alone(connection: Connection, target: Target) -> Iterator[None]:
    """Hold the lock by which only one process at a time loads a feed's history; its end releases it, however it
    ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", (f"{target.names.fid}-history",))
        if cursor.fetchone() != (True,):
            raise HistoryError(f"history of {target.feed.name} is being loaded by another process", "wait for its end")
    yield


def _records(connection: Connection, target: Target) -> HistoryFiles:
    try:
        return HistoryFiles(connection, target.names)
    except psycopg2.errors.InvalidSchemaName:
        raise HistoryError(
            f"{target.feed.name} has no tables as {target.names.fid}", "`cryptocdc apply -f FEED` makes them"
        ) from None


def _days(what: Load, records: HistoryFiles) -> dict[str, Days]:
    target, options = what.target, what.options
    retained = Retained(times.now_ms(), target.postgres_retention_s, target.cassandra_retention_s)
    return {
        table: days(options.begins[table], options.to_ms or retained.now_ms, retained, records.days_kept(table))
        for table in dict.fromkeys(series.table for series in options.series)
    }


def refuse_beyond(of_tables: Mapping[str, Days], what: Load) -> None:
    """Raise BadInput if more days are PostgreSQL's than REST is for."""
    kept = what.target.feed.spec.retention.postgres
    for table, found in of_tables.items():
        if found.beyond:
            first = times.iso(found.recent[0])[:10]
            raise BadInput(
                f"--from: {times.iso(what.options.from_ms)[:10]} is not accepted: PostgreSQL keeps"
                f" {found.beyond + len(found.recent):,} days of {table} since then (retention.postgres: {kept}), which"
                f" the archive must not bypass, and REST is for {REST_DAYS} days; accepted: {first} or later"
            )


def refuse_unknown(unknown: Collection[str], what: Load) -> None:
    """Raise BadInput if the archive has nothing at all in the range of a symbol that was chosen."""
    options = what.options
    if chosen := sorted(set(options.chosen).intersection(unknown)):
        raise BadInput(
            f"--symbol: {', '.join(chosen)}: {what.venue.hosts.archive} has no file of"
            f" {'it' if len(chosen) == 1 else 'them'} from {times.iso(options.from_ms)[:10]} to"
            f" {times.iso(options.to_ms or times.now_ms())[:10]}; accepted: symbols that were listed then"
        )

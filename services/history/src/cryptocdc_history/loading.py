"""Loads and proves the files of a range: the archive's host, Kafka, PostgreSQL and Cassandra together."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg2
from psycopg2.extensions import connection as Connection

from cryptocdc_adapters.exchange.archive_host import ArchiveHost, ArchiveUnavailable
from cryptocdc_adapters.postgres.connections import connect
from cryptocdc_adapters.postgres.history_files import HistoryFile, HistoryFiles
from cryptocdc_core.catalogue import by_table
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.time import times
from cryptocdc_exchanges.port import Archive, Series, Venue
from cryptocdc_producer.archive.load import DISK_BYTES, DiskFull, Item, Loading
from cryptocdc_producer.archive.load import Progress as LoadProgress
from cryptocdc_producer.archive.plan import Days, Retained, days, gaps
from cryptocdc_producer.archive.sending import Sender, SendError
from cryptocdc_producer.archive.survey import Survey, estimated_rows, survey
from cryptocdc_verifier.archived import prove, wait_for_consumers
from cryptocdc_verifier.comparing.cassandra import CassandraSide
from cryptocdc_verifier.target import Target

PROVEN_AT_ONCE = DISK_BYTES // 2
"""Bytes of loaded files after which they are proven: consumers work on while more files are loaded."""


@dataclass(frozen=True)
class Options:
    from_ms: int
    to_ms: int
    series: Sequence[Series]
    folder: Path
    accept_mismatch: bool = False
    only_plan: bool = False
    refuse_unknown: bool = True
    """Whether a symbol without any file in the range is refused; else it is left out."""


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
    """What became of the files of a range."""

    load: Load
    days: dict[str, Days]
    """By table."""
    survey: Survey
    only_plan: bool = False
    estimated: int = 0

    @property
    def missing(self) -> list[HistoryFile]:
        """The files that the archive lacks between others."""
        return list(gaps(self.survey.records))

    @property
    def failed(self) -> list[HistoryFile]:
        return [it for it in self.survey.records if it.state not in ("proven", "absent")]

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
            "to": times.iso(self.load.options.to_ms),
            "files": dict(sorted(states.items())),
            "bytes": sum(max(0, it.bytes or 0) for it in self.survey.records if it.state != "absent"),
            "rows": self.estimated if self.only_plan else sum(it.rows or 0 for it in self.survey.records),
            "complete": self.complete,
            "missing": [it.path for it in self.missing],
            "failed": {it.path: it.reason for it in self.failed} if not self.only_plan else {},
            "not_loaded_days": {
                table: {"expired": it.expired, "recent": it.recent, "kept": it.kept} for table, it in self.days.items()
            },
        }

    def text(self) -> str:
        states = Counter(it.state for it in self.survey.records)
        rows = sum(it.rows or 0 for it in self.survey.records if it.state == "proven")
        lines = [f"{it.path}: {it.state}: {it.reason}" for it in self.failed] if not self.only_plan else []
        lines += [f"{it.path}: missing: the archive has files before and after it" for it in self.missing]
        lines += self.notes()
        counts = ", ".join(f"{count:,} {state}" for state, count in sorted(states.items()))
        lines.append(f"{counts or 'no files'}" + (f"; {rows:,} rows proven in Cassandra" if rows else ""))
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
            if it.recent:
                found.append(
                    f"{table}: days not loaded: {it.recent:,}, within retention.postgres, {kept.postgres}: live"
                    " capture has them, and `cryptocdc backfill` fetches what is missing of them"
                )
            if it.kept:
                found.append(
                    f"{table}: days not loaded: {it.kept:,}, which PostgreSQL has not dropped yet, as it does once they"
                    " are proven; `cryptocdc backfill` fetches what is missing of them"
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


def load(what: Load, screen: Screen) -> Result:
    """Load what is not loaded, prove what is not proven. Raises BadInput, HistoryError, VerifyError, and errors of the
    servers' clients."""
    target, options, archive = what.target, what.options, what.venue.archive
    assert archive is not None
    stop = threading.Event()
    with closing(connect(target.postgres, "history", autocommit=True)) as connection, _alone(connection, target):
        records = _records(connection, target)
        host = ArchiveHost(what.venue.hosts.archive, stop)
        of_tables = _days(what, records)
        wanted = {series: of_tables[series.table].load for series in options.series}
        try:
            found = survey(archive, host, wanted, records.all(), screen.asked)
        except ArchiveUnavailable as error:
            raise HistoryError(f"archive: {error}", "spec.endpoints.archive names another host") from error
        result = Result(what, of_tables, found, options.only_plan, estimated_rows(archive, found.items))
        if options.refuse_unknown:
            _refuse_unknown(found, what)
        screen.planned(result)
        if options.only_plan:
            return result
        records.plan(found.records)
        if found.items:
            try:
                _run(what, archive, host, records, found.items, screen, stop)
            except (DiskFull, OSError, SendError) as error:
                raise HistoryError(f"{error}", "the same command goes on from here") from error
        return result


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
        table: days(options.from_ms, options.to_ms, retained, records.days_kept(table))
        for table in dict.fromkeys(series.table for series in options.series)
    }


def _refuse_unknown(found: Survey, what: Load) -> None:
    """Raise BadInput if the archive has nothing at all of a symbol in the range."""
    there = {it.symbol for it in found.records if it.state != "absent"}
    asked = {it.symbol for it in found.records}
    if unknown := sorted(asked - there):
        options = what.options
        raise BadInput(
            f"--symbol: {', '.join(unknown)}: {what.venue.hosts.archive} has no file of"
            f" {'it' if len(unknown) == 1 else 'them'} from {times.iso(options.from_ms)[:10]} to"
            f" {times.iso(options.to_ms)[:10]}; accepted: symbols that were listed then"
        )

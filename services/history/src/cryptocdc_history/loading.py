"""Loads and proves the files of a range, and fetches the days after them over REST: the archive's host, the exchange,
Kafka, PostgreSQL and Cassandra together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

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
from cryptocdc_exchanges.port import Archive
from cryptocdc_history.recent import Part, Recent
from cryptocdc_history.result import Load, Result
from cryptocdc_producer.archive.load import DISK_BYTES, DiskFull, Item, Loading
from cryptocdc_producer.archive.load import Progress as LoadProgress
from cryptocdc_producer.archive.plan import REST_DAYS, Days, Retained, days
from cryptocdc_producer.archive.sending import Sender, SendError
from cryptocdc_producer.archive.survey import estimated_rows, survey
from cryptocdc_producer.rest.ranges import Ranges, UnwrittenError
from cryptocdc_verifier.archived import prove, wait_for_consumers
from cryptocdc_verifier.comparing.cassandra import CassandraSide
from cryptocdc_verifier.target import Target

PROVEN_AT_ONCE = DISK_BYTES // 2
"""Bytes of loaded files after which they are proven: consumers work on while more files are loaded."""


class HistoryError(RuntimeError):
    """Loading can't go on: the message says why, `remedy` what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        self.message, self.remedy = message, remedy
        super().__init__(f"{message}; {remedy}")


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

"""Wires an export: once over a time range, or following the proofs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import psycopg2
from cassandra import DriverException, InvalidRequest
from cassandra.cluster import NoHostAvailable
from psycopg2.extensions import connection as Connection

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_adapters.cassandra.raw_rows import RawTables
from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_adapters.postgres.history_files import archived_days
from cryptocdc_adapters.postgres.proofs import dropped_days, proofs_of
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.storage.windows import Window
from cryptocdc_core.time.times import iso, now_ms
from cryptocdc_exporter.destination import Destination, refuse_others
from cryptocdc_exporter.export import Counts, Request, Stopped, Stored, StreamExport
from cryptocdc_exporter.proven import HOUR_MS, Proven
from cryptocdc_exporter.target import Range, Target

log = logging.getLogger("cryptocdc.exporter")

PAGE_ROWS = 4_000
PAUSE_S = 20.0
"""Between two passes of a follower: as often as the verifier proves."""
_AGAIN_S = 5.0

Say = Callable[[str, int], None]
"""Called with the table and the number of its rows read so far."""


class ExportError(RuntimeError):
    """A server does not answer or lacks the feed's tables; the message says which."""


@dataclass
class _Exports:
    """The open connections."""

    target: Target
    proofs: Connection
    streams: Sequence[StreamExport]

    def proven(self, stream: Stream) -> Proven:
        names, computed = self.target.names, stream.computed_from is not None
        return Proven(
            proofs_of(self.proofs, names, stream),
            () if computed else dropped_days(self.proofs, names, stream),
            computed,
            self.target.closing_ms(stream),
            # After the dropped days: a day from an archive becomes one of them only once its files are planned.
            {} if computed else archived_days(self.proofs, names, stream),
        )

    def window(self, stored: Stored, wanted: Range, end: int) -> Window | None:
        """Return the hours of `wanted`, up to `end` if it has none, that can have rows; None if there are none."""
        if stored.extent is None:
            return None
        # An hour of which rows may have expired would be incomplete.
        least = -(-self.target.least_ms(now_ms()) // HOUR_MS) * HOUR_MS
        start, end = wanted.start or 0, end if wanted.end is None else wanted.end
        window = Window(max(least, start - start % HOUR_MS), -(-end // HOUR_MS) * HOUR_MS)
        return window.meet(stored.extent)


def export_range(
    target: Target,
    streams: Sequence[Stream],
    wanted: Range,
    request: Request,
    destination: Destination,
    say: Say,
    stop: threading.Event,
) -> dict[str, Counts]:
    """Export the hours of a range and return what was written, by table. An hour counts as in the range if a part of it
    does. Raises BadInput before anything is written; Stopped, OSError, ExportError."""
    refuse_others(destination, streams, request.feed, request.source)
    with _connected(target, streams, request, destination, say, stop) as exports:
        work = []
        found = {export.stream.table: export.stored() for export in exports.streams}
        _refuse_unknown(request.symbols, found.values())
        for export in exports.streams:
            stored, proven = found[export.stream.table], exports.proven(export.stream)
            window = exports.window(stored, wanted, now_ms() if request.unproven else proven.through())
            if window is not None:
                work.append((export, window, proven, stored))
        if not work:
            raise BadInput(_nothing(target, found.values(), wanted))
        if not request.unproven:
            for export, window, proven, stored in work:
                export.refuse_unproven(window, proven, stored)
        for export, window, proven, stored in work:
            export.run(window, proven, stored)
        return {export.stream.table: export.counts for export in exports.streams}


def follow(
    target: Target,
    streams: Sequence[Stream],
    start: int | None,
    request: Request,
    destination: Destination,
    say: Say,
    stop: threading.Event,
    passed: Callable[[dict[str, Counts]], None] = lambda _: None,
    away: Callable[[ExportError], None] = lambda error: log.warning("%s", error),
) -> None:
    """Export each hour once it is proven, until `stop` is set; reconnect to servers that were away.

    Raises BadInput, OSError. `passed` is called with all counts since the last connecting, after each pass; `away`
    with why a server does not answer.
    """
    refuse_others(destination, streams, request.feed, request.source)
    while not stop.is_set():
        try:
            with _connected(target, streams, request, destination, say, stop) as exports:
                through: dict[str, int] = {}
                while not stop.is_set():
                    for export in exports.streams:
                        _follow_stream(exports, export, start, through)
                    passed({export.stream.table: export.counts for export in exports.streams})
                    stop.wait(PAUSE_S)
        except Stopped:
            return
        except ExportError as error:
            away(error)
            stop.wait(_AGAIN_S)


def _follow_stream(exports: _Exports, export: StreamExport, start: int | None, passes: dict[str, int]) -> None:
    proven = exports.proven(export.stream)
    # The partitions are read again, which takes a while, only if there may be something to export.
    state = hash((tuple(proven.proofs), frozenset(proven.dropped), frozenset(proven.archived.items())))
    if passes.get(export.stream.table) == state and not export.counts.changed:
        return
    export.counts.changed.clear()
    stored = export.stored()
    window = exports.window(stored, Range(start), proven.through())
    if window is not None:
        export.run(window, proven, stored)
    passes[export.stream.table] = state
    export.counts.through = proven.through() or None


@contextmanager
def _connected(
    target: Target,
    streams: Sequence[Stream],
    request: Request,
    destination: Destination,
    say: Say,
    stop: threading.Event,
) -> Iterator[_Exports]:
    """Connect to both databases; exceptions of their clients inside the block become ExportError."""
    keyspace, rows = target.names.keyspace, dict.fromkeys((stream.table for stream in streams), 0)

    def counted(table: str, count: int) -> None:
        rows[table] += count
        say(table, rows[table])

    try:
        connection = postgres.connect(target.postgres, "exporter", autocommit=True)
        try:
            cluster, _ = cassandra.connect(target.cassandra)
            try:
                with ThreadPoolExecutor(1, "writer") as background:
                    tables = RawTables(cluster, keyspace, PAGE_ROWS)
                    exports = [
                        StreamExport(
                            stream, request, tables, destination, background,
                            partial(counted, stream.table), stop.is_set,
                        )
                        for stream in streams
                    ]  # fmt: skip
                    yield _Exports(target, connection, exports)
            finally:
                cluster.shutdown()
        finally:
            connection.close()
    except InvalidRequest as error:
        raise ExportError(f"Cassandra has no tables in {keyspace}: {error}; was the feed applied?") from error
    except (NoHostAvailable, DriverException) as error:
        raise ExportError(f"Cassandra: {error}") from error
    except psycopg2.errors.UndefinedTable as error:
        raise ExportError(f"PostgreSQL has no proofs in {keyspace}; was the feed applied?") from error
    except psycopg2.Error as error:
        raise ExportError(f"PostgreSQL: {' '.join(str(error).split())}") from error


def _refuse_unknown(symbols: Sequence[str], found: Collection[Stored]) -> None:
    stored = {symbol for one in found for symbol in one.symbols}
    unknown = [symbol for symbol in symbols if symbol not in stored]
    if unknown:
        accepted = ", ".join(sorted(stored)[:20]) or "none: there are no stored rows"
        raise BadInput(f"--symbol: {', '.join(unknown)} is not accepted; accepted: {accepted}")


def _nothing(target: Target, found: Collection[Stored], wanted: Range) -> str:
    extents = [one.extent for one in found if one.extent is not None]
    if not extents:
        keyspace = target.names.keyspace
        return f"--feed: {target.feed.name} has no stored rows in {keyspace}; accepted: a feed that has run"
    if wanted.start is None and wanted.end is None:
        return "--to: no whole hour is proven yet; accepted: --unproven, or wait for the verifier"
    now = now_ms()
    first = iso(max(min(extent.start for extent in extents), target.least_ms(now)))
    return f"--from, --to: there are no stored rows in this range; accepted: a range from {first} to {iso(now)}"

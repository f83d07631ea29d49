"""A feed's past in PostgreSQL: how far each file of the exchange's archive has come, and why not further, and each part
of the days after them that is fetched over REST."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Literal

from psycopg2.extensions import connection as Connection

from cryptocdc_core.catalogue import Stream, by_table
from cryptocdc_core.catalogue.streams import KLINES
from cryptocdc_core.names import Names, quoted
from cryptocdc_core.storage import ddl
from cryptocdc_core.storage.ddl import DAY_MS, DROPPED, GAPS, HISTORY, PAST

State = Literal["planned", "downloaded", "loaded", "proven", "quarantined", "absent"]
"""`absent`: the archive, or REST, does not have it. A file is `loaded` once Kafka has acknowledged all of its rows, a
part that is fetched over REST once all are committed to PostgreSQL."""

OVER_REST = "rest:"
"""How the path of a part begins that is fetched over REST: no path of an archive begins so."""


@dataclass
class HistoryFile:
    """A file, by its path below the archive's base URL. `kind`: of trades their kind, of klines the interval."""

    path: str
    table_name: str
    symbol: str
    kind: str
    start_ms: int
    end_ms: int
    state: State = "planned"
    reason: str = ""
    bytes: int | None = None
    checksum: str | None = None
    """The SHA-256 of what was read."""
    published: str | None = None
    """The SHA-256 that the archive published for it then."""
    read_ms: int | None = None
    """When the file was first read whole: its rows' `received_at`, and the date of their version."""
    rows: int | None = None
    repeated: int = 0
    missing: int = 0
    """Ids, or candles, between the file's first and last row that no row has."""
    holes: str = ""
    first_id: int | None = None
    last_id: int | None = None
    extra: int = 0
    """Rows of its time that Cassandra has and the file has not."""

    @property
    def over_rest(self) -> bool:
        return self.path.startswith(OVER_REST)


_COLUMNS = tuple(column.name for column in fields(HistoryFile))


@dataclass(frozen=True)
class Counts:
    """How far a feed's past is loaded. `files`: from the archive, by state; `rows`: of those that are loaded. `parts`:
    of the days after them, fetched over REST by what loads the archive, by state; `left_out`: those of which not all is
    fetched, for a reason that is recorded. `past_…`: the parts of the past with which symbols start, fetched over REST
    by producers."""

    files: Mapping[str, int] = field(default_factory=dict)
    rows: int = 0
    past_open: int = 0
    past_filled: int = 0
    parts: Mapping[str, int] = field(default_factory=dict)
    left_out: int = 0


def counts(connection: Connection, names: Names) -> Counts:
    """Raises psycopg2.Error. A feed whose tables do not exist yet has loaded nothing."""
    schema, files, rows = quoted(names.schema), {}, 0
    parts: dict[str, int] = {}
    left_out = 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s), to_regclass(%s)", (f"{schema}.{HISTORY}", f"{schema}.{GAPS}"))
        has_files, has_gaps = cursor.fetchone() or (None, None)
        if has_files is not None:
            cursor.execute(
                f"SELECT state, starts_with(path, %s), count(*), coalesce(sum(rows), 0),"  # noqa: S608
                f" count(*) FILTER (WHERE reason <> '') FROM {schema}.{HISTORY} GROUP BY 1, 2",
                (OVER_REST,),
            )
            for state, over_rest, count, of_state, reasons in cursor.fetchall():
                if over_rest:
                    parts[state] = int(count)
                    left_out += int(reasons) if state != "planned" else 0
                    continue
                files[state] = int(count)
                rows += int(of_state) if state in ("loaded", "proven") else 0
        gaps: dict[str, int] = {}
        if has_gaps is not None:
            cursor.execute(f"SELECT state, count(*) FROM {schema}.{GAPS} WHERE reason = %s GROUP BY state", (PAST,))  # noqa: S608
            gaps = {state: int(count) for state, count in cursor.fetchall()}
    return Counts(files, rows, gaps.get("open", 0), gaps.get("filled", 0), parts, left_out)


def archived_days(connection: Connection, names: Names, stream: Stream) -> dict[int, int | None]:
    """Return the days of a stream's files, by their starts in ms, with the time in ms at which the last of their files
    was read; None while one of them is still to be loaded or proven. Raises psycopg2.Error."""
    table = f"{quoted(names.schema)}.{HISTORY}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", (table,))
        if cursor.fetchone() == (None,):  # an earlier release applied the feed
            return {}
        cursor.execute(
            f"SELECT start_ms, end_ms, CASE state WHEN 'proven' THEN read_ms END FROM {table}"  # noqa: S608
            " WHERE table_name = %s AND state NOT IN ('quarantined', 'absent') AND NOT starts_with(path, %s)",
            (stream.table, OVER_REST),
        )
        found: dict[int, int | None] = {}
        for start, end, read_ms in cursor.fetchall():
            for day in range(start, end, DAY_MS):
                before = found.get(day, 0)
                found[day] = None if read_ms is None or before is None else max(before, read_ms)
        return found


class HistoryFiles:
    """A feed's files. Each call is a transaction of its own and raises psycopg2.Error."""

    def __init__(self, connection: Connection, names: Names) -> None:
        """`connection` is in autocommit mode. Creates the table where an earlier release applied the feed."""
        self._connection = connection
        self._schema = quoted(names.schema)
        self._names = names
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass(%s)", (f"{self._schema}.{HISTORY}",))
            if cursor.fetchone() == (None,):
                cursor.execute(ddl.history_table(names))

    def all(self) -> list[HistoryFile]:
        """Return the files, and the parts over REST, by table, symbol, kind and time."""
        with self._connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {', '.join(_COLUMNS)} FROM {self._schema}.{HISTORY}"  # noqa: S608
                " ORDER BY table_name, symbol, kind, start_ms, end_ms"
            )
            return [HistoryFile(*row) for row in cursor.fetchall()]

    def save(self, files: Iterable[HistoryFile]) -> None:
        """Insert or replace."""
        marks = ", ".join(f"%({name})s" for name in _COLUMNS)
        values = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS)
        with self._connection.cursor() as cursor:
            for file in files:
                cursor.execute(
                    f"INSERT INTO {self._schema}.{HISTORY} ({', '.join(_COLUMNS)}) VALUES ({marks})"  # noqa: S608
                    f" ON CONFLICT (path) DO UPDATE SET {values}, changed_at = now()",
                    asdict(file),
                )

    def plan(self, files: Sequence[HistoryFile]) -> None:
        """Save planned files, and forget those of the same time that were planned before and are not among them."""
        paths = [file.path for file in files]
        with self._connection.cursor() as cursor:
            for file in files:
                cursor.execute(
                    f"DELETE FROM {self._schema}.{HISTORY} WHERE (table_name, symbol, kind) = (%s, %s, %s)"  # noqa: S608
                    " AND start_ms < %s AND end_ms > %s AND state IN ('planned', 'absent') AND path <> ALL(%s)"
                    " AND NOT starts_with(path, %s)",
                    (file.table_name, file.symbol, file.kind, file.end_ms, file.start_ms, paths, OVER_REST),
                )
        self.save(files)

    def days_kept(self, table: str) -> set[int]:
        """Return the starts, in ms, of the days whose rows PostgreSQL has a partition for."""
        stream = by_table(table)
        with self._connection.cursor() as cursor:
            cursor.execute(
                "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid"
                " WHERE inhparent = to_regclass(%s)",
                (f"{self._schema}.{quoted(table)}",),
            )
            return {ddl.partition_day(stream, name) for (name,) in cursor.fetchall()}

    def first_stored(self, table: str, symbol: str, kind: str, from_ms: int) -> int | None:
        """Return the time, in ms, from which on capture has stored rows of a series, or is about to fetch the past with
        which the symbol starts: at or after `from_ms`. None if there is nothing."""
        stream = by_table(table)
        klines = stream.table == KLINES.table
        where, values = "symbol = %s", [symbol]
        if klines:
            where, values = f"{where} AND interval = %s AND closed", [symbol, kind]
        with self._connection.cursor() as cursor:
            cursor.execute(
                f"SELECT extract(epoch FROM {stream.time}) * 1000 FROM {self._schema}.{quoted(table)} WHERE {where}"  # noqa: S608
                f" AND {stream.time} >= timestamp 'epoch' + %s * interval '1 ms' ORDER BY {stream.time} LIMIT 1",
                (*values, from_ms),
            )
            first = [int(at) for (at,) in cursor.fetchall()]
            # The first of trades is a time, negated: see the table.
            cursor.execute(
                f"SELECT min(greatest(abs(first), %s)) FROM {self._schema}.{GAPS} WHERE table_name = %s AND symbol = %s"  # noqa: S608
                " AND interval = %s AND state = 'open' AND reason = %s AND (interval = '' OR last >= %s)",
                (from_ms, table, symbol, kind if klines else "", PAST, from_ms),
            )
            first += [int(at) for (at,) in cursor.fetchall() if at is not None]
        return min(first, default=None)

    def claim(self, file: HistoryFile) -> list[int]:
        """Record the days of a file as not kept in PostgreSQL, so that their rows in Cassandra don't count as extra.

        Returns the starts of those days for which PostgreSQL has a partition; if there are any, nothing is recorded.
        """
        days = range(file.start_ms, file.end_ms, DAY_MS)
        kept = sorted(self.days_kept(file.table_name).intersection(days))
        if kept:
            return kept
        self._mark(file.table_name, days)
        return []

    def _mark(self, table: str, days: Sequence[int]) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {self._schema}.{DROPPED} (table_name, day, rows)"  # noqa: S608
                " SELECT %s, to_timestamp(day / 1000.0) AT TIME ZONE 'utc', 0 FROM unnest(%s::bigint[]) AS day"
                " ON CONFLICT DO NOTHING",
                (table, list(days)),
            )

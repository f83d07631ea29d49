"""The writer thread: writes the intake's batches to PostgreSQL, one transaction each, retrying until committed."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from itertools import count

import psycopg2
from psycopg2.extensions import connection as Connection

from cryptocdc_adapters.postgres.connections import ANSWER_S, answering
from cryptocdc_adapters.postgres.copying import Upsert
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.names import Names, quoted
from cryptocdc_core.program.backoff import Backoff
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_core.rows.typed import Row
from cryptocdc_core.storage import ddl
from cryptocdc_producer.storage.intake import Data, Entry, GapEnd, GapWait, Intake
from cryptocdc_producer.streams.continuity import Gap

log = logging.getLogger(__name__)

_BACKOFF = Backoff(0.1, 10.0)
_LONGEST_PATIENCE_S = 600.0
"""How long a batch may take, at most, after earlier attempts were cut off: PostgreSQL may be merely slow."""
_OBSERVED = 20
"""Latencies observed per table and batch: enough for the distribution, and cheap at any rate."""
_AHEAD_EVERY_S = 3600.0
"""How often partitions are created in advance."""


class SetBackError(RuntimeError):
    """PostgreSQL no longer has what it had committed: a backup was restored, or a standby without it was promoted."""


class Writer:
    """Commits the intake's batches in order. A batch that PostgreSQL can't accept now is retried until it can."""

    def __init__(
        self,
        names: Names,
        streams: Sequence[Stream],
        intake: Intake,
        connect: Callable[[], Connection],
        metrics: ProducerMetrics,
        reject: Callable[[Row, str], None],
    ) -> None:
        """`reject` is given a row that PostgreSQL refuses for what it holds, and why."""
        self._names, self._streams = names, streams
        self._intake, self._connect, self._metrics = intake, connect, metrics
        self._reject = reject
        self._upserts = {stream.table: Upsert(names, stream) for stream in streams}
        self._gaps = f"{quoted(names.schema)}.{ddl.GAPS}"
        self._connection: Connection | None = None
        self._made: set[tuple[str, int]] = set()
        self._committed: Row | None = None
        """A row of the last batch: if PostgreSQL still has it, it has all earlier ones."""
        self._ahead_at = 0.0
        self._patience_s = ANSWER_S
        self.rounds = 0
        """Number of batches written and of polls that found nothing: it grows as long as the writer makes progress."""
        self.failed = False
        """Whether it has ended without writing everything, for the reason that is logged."""
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self, timeout_s: float | None) -> bool:
        """Write what is left after the intake was closed. Returns False if `timeout_s` was too short; None: no
        limit."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._intake.done:
                self._keep(self._intake.take(timeout_s=1.0))
                self.rounds += 1
        except Exception:
            self.failed = True
            log.exception("the writer has failed")
        finally:
            self._disconnect()

    def _keep(self, batch: list[Entry]) -> None:
        """Write the batch, retrying as long as PostgreSQL can't accept it. Refused entries are set aside."""
        for attempt in count(1):
            try:
                self._divide(batch)
            except psycopg2.Error as error:
                self._disconnect()
                self._metrics.write_retries.inc()
                delay = _BACKOFF.after(attempt)
                log.warning("PostgreSQL did not accept a batch, retrying in %.1f s: %s", delay, str(error).strip())
                time.sleep(delay * random.uniform(0.5, 1.0))
                self._patience_s = min(self._patience_s * 2, _LONGEST_PATIENCE_S)
            else:
                self._patience_s = ANSWER_S
                return

    def _divide(self, batch: list[Entry]) -> None:
        """Write the batch in one transaction; if it is refused, halve it, in order, until the refused entry is
        isolated."""
        try:
            self._commit(batch)
        except (psycopg2.Error, ValueError) as error:
            if not _is_of_the_row(error):
                raise
            if len(batch) > 1:
                middle = len(batch) // 2
                self._divide(batch[:middle])
                self._divide(batch[middle:])
                return
            entry = batch[0]
            if isinstance(entry, Data):
                self._reject(entry.row, str(error).strip())
            else:
                log.error("PostgreSQL refuses %s: %s", entry, str(error).strip())

    def _commit(self, batch: list[Entry]) -> None:
        """Write in one transaction. Raises psycopg2.Error, or ValueError for a row that can't be encoded as text."""
        rows: dict[str, list[Row]] = {}
        for entry in batch:
            if isinstance(entry, Data):
                rows.setdefault(entry.row.stream.table, []).append(entry.row)
        connection = self._connected()
        began = time.monotonic()
        with answering(connection, self._patience_s):
            self._prepare(connection, rows)
            if not batch:
                return
            began = time.monotonic()
            try:
                self._write(connection, batch, rows)
            except psycopg2.errors.CheckViolation:
                # Retention dropped a partition that this writer had created: create it again, once.
                self._made.clear()
                self._prepare(connection, rows)
                self._write(connection, batch, rows)
        self._committed = next((of_table[-1] for of_table in rows.values()), self._committed)
        self._count(batch, rows, time.monotonic() - began)

    def _write(self, connection: Connection, batch: list[Entry], rows: dict[str, list[Row]]) -> None:
        with connection, connection.cursor() as cursor:
            for entry in batch:
                if isinstance(entry, Gap):
                    cursor.execute(
                        f"INSERT INTO {self._gaps} (table_name, symbol, interval, first, last, reason)"  # noqa: S608
                        " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                        entry,
                    )
            for table, of_table in rows.items():
                self._upserts[table].write(cursor, of_table)
            for entry in batch:
                if isinstance(entry, GapEnd):
                    cursor.execute(
                        f"UPDATE {self._gaps} SET state = %s, reason = %s, ended_at = now()"  # noqa: S608
                        " WHERE (table_name, symbol, interval, first, last) = (%s, %s, %s, %s, %s)",
                        (entry.state, entry.reason or entry.gap.reason, *entry.gap[:5]),
                    )
                elif isinstance(entry, GapWait):
                    cursor.execute(
                        f"UPDATE {self._gaps} SET reason = %s WHERE state = 'open'"  # noqa: S608
                        " AND (table_name, symbol, interval, first, last) = (%s, %s, %s, %s, %s)",
                        (entry.reason, *entry.gap[:5]),
                    )

    def _prepare(self, connection: Connection, rows: dict[str, list[Row]]) -> None:
        """Create the partitions that the rows need, and those of today and tomorrow in advance."""
        wanted = {(table, day) for table, of_table in rows.items() for day in self._upserts[table].days(of_table)}
        if time.monotonic() >= self._ahead_at:
            today = int(time.time() * 1000) // ddl.DAY_MS * ddl.DAY_MS
            wanted |= {(stream.table, day) for stream in self._streams for day in (today, today + ddl.DAY_MS)}
            self._ahead_at = time.monotonic() + _AHEAD_EVERY_S
        missing = sorted(wanted - self._made)
        if not missing:
            return
        streams = {stream.table: stream for stream in self._streams}
        for table, day in missing:
            # One transaction each: creating one locks its whole table, and two such locks held at once are a deadlock
            # with anyone who reads or writes several tables.
            with connection, connection.cursor() as cursor:
                # Producers that create the same one concurrently would fail in spite of IF NOT EXISTS.
                cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"{self._names.schema}-partitions",))
                cursor.execute(ddl.postgres_partition(self._names, streams[table], day))
            self._made.add((table, day))

    def _count(self, batch: list[Entry], rows: dict[str, list[Row]], took_s: float) -> None:
        self._metrics.commits.inc()
        self._metrics.commit_seconds.observe(took_s)
        for table, of_table in rows.items():
            self._metrics.rows.labels(table).inc(len(of_table))
        now_ms = time.time() * 1000
        for entry in batch[:: max(1, len(batch) // _OBSERVED)]:
            if isinstance(entry, Data) and entry.live:
                stream = entry.row.stream
                event_ms = getattr(entry.row, stream.event)
                self._metrics.event_seconds.labels(stream.table).observe(max(0.0, now_ms - event_ms) / 1000)

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = self._connect()
            if self._committed is not None and not self._has(self._connection, self._committed):
                raise SetBackError(
                    f"PostgreSQL has lost committed rows, such as {self._committed}: capture starts again"
                )
        return self._connection

    def _has(self, connection: Connection, row: Row) -> bool:
        """Return whether a row, in its version or a newer one, is stored."""
        stream = row.stream
        query = (
            f"SELECT EXISTS (SELECT FROM {quoted(self._names.schema)}.{quoted(stream.table)} WHERE symbol = %s"  # noqa: S608
            f" AND {quoted(stream.time)} = timestamp 'epoch' + %s * interval '1 ms' AND version >= %s)"
        )
        with answering(connection), connection, connection.cursor() as cursor:
            cursor.execute(query, (row.symbol, getattr(row, stream.time), row.version))
            return cursor.fetchone() == (True,)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _is_of_the_row(error: psycopg2.Error | ValueError) -> bool:
    """Whether the row's values are at fault: data exceptions (22), constraints (23), exceeded limits (54)."""
    return isinstance(error, ValueError) or (error.pgcode or "")[:2] in ("22", "23", "54")

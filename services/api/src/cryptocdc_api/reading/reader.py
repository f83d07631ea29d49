"""Reads Cassandra without blocking the event loop. Every statement names its partition."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cassandra import DriverException
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, NoHostAvailable, Session
from cassandra.connection import ConnectionException
from cassandra.query import PreparedStatement, tuple_factory

from cryptocdc_adapters.cassandra.audited import one_key, one_statement, written
from cryptocdc_adapters.cassandra.sessions import LOST_S, connect
from cryptocdc_api.reading.paging import Position, Read, Row
from cryptocdc_api.reading.tables import Table
from cryptocdc_api.refusals import Unavailable
from cryptocdc_core.catalogue import COMPUTED, SHARD, STREAMS, Derived, Stream
from cryptocdc_core.names import quoted
from cryptocdc_core.program.metrics import ApiMetrics
from cryptocdc_core.program.settings import CassandraSettings
from cryptocdc_core.rows.hops import Written

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0
AT_ONCE = 32
"""Maximum number of reads in flight."""
FAILURES = (NoHostAvailable, DriverException, ConnectionException)


class Reader:
    """Reads raise Unavailable until `keep_connecting` has connected, and whenever Cassandra does not respond."""

    def __init__(
        self, settings: CassandraSettings, keyspace: str, tables: Sequence[Table], whole: Sequence[Derived],
        metrics: ApiMetrics,
    ) -> None:  # fmt: skip
        self._settings, self._keyspace, self._metrics = settings, keyspace, metrics
        self._tables, self._whole = tables, whole
        self._streams = {stream.table: stream for stream in (*STREAMS.values(), *COMPUTED.values())}
        self._cluster: Cluster | None = None
        self._session: Session | None = None
        self._profile: Any = None
        self._statements: dict[tuple[str, bool], PreparedStatement] = {}
        self._ones: dict[str, PreparedStatement] = {}
        self._unanswered_since: float | None = None
        """When every node had failed to respond for the first time since the last successful read."""
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._probe: asyncio.Task[bool] | None = None

    def keep_connecting(self, stop: threading.Event, turned: Callable[[], None]) -> None:
        """Connect once the feed's tables exist, and again after all nodes were lost. Needs its own thread; `turned` is
        called in every round, whether or not Cassandra responds."""
        logged = ""
        while not stop.is_set():
            turned()
            if self._session is None or self._lost:
                try:
                    self._connect()
                    log.info("reading keyspace %s", self._keyspace)
                    logged = ""
                except FAILURES as error:
                    if str(error) != logged:
                        logged = str(error)
                        log.warning("Cassandra: %s", logged)
            stop.wait(1)

    @property
    def _lost(self) -> bool:
        return self._unanswered_since is not None and time.monotonic() - self._unanswered_since > LOST_S

    def _connect(self) -> None:
        """Connect; an existing session is used until the new one is ready."""
        cluster, session = connect(self._settings)
        statements: dict[tuple[str, bool], PreparedStatement] = {}
        ones: dict[str, PreparedStatement] = {}
        try:
            session.default_fetch_size = None  # every result is bounded by a limit
            for table in self._tables:
                for newest_first in (True, False):
                    statements[table.name, newest_first] = session.prepare(
                        range_statement(self._keyspace, table, newest_first)
                    )
                if table.name in self._streams:
                    ones[table.name] = session.prepare(one_statement(self._keyspace, self._streams[table.name]))
            for derived in self._whole:
                statements[derived.table, True] = session.prepare(whole_statement(self._keyspace, derived))
        except BaseException:
            cluster.shutdown()
            raise
        self._profile = session.execution_profile_clone_update(EXEC_PROFILE_DEFAULT, row_factory=tuple_factory)
        before, self._unanswered_since = self._cluster, None
        self._statements, self._ones = statements, ones
        self._cluster, self._session = cluster, session
        if before is not None:
            before.shutdown()

    def of(self, table: Table, prefix: Sequence[Any], newest_first: bool) -> Read:
        """Return the function with which `paging` reads partitions; `prefix` are the values of `table.partition`."""

        async def read(bucket: int, low: Position, high: Position, limit: int) -> list[Row]:
            values = (*prefix, bucket, *low, *high, limit)
            return await self._rows(table.name, self._statements.get((table.name, newest_first)), values)

        return read

    async def whole(self, derived: Derived) -> list[Row]:
        """Return all rows of a table that has one partition and a row per symbol."""
        return await self._rows(derived.table, self._statements.get((derived.table, True)), (SHARD,))

    async def one(self, stream: Stream, key: Mapping[str, Any]) -> Written | None:
        """Return the row with that key, including its audit column; None if there is none."""
        bucket_ms = stream.bucket_start(key)
        where = {**key, stream.bucket_column: bucket_ms}
        values = [where[name] for name in one_key(stream)]
        found = await self._rows(stream.table, self._ones.get(stream.table), values)
        return written(stream, f"{self._keyspace}.{stream.table}", bucket_ms, found[0]) if found else None

    async def _rows(self, table: str, statement: PreparedStatement | None, values: Sequence[Any]) -> list[Row]:
        if self._session is None or statement is None:
            raise Unavailable("Cassandra can't be reached, or has no tables of this feed yet")
        loop = asyncio.get_running_loop()
        async with self._slots:
            result: asyncio.Future[list[Row]] = loop.create_future()

            def settle(rows: list[Row] | None, error: BaseException | None) -> None:
                if result.done():  # the request was cancelled
                    return
                if error is not None:
                    result.set_exception(error)
                else:
                    result.set_result(rows or [])

            began = time.monotonic()
            try:
                response = self._session.execute_async(
                    statement, values, timeout=TIMEOUT_S, execution_profile=self._profile
                )
                response.add_callbacks(
                    lambda rows: loop.call_soon_threadsafe(settle, rows, None),
                    lambda error: loop.call_soon_threadsafe(settle, None, error),
                )
                rows = await result
            except FAILURES as error:
                if self._unanswered_since is None and isinstance(error, NoHostAvailable):
                    self._unanswered_since = time.monotonic()
                self._metrics.read_errors.labels(table).inc()
                raise Unavailable(f"Cassandra: {type(error).__name__}") from error
            else:
                self._unanswered_since = None
                return rows
            finally:
                self._metrics.read_seconds.labels(table).observe(time.monotonic() - began)

    async def answers(self) -> bool:
        """Return whether Cassandra can be read now. Concurrent callers share one read."""
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._answers())
        return await asyncio.shield(self._probe)

    async def _answers(self) -> bool:
        """Read a partition that is empty."""
        table = self._tables[0]
        nowhere = (0,) * len(table.clustering)
        try:
            await self.of(table, [""] * len(table.partition), True)(0, nowhere, nowhere, 1)
        except Unavailable:
            return False
        return True

    def close(self) -> None:
        if self._cluster is not None:
            self._cluster.shutdown()


def range_statement(keyspace: str, table: Table, newest_first: bool) -> str:
    """Return the CQL that selects a partition's rows between two positions. Its values: those of the partition, of the
    positions, and the limit."""
    columns = ", ".join(table.computed.get(column.name, quoted(column.name)) for column in table.columns)
    equal = " AND ".join(f"{quoted(name)} = ?" for name in (*table.partition, table.bucket_column))
    where = f"({', '.join(map(quoted, table.clustering))})"
    marks = f"({', '.join('?' * len(table.clustering))})"
    first, *_ = table.clustering
    # Cassandra can only reverse a partition's order as a whole; the first clustering column determines the direction.
    order = f"{quoted(first)} {'DESC' if newest_first else 'ASC'}"
    return (
        f"SELECT {columns} FROM {quoted(keyspace)}.{quoted(table.stored or table.name)}"  # noqa: S608 - quoted
        f" WHERE {equal} AND {where} > {marks} AND {where} < {marks} ORDER BY {order} LIMIT ?"
    )


def whole_statement(keyspace: str, derived: Derived) -> str:
    columns = ", ".join(quoted(column.name) for column in derived.columns)
    return f'SELECT {columns} FROM {quoted(keyspace)}.{quoted(derived.table)} WHERE "shard" = ?'  # noqa: S608 - quoted

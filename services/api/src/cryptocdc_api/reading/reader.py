"""Cassandra, read without holding up the event loop. Every statement names its partition."""

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

from cryptocdc_adapters.audited import one_key, one_statement, written
from cryptocdc_adapters.cassandra import LOST_S, connect
from cryptocdc_api.reading.paging import Position, Read, Row
from cryptocdc_api.reading.tables import Table
from cryptocdc_api.refusals import Unavailable
from cryptocdc_core.catalogue import STREAMS, Derived, Stream
from cryptocdc_core.hops import Written
from cryptocdc_core.metrics import ApiMetrics
from cryptocdc_core.names import quoted
from cryptocdc_core.settings import CassandraSettings

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0
AT_ONCE = 32
"""Reads in flight."""
SHARD = 0
FAILURES = (NoHostAvailable, DriverException, ConnectionException)


class Reader:
    """`connect` until it has succeeded; reads raise Unavailable before, and whenever Cassandra does not answer."""

    def __init__(
        self, settings: CassandraSettings, keyspace: str, tables: Sequence[Table], whole: Sequence[Derived],
        metrics: ApiMetrics,
    ) -> None:  # fmt: skip
        self._settings, self._keyspace, self._metrics = settings, keyspace, metrics
        self._tables, self._whole = tables, whole
        self._streams = {stream.table: stream for stream in STREAMS.values()}
        self._cluster: Cluster | None = None
        self._session: Session | None = None
        self._profile: Any = None
        self._statements: dict[tuple[str, bool], PreparedStatement] = {}
        self._ones: dict[str, PreparedStatement] = {}
        self._alone_since: float | None = None
        """Since when no node has answered."""
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._asking: asyncio.Task[bool] | None = None

    def keep_connecting(self, stop: threading.Event, turned: Callable[[], None]) -> None:
        """For a thread of its own: connects once the feed's tables are there, and anew after all nodes were lost;
        `turned` is called each round, Cassandra answering or not."""
        told = ""
        while not stop.is_set():
            turned()
            if self._session is None or self._lost:
                try:
                    self._connect()
                    log.info("reading keyspace %s", self._keyspace)
                    told = ""
                except FAILURES as error:
                    if str(error) != told:
                        told = str(error)
                        log.warning("Cassandra: %s", told)
            stop.wait(1)

    @property
    def _lost(self) -> bool:
        return self._alone_since is not None and time.monotonic() - self._alone_since > LOST_S

    def _connect(self) -> None:
        """What was connected before serves until there is another."""
        cluster, session = connect(self._settings)
        statements: dict[tuple[str, bool], PreparedStatement] = {}
        ones: dict[str, PreparedStatement] = {}
        try:
            session.default_fetch_size = None  # limits bound every answer
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
        before, self._alone_since = self._cluster, None
        self._statements, self._ones = statements, ones
        self._cluster, self._session = cluster, session
        if before is not None:
            before.shutdown()

    def of(self, table: Table, prefix: Sequence[Any], newest_first: bool) -> Read:
        """What `paging` reads partitions with; `prefix` are the values of `table.partition`."""

        async def read(bucket: int, low: Position, high: Position, limit: int) -> list[Row]:
            values = (*prefix, bucket, *low, *high, limit)
            return await self._rows(table.name, self._statements.get((table.name, newest_first)), values)

        return read

    async def whole(self, derived: Derived) -> list[Row]:
        """All of a table that is one partition, a row each symbol."""
        return await self._rows(derived.table, self._statements.get((derived.table, True)), (SHARD,))

    async def one(self, stream: Stream, key: Mapping[str, Any]) -> Written | None:
        """The row of that key with its audit; None when there is none."""
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
            answer: asyncio.Future[list[Row]] = loop.create_future()

            def settle(rows: list[Row] | None, error: BaseException | None) -> None:
                if answer.done():  # whoever asked is gone
                    return
                if error is not None:
                    answer.set_exception(error)
                else:
                    answer.set_result(rows or [])

            began = time.monotonic()
            try:
                asked = self._session.execute_async(
                    statement, values, timeout=TIMEOUT_S, execution_profile=self._profile
                )
                asked.add_callbacks(
                    lambda rows: loop.call_soon_threadsafe(settle, rows, None),
                    lambda error: loop.call_soon_threadsafe(settle, None, error),
                )
                rows = await answer
            except FAILURES as error:
                if self._alone_since is None and isinstance(error, NoHostAvailable):
                    self._alone_since = time.monotonic()
                self._metrics.read_errors.labels(table).inc()
                raise Unavailable(f"Cassandra: {type(error).__name__}") from error
            else:
                self._alone_since = None
                return rows
            finally:
                self._metrics.read_seconds.labels(table).observe(time.monotonic() - began)

    async def answers(self) -> bool:
        """Whether Cassandra can be read now. All who ask at the same time share one read, however many they are."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._answers())
        return await asyncio.shield(self._asking)

    async def _answers(self) -> bool:
        """One partition is read that is empty."""
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
    """Rows of one partition between two positions: their values follow those of the partition; then the limit."""
    columns = ", ".join(table.computed.get(column.name, quoted(column.name)) for column in table.columns)
    equal = " AND ".join(f"{quoted(name)} = ?" for name in (*table.partition, table.bucket_column))
    where = f"({', '.join(map(quoted, table.clustering))})"
    marks = f"({', '.join('?' * len(table.clustering))})"
    first, *_ = table.clustering
    # Cassandra sorts a partition one way or the exact other; a table's first clustering column tells which.
    order = f"{quoted(first)} {'DESC' if newest_first else 'ASC'}"
    return (
        f"SELECT {columns} FROM {quoted(keyspace)}.{quoted(table.stored or table.name)}"  # noqa: S608 - quoted
        f" WHERE {equal} AND {where} > {marks} AND {where} < {marks} ORDER BY {order} LIMIT ?"
    )


def whole_statement(keyspace: str, derived: Derived) -> str:
    columns = ", ".join(quoted(column.name) for column in derived.columns)
    return f'SELECT {columns} FROM {quoted(keyspace)}.{quoted(derived.table)} WHERE "shard" = ?'  # noqa: S608 - quoted

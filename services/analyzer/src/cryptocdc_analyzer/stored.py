"""Reads stored trades, and rows that were computed of them, from Cassandra."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from cassandra import ConsistencyLevel
from cassandra.cluster import Cluster, Session
from cassandra.query import SimpleStatement

from cryptocdc_adapters.cassandra.sessions import connect
from cryptocdc_analyzer.books import StoredBook
from cryptocdc_analyzer.models.history import Past
from cryptocdc_analyzer.windows.bars import Trade
from cryptocdc_analyzer.windows.series import Span
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.catalogue.computed import BARS, BOOK_METRICS, VOLATILITY
from cryptocdc_core.catalogue.streams import ORDER_BOOK, RECENT_TRADES
from cryptocdc_core.names import quoted
from cryptocdc_core.program.settings import CassandraSettings
from cryptocdc_core.time.times import millis

IN_FLIGHT = 8
PAGE_ROWS = 2_000
Range = tuple[tuple[str, ...], int, int]
"""The columns of the partition key before the bucket, and [start, end) in milliseconds."""

COLUMNS = {
    RECENT_TRADES: ("trade_time", "trade_id", "price", "quantity", "buyer_is_maker", "received_at"),
    ORDER_BOOK: (
        "bucket_time", "bid_prices", "bid_quantities", "ask_prices", "ask_quantities", "event_time", "received_at",
        "version",
    ),
    BARS: ("open_time", "open", "close", "volume", "trade_count", "event_time", "received_at"),
    VOLATILITY: ("open_time", "realized", "trade_count"),
    BOOK_METRICS: ("bucket_time", "spread", "event_time", "received_at", "version"),
}  # fmt: skip
"""What is read of each table."""


class StoredRows:
    """The connection is made at the first reading, and again after a failure."""

    def __init__(self, settings: CassandraSettings, keyspace: str) -> None:
        self._settings = settings
        self._keyspace = keyspace
        self._cluster: Cluster | None = None
        self._session: Session | None = None
        self._statements: dict[str, Any] = {}

    def trades(self, spans: Iterable[Span]) -> Iterator[list[Trade]]:
        """Yield the stored trades of time ranges, a page at a time, so that a long range does not need memory for all
        of them. Raises the driver's exceptions."""
        ranges = (((span.symbol,), span.start_ms, span.end_ms) for span in spans)
        for (symbol,), rows in self._read(RECENT_TRADES, ranges):
            yield _trades(symbol, rows)

    def books(self, spans: Iterable[Span]) -> Iterator[list[StoredBook]]:
        """Yield the stored order books of time ranges, a page at a time. Raises the driver's exceptions."""
        ranges = (((span.symbol,), span.start_ms, span.end_ms) for span in spans)
        for (symbol,), rows in self._read(ORDER_BOOK, ranges):
            yield _books(symbol, rows)

    def partitions(self, stream: Stream) -> Iterator[tuple[str, int]]:
        """Yield the symbol and the start of the bucket, in milliseconds, of each of Cassandra's partitions of
        RECENT_TRADES or ORDER_BOOK. Raises the driver's exceptions."""
        session = self._session or self._connect()
        query = SimpleStatement(
            f"SELECT DISTINCT symbol, {quoted(stream.bucket_column)}"  # noqa: S608
            f" FROM {quoted(self._keyspace)}.{quoted(stream.table)}",
            consistency_level=ConsistencyLevel.LOCAL_QUORUM,
            fetch_size=PAGE_ROWS,
        )
        for symbol, bucket in session.execute(query):
            yield symbol, millis(bucket)

    def windows(self, stream: Stream, past: Past) -> Iterator[list[Any]]:
        """Yield the rows of a computed table in a range of windows, a page at a time. Raises the driver's
        exceptions."""
        prefix = (past.symbol, past.interval)[: len(stream.partition)]
        for _, rows in self._read(stream, [(prefix, past.start_ms, past.end_ms)]):
            yield rows

    def close(self) -> None:
        if self._cluster is not None:
            self._cluster.shutdown()
        self._cluster = self._session = None

    def _read(self, stream: Stream, ranges: Iterable[Range]) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
        try:
            session = self._session or self._connect()
            waiting: deque[tuple[tuple[str, ...], Any]] = deque()
            for prefix, bucket, start, end in _parts(stream, ranges):
                bound = (*prefix, bucket, start, end)
                waiting.append((prefix, session.execute_async(self._statement(session, stream), bound)))
                if len(waiting) >= IN_FLIGHT:
                    yield from _pages(*waiting.popleft())
            for prefix, future in waiting:
                yield from _pages(prefix, future)
        except Exception:
            self.close()
            raise

    def _connect(self) -> Session:
        self._cluster, session = connect(self._settings)
        self._statements.clear()
        self._session = session
        return session

    def _statement(self, session: Session, stream: Stream) -> Any:
        if stream.table in self._statements:
            return self._statements[stream.table]
        equal = " AND ".join(f"{quoted(name)} = ?" for name in (*stream.partition, stream.bucket_column))
        time = quoted(stream.time)
        statement = session.prepare(
            f"SELECT {', '.join(map(quoted, COLUMNS[stream]))}"  # noqa: S608
            f" FROM {quoted(self._keyspace)}.{quoted(stream.table)} WHERE {equal} AND {time} >= ? AND {time} < ?"
            # Ascending ids are appended to those that are known.
            f" ORDER BY {', '.join(f'{quoted(name)} ASC' for name in stream.clustering)}"
        )
        # A quorum sees what a quorum acknowledged.
        statement.consistency_level = ConsistencyLevel.LOCAL_QUORUM
        statement.fetch_size = PAGE_ROWS
        self._statements[stream.table] = statement
        return statement


def _parts(stream: Stream, ranges: Iterable[Range]) -> Iterator[tuple[tuple[str, ...], int, int, int]]:
    """Yield (prefix, bucket, start, end) for each of Cassandra's partitions in the ranges, times in milliseconds."""
    for prefix, start_ms, end_ms in ranges:
        start = stream.bucket.floor(start_ms)
        while start < end_ms:
            yield prefix, start, start_ms, end_ms
            start = stream.bucket.next(start)


def _pages(prefix: tuple[str, ...], future: Any) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    answer = future.result()
    yield prefix, answer.current_rows
    while answer.has_more_pages:
        answer.fetch_next_page()
        yield prefix, answer.current_rows


def _trades(symbol: str, rows: Iterable[Any]) -> list[Trade]:
    return [
        Trade(
            symbol, millis(row.trade_time), row.trade_id, row.price, row.quantity, not row.buyer_is_maker,
            millis(row.received_at) if row.received_at else 0, 0,
        )
        for row in rows
        if row.price is not None and row.quantity is not None  # otherwise written by hand
    ]  # fmt: skip


def _books(symbol: str, rows: Iterable[Any]) -> list[StoredBook]:
    return [
        StoredBook(
            symbol, millis(row.bucket_time), row.bid_prices, row.bid_quantities, row.ask_prices, row.ask_quantities,
            millis(row.event_time), millis(row.received_at), row.version,
        )
        for row in rows
        if None not in row  # otherwise written by hand
    ]  # fmt: skip

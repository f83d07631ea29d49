"""Reads stored trades from Cassandra."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from cassandra import ConsistencyLevel
from cassandra.cluster import Cluster, Session

from cryptocdc_adapters.cassandra import connect
from cryptocdc_analyzer.bars import Trade
from cryptocdc_analyzer.windows import Span
from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_core.names import quoted
from cryptocdc_core.settings import CassandraSettings
from cryptocdc_core.times import millis

IN_FLIGHT = 8
PAGE_ROWS = 2_000


class StoredTrades:
    """The connection is made at the first reading, and again after a failure."""

    def __init__(self, settings: CassandraSettings, keyspace: str) -> None:
        self._settings = settings
        self._keyspace = keyspace
        self._cluster: Cluster | None = None
        self._session: Session | None = None
        self._statement: Any = None

    def read(self, spans: Iterable[Span]) -> Iterator[list[Trade]]:
        """Yield the stored trades of time ranges, a page at a time, so that a long range does not need memory for all
        of them. Raises the driver's exceptions."""
        try:
            yield from self._read(spans)
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        if self._cluster is not None:
            self._cluster.shutdown()
        self._cluster = self._session = None

    def _read(self, spans: Iterable[Span]) -> Iterator[list[Trade]]:
        session = self._session or self._connect()
        waiting: deque[tuple[str, Any]] = deque()
        for symbol, hour, start, end in _parts(spans):
            waiting.append((symbol, session.execute_async(self._statement, (symbol, hour, start, end))))
            if len(waiting) >= IN_FLIGHT:
                yield from _pages(*waiting.popleft())
        for symbol, future in waiting:
            yield from _pages(symbol, future)

    def _connect(self) -> Session:
        self._cluster, session = connect(self._settings)
        stream = RECENT_TRADES
        self._statement = session.prepare(
            "SELECT trade_time, trade_id, price, quantity, buyer_is_maker, received_at"  # noqa: S608
            f" FROM {quoted(self._keyspace)}.{quoted(stream.table)}"
            f" WHERE symbol = ? AND {quoted(stream.bucket_column)} = ? AND trade_time >= ? AND trade_time < ?"
            # Ascending ids are appended to those that are known.
            " ORDER BY trade_time ASC, trade_id ASC"
        )
        # A quorum sees what a quorum acknowledged.
        self._statement.consistency_level = ConsistencyLevel.LOCAL_QUORUM
        self._statement.fetch_size = PAGE_ROWS
        self._session = session
        return session


def _parts(spans: Iterable[Span]) -> Iterator[tuple[str, int, int, int]]:
    """Yield (symbol, bucket, start, end) for each of Cassandra's partitions in the ranges, times in milliseconds."""
    bucket = RECENT_TRADES.bucket
    for span in spans:
        start = bucket.floor(span.start_ms)
        while start < span.end_ms:
            yield span.symbol, start, span.start_ms, span.end_ms
            start = bucket.next(start)


def _pages(symbol: str, future: Any) -> Iterator[list[Trade]]:
    answer = future.result()
    yield _trades(symbol, answer.current_rows)
    while answer.has_more_pages:
        answer.fetch_next_page()
        yield _trades(symbol, answer.current_rows)


def _trades(symbol: str, rows: Iterable[Any]) -> list[Trade]:
    return [
        Trade(
            symbol, millis(row.trade_time), row.trade_id, row.price, row.quantity, not row.buyer_is_maker,
            millis(row.received_at) if row.received_at else 0, 0,
        )
        for row in rows
        if row.price is not None and row.quantity is not None  # otherwise written by hand
    ]  # fmt: skip

"""Reads Cassandra's rows as the bytes that it sent, in bounded pages: readers of many rows convert them themselves,
without a Decimal or datetime for each value.

A page is the body of a ROWS result after its metadata (native protocol 5, section 4.2.5.2): the number of rows, then
each row's values, each with its length before it.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, ClassVar

from cassandra import ConsistencyLevel
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ResponseFuture
from cassandra.protocol import ResultMessage, _ProtocolHandler
from cassandra.query import PreparedStatement, SimpleStatement

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.names import quoted
from cryptocdc_core.storage.windows import Partition, Window

PAGE_ROWS = 2000
_IN_FLIGHT = 6
"""Partitions requested ahead: enough to keep Cassandra busy while responses are converted."""

EMPTY_NUMBER = "-0"
"""The text of a number without bytes, which is not null and which Cassandra accepts from who writes it by hand.
PostgreSQL never writes it, and what parses numbers can read it."""

_LENGTH = struct.Struct(">i").unpack_from

Page = bytes


class _RawRows(ResultMessage):  # type: ignore[misc]
    """Leaves a page as Cassandra sent it."""

    def recv_results_rows(
        self, f: Any, _protocol_version: int, user_type_map: Any, result_metadata: Any, *_: Any
    ) -> None:
        self.recv_results_metadata(f, user_type_map)
        metadata = self.column_metadata or result_metadata
        self.parsed_rows = [f.read()]
        self.column_names = [column[2] for column in metadata]
        self.column_types = [column[3] for column in metadata]


class _RawProtocol(_ProtocolHandler):  # type: ignore[misc]
    message_types_by_opcode: ClassVar[dict[int, Any]] = {
        **_ProtocolHandler.message_types_by_opcode,
        ResultMessage.opcode: _RawRows,
    }


def _as_they_are(_names: Sequence[str], page: list[Page]) -> list[Page]:
    return page


class RawTables:
    """Reads the tables of one keyspace through a session of its own."""

    def __init__(self, cluster: Cluster, keyspace: str, page_rows: int = PAGE_ROWS) -> None:
        self._keyspace = quoted(keyspace)
        self._page_rows = page_rows
        self._session = cluster.connect()
        self._session.client_protocol_handler = _RawProtocol
        self._profile = self._session.execution_profile_clone_update(EXEC_PROFILE_DEFAULT, row_factory=_as_they_are)

    def table(self, stream: Stream) -> str:
        return f"{self._keyspace}.{quoted(stream.table)}"

    def prepare(self, stream: Stream, columns: Sequence[str], *, ascending: bool = False) -> PreparedStatement:
        """Return the statement for `read`. Raises InvalidRequest if there is no such table."""
        equal = " AND ".join(f"{quoted(name)} = ?" for name in (*stream.partition, stream.bucket_column))
        time = quoted(stream.time)
        order = f" ORDER BY {', '.join(f'{quoted(name)} ASC' for name in stream.clustering)}" if ascending else ""
        statement = self._session.prepare(
            f"SELECT {', '.join(map(quoted, columns))} FROM {self.table(stream)}"  # noqa: S608
            f" WHERE {equal} AND {time} >= ? AND {time} < ?{order}"
        )
        # A quorum sees what a quorum acknowledged; with a single replica that is the replica.
        statement.consistency_level = ConsistencyLevel.LOCAL_QUORUM
        statement.fetch_size = self._page_rows
        return statement

    def partitions(self, stream: Stream) -> Iterator[Partition]:
        """Yield every partition with rows, in no particular order."""
        names = ", ".join(map(quoted, (*stream.partition, stream.bucket_column)))
        query = SimpleStatement(
            f"SELECT DISTINCT {names} FROM {self.table(stream)}",  # noqa: S608
            fetch_size=self._page_rows,
            consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        )
        for page in _pages(self._session.execute_async(query, execution_profile=self._profile)):
            for *prefix, bucket in rows_of(page, len(stream.partition) + 1):
                start = int.from_bytes(bucket or b"", "big", signed=True)
                yield Partition(tuple((value or b"").decode() for value in prefix), start)

    def read(
        self, statement: PreparedStatement, wanted: Iterable[tuple[Partition, Window]]
    ) -> Iterator[tuple[Partition, Iterator[Page]]]:
        """Yield each partition with the pages of its rows in the window; consume those of one before taking the
        next."""
        waiting: deque[tuple[Partition, ResponseFuture]] = deque()
        for partition, window in wanted:
            bound = (*partition.prefix, partition.bucket, window.start, window.end)
            asked = self._session.execute_async(statement, bound, execution_profile=self._profile)
            waiting.append((partition, asked))
            if len(waiting) >= _IN_FLIGHT:
                first, future = waiting.popleft()
                yield first, _pages(future)
        for first, future in waiting:
            yield first, _pages(future)


def _pages(future: ResponseFuture) -> Iterator[Page]:
    """Yield pages; the next one is fetched while one is processed."""
    while True:
        (page,) = future.result().current_rows
        more = future.has_more_pages
        if more:
            future.start_fetching_next_page()
        yield page
        if not more:
            return


def rows_of(page: Page, columns: int) -> Iterator[list[bytes | None]]:
    """Yield the rows of a page: each value's bytes, None for null."""
    at = 4
    for _row in range(_LENGTH(page)[0]):
        row, at = row_at(page, at, columns)
        yield row


def row_at(page: Page, at: int, columns: int) -> tuple[list[bytes | None], int]:
    """Return the row that begins at a position of a page, and where the next one begins."""
    row: list[bytes | None] = []
    for _column in range(columns):
        length = _LENGTH(page, at)[0]
        at += 4
        if length < 0:
            row.append(None)
        else:
            row.append(page[at : at + length])
            at += length
    return row, at


@lru_cache(1 << 16)
def decimal_text(raw: bytes) -> str:
    """Return a CQL decimal with all its digits: four bytes of scale, then the unscaled number, big-endian; EMPTY_NUMBER
    without any.

    Cached, since prices repeat.
    """
    if not raw:
        return EMPTY_NUMBER
    scale = _LENGTH(raw)[0]
    digits = str(int.from_bytes(raw[4:], "big", signed=True))
    if scale <= 0:
        return digits if scale == 0 or digits == "0" else digits + "0" * -scale
    if len(digits) > scale and digits[0] != "-":
        return f"{digits[:-scale]}.{digits[-scale:]}"
    sign, digits = ("-", digits[1:]) if digits[0] == "-" else ("", digits)
    digits = digits.zfill(scale + 1)
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}"

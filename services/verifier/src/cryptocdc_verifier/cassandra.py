"""Reads Cassandra: partitions, and their rows as lines."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

from cassandra import ConsistencyLevel, InvalidRequest
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, NoHostAvailable, ResponseFuture, Session
from cassandra.protocol import ResultMessage, _ProtocolHandler
from cassandra.query import PreparedStatement, SimpleStatement

from cryptocdc_adapters.cassandra import connect
from cryptocdc_core.backoff import retry
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.names import Names, quoted
from cryptocdc_core.settings import CassandraSettings
from cryptocdc_verifier.canonical import converters, line_of, ordered
from cryptocdc_verifier.target import VerifyError
from cryptocdc_verifier.window import Partition, Window

_PAGE_ROWS = 2000
_IN_FLIGHT = 6
"""Partitions requested ahead: enough to keep Cassandra busy while responses are converted to lines."""

_PATIENCE_S = 15.0

_LENGTH = struct.Struct(">i")


class _RawRows(ResultMessage):  # type: ignore[misc]
    """Leaves values as Cassandra sent them: lines are made from the bytes, without creating a Decimal or datetime."""

    def recv_results_rows(
        self, f: Any, _protocol_version: int, user_type_map: Any, result_metadata: Any, *_: Any
    ) -> None:
        self.recv_results_metadata(f, user_type_map)
        metadata = self.column_metadata or result_metadata
        columns = range(len(metadata))
        data, at, read = f.read(), 4, _LENGTH.unpack_from
        rows = []
        for _row in range(read(data, 0)[0]):
            row: list[bytes | None] = []
            for _column in columns:
                length = read(data, at)[0]
                at += 4
                if length < 0:
                    row.append(None)
                else:
                    row.append(data[at : at + length])
                    at += length
            rows.append(row)
        self.parsed_rows = rows
        self.column_names = [column[2] for column in metadata]
        self.column_types = [column[3] for column in metadata]


class _RawProtocol(_ProtocolHandler):  # type: ignore[misc]
    message_types_by_opcode: ClassVar[dict[int, Any]] = {
        **_ProtocolHandler.message_types_by_opcode,
        ResultMessage.opcode: _RawRows,
    }


def _as_they_are(_names: Sequence[str], rows: list[list[bytes | None]]) -> list[list[bytes | None]]:
    return rows


class CassandraSide:
    """One cluster; `session` returns Python values, whereas lines are read as raw bytes."""

    def __init__(self, settings: CassandraSettings, names: Names, streams: Sequence[Stream]) -> None:
        """Connect. Raises VerifyError if Cassandra can't be reached or the feed has no tables there."""
        self._keyspace = quoted(names.keyspace)
        self._cluster, self.session = _patiently_connected(settings)
        self._raw: Session = self._cluster.connect()
        self._raw.client_protocol_handler = _RawProtocol
        self._profile = self._raw.execution_profile_clone_update(EXEC_PROFILE_DEFAULT, row_factory=_as_they_are)
        try:
            self._prepared = {stream.table: self._prepare(stream) for stream in streams}
        except InvalidRequest as error:
            self._cluster.shutdown()
            raise VerifyError(f"Cassandra has no tables in {names.keyspace}: {error}; was the feed applied?") from None

    def _prepare(self, stream: Stream) -> PreparedStatement:
        columns = ", ".join(quoted(column.name) for column in ordered(stream))
        equal = " AND ".join(f"{quoted(name)} = ?" for name in (*stream.partition, stream.bucket_column))
        time = quoted(stream.time)
        statement = self._raw.prepare(
            f"SELECT {columns} FROM {self.table(stream)} WHERE {equal} AND {time} >= ? AND {time} < ?"  # noqa: S608
        )
        # A quorum sees what a quorum acknowledged; with a single replica that is the replica.
        statement.consistency_level = ConsistencyLevel.LOCAL_QUORUM
        statement.fetch_size = _PAGE_ROWS
        return statement

    def table(self, stream: Stream) -> str:
        return f"{self._keyspace}.{quoted(stream.table)}"

    def partitions(self, stream: Stream) -> Iterator[Partition]:
        """Yield every partition with rows, in no particular order."""
        names = ", ".join(map(quoted, (*stream.partition, stream.bucket_column)))
        query = SimpleStatement(
            f"SELECT DISTINCT {names} FROM {self.table(stream)}",  # noqa: S608
            fetch_size=_PAGE_ROWS,
            consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        )
        for rows in _pages(self._raw.execute_async(query, execution_profile=self._profile)):
            for *prefix, bucket in rows:
                start = int.from_bytes(bucket, "big", signed=True)
                yield Partition(tuple(value.decode() for value in prefix), start)

    def read(
        self, stream: Stream, partitions: Iterable[Partition], window: Window
    ) -> Iterator[tuple[Partition, Iterator[bytes]]]:
        """Yield each partition with its lines in `window`; consume the lines of one before taking the next."""
        statement = self._prepared[stream.table]
        convert = converters(stream)
        waiting: deque[tuple[Partition, ResponseFuture]] = deque()

        def lines(future: ResponseFuture) -> Iterator[bytes]:
            for rows in _pages(future):
                for row in rows:
                    yield line_of(convert, row)

        for partition in partitions:
            bound = (*partition.prefix, partition.bucket, window.start, window.end)
            asked = self._raw.execute_async(statement, bound, execution_profile=self._profile)
            waiting.append((partition, asked))
            if len(waiting) >= _IN_FLIGHT:
                first, future = waiting.popleft()
                yield first, lines(future)
        for first, future in waiting:
            yield first, lines(future)

    def close(self) -> None:
        self._cluster.shutdown()


def _patiently_connected(settings: CassandraSettings) -> tuple[Cluster, Session]:
    """Connect, and retry for a while if a node is restarting."""
    try:
        return retry(lambda: connect(settings), NoHostAvailable, _PATIENCE_S, 0.5)
    except NoHostAvailable as error:
        raise VerifyError(f"Cassandra at {settings.hosts}:{settings.port}: {error}") from None


def _pages(future: ResponseFuture) -> Iterator[list[Any]]:
    """Yield pages of rows; the next one is fetched while one is processed."""
    while True:
        rows = future.result().current_rows
        more = future.has_more_pages
        if more:
            future.start_fetching_next_page()
        yield rows
        if not more:
            return

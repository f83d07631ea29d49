"""Reads Cassandra: partitions, and their rows as lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from cassandra import InvalidRequest
from cassandra.cluster import Cluster, NoHostAvailable, Session

from cryptocdc_adapters.cassandra.raw_rows import RawTables
from cryptocdc_adapters.cassandra.sessions import connect
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.names import Names
from cryptocdc_core.program.backoff import retry
from cryptocdc_core.program.settings import CassandraSettings
from cryptocdc_core.storage.windows import Partition, Window
from cryptocdc_verifier.comparing.pages import page_reader, selected
from cryptocdc_verifier.target import VerifyError

_PATIENCE_S = 15.0


class CassandraSide:
    """One cluster; `session` returns Python values, whereas lines are read as raw bytes."""

    def __init__(self, settings: CassandraSettings, names: Names, streams: Sequence[Stream]) -> None:
        """Connect. Raises VerifyError if Cassandra can't be reached or the feed has no tables there."""
        self._cluster, self.session = _patiently_connected(settings)
        self._raw = RawTables(self._cluster, names.keyspace)
        self._readers = {stream.table: page_reader(stream) for stream in streams}
        try:
            self._prepared = {
                stream.table: self._raw.prepare(stream, [column.name for column in selected(stream)])
                for stream in streams
            }
        except InvalidRequest as error:
            self._cluster.shutdown()
            raise VerifyError(f"Cassandra has no tables in {names.keyspace}: {error}; was the feed applied?") from None

    def table(self, stream: Stream) -> str:
        return self._raw.table(stream)

    def partitions(self, stream: Stream) -> Iterator[Partition]:
        """Yield every partition with rows, in no particular order."""
        return self._raw.partitions(stream)

    def read(
        self, stream: Stream, partitions: Iterable[Partition], window: Window
    ) -> Iterator[tuple[Partition, Iterator[bytes]]]:
        """Yield each partition with its lines in `window`; consume the lines of one before taking the next."""
        lines_of = self._readers[stream.table]
        wanted = ((partition, window) for partition in partitions)
        for partition, pages in self._raw.read(self._prepared[stream.table], wanted):
            yield partition, chain.from_iterable(map(lines_of, pages))

    def close(self) -> None:
        self._cluster.shutdown()


def _patiently_connected(settings: CassandraSettings) -> tuple[Cluster, Session]:
    """Connect, and retry for a while if a node is restarting."""
    try:
        return retry(lambda: connect(settings), NoHostAvailable, _PATIENCE_S, 0.5)
    except NoHostAvailable as error:
        raise VerifyError(f"Cassandra at {settings.hosts}:{settings.port}: {error}") from None

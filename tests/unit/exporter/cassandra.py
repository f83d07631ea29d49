"""Cassandra's tables in memory, in place of RawTables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tests.unit.exporter.made import page

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.storage.windows import Partition, Window

PAGE_ROWS = 50


class Tables:
    def __init__(self) -> None:
        self.rows: Any = defaultdict(list)
        """By table."""
        self.read_parts = 0

    def put(self, stream: Stream, rows: Iterable[dict[str, Any]]) -> None:
        self.rows[stream.table] += rows

    def partitions(self, stream: Stream) -> Iterator[Partition]:
        for row in self.rows[stream.table]:
            yield self._partition(stream, row)

    def prepare(self, stream: Stream, columns: Sequence[str], *, ascending: bool = False) -> Stream:
        assert ascending
        return stream

    def read(
        self, stream: Stream, wanted: Iterable[tuple[Partition, Window]]
    ) -> Iterator[tuple[Partition, Iterator[bytes]]]:
        for partition, window in wanted:
            self.read_parts += 1
            rows = [
                row
                for row in self.rows[stream.table]
                if self._partition(stream, row) == partition and row[stream.time] in window
            ]
            rows.sort(key=lambda row: [row[name] for name in stream.clustering])
            pages = [rows[at : at + PAGE_ROWS] for at in range(0, max(1, len(rows)), PAGE_ROWS)]
            yield partition, (page(stream, part) for part in pages)

    def _partition(self, stream: Stream, row: dict[str, Any]) -> Partition:
        return Partition(tuple(row[name] for name in stream.partition), stream.bucket_start(row))

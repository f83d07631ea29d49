"""The public archive of a venue: which files it publishes, where, and what their lines are. Pure, as everything here.

A file is a zip with one CSV file. Its checksum, SHA-256, is published beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from cryptocdc_core.catalogue import Bucket
from cryptocdc_core.feed.streams import Streams
from cryptocdc_core.rows.typed import Row


class Series(NamedTuple):
    """The rows of one symbol that an archive publishes together. `kind`: of trades their kind, of klines the
    interval."""

    table: str
    symbol: str
    kind: str


class Period(StrEnum):
    """How much time a file covers, in UTC."""

    MONTH = "month"
    DAY = "day"

    def floor(self, at_ms: int) -> int:
        """Return the start of the period that contains `at_ms`, both in milliseconds since the epoch."""
        return Bucket[self.name].floor(at_ms)

    def next(self, start_ms: int) -> int:
        """Return the start of the period after the one that starts at `start_ms`."""
        return Bucket[self.name].next(start_ms)


class File(NamedTuple):
    """A file of an archive: `path` follows the base URL. Its rows have a time in [start_ms, end_ms)."""

    path: str
    series: Series
    period: Period
    start_ms: int
    end_ms: int


MakeRow = Callable[[Sequence[str]], Row]
"""Returns the row of a line, given those of its fields that are a column, which have been checked."""


@dataclass(frozen=True)
class Format:
    """The lines of a file: comma-separated fields, with or without one header line."""

    columns: tuple[str, ...]
    """For each field the column of the row that it is; "" for a field that is not stored."""
    make: Callable[[Series, int], MakeRow]
    """Returns the function that makes the rows of a series, of a file read at a time in milliseconds."""
    id: str
    """The column whose values follow each other without a hole."""
    packed_bytes: int
    """About how many bytes of a zip a row takes, to estimate the rows of files that were not read yet."""
    same_as: Mapping[str, str] = field(default_factory=dict)
    """Columns without a field that have the value of another column."""


class Archive(Protocol):
    def series(self, streams: Streams, symbol: str) -> Sequence[Series]:
        """Return what the archive publishes of the streams of a feed."""

    def file(self, series: Series, period: Period, start_ms: int) -> File | None:
        """Return the file of the period that starts at `start_ms`; None if there are no files for such periods."""

    def format(self, series: Series) -> Format: ...

    def checksum_path(self, file: File) -> str: ...

    def checksum(self, body: bytes) -> str | None:
        """Return the SHA-256 in the file with the checksum, in lower-case hexadecimal digits; None if it has none."""

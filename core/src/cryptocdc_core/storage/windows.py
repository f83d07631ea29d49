"""Time windows of a table, and the Cassandra partitions in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from cryptocdc_core.catalogue import Bucket, Stream
from cryptocdc_core.storage.ddl import DAY_MS

END_OF_TIME = 253_402_300_800_000
"""The year 10000, in milliseconds: a window without an end."""


class Partition(NamedTuple):
    """A Cassandra partition: its columns before the bucket, and the bucket's start in milliseconds."""

    prefix: tuple[str, ...]
    bucket: int

    def window(self, stream: Stream) -> Window:
        """Return the time window of the partition's rows."""
        return Window(self.bucket, stream.bucket_of(self.prefix).next(self.bucket))


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """[start, end) in milliseconds since the epoch."""

    start: int
    end: int

    def __contains__(self, at: int) -> bool:
        return self.start <= at < self.end

    def meet(self, other: Window) -> Window | None:
        """Return the intersection, None if it is empty."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Window(start, end) if start < end else None


def day_of(at: int) -> Window:
    start = at - at % DAY_MS
    return Window(start, start + DAY_MS)


def segment_of(bucket: Bucket, at: int) -> Window:
    """Return the unit of comparison that contains `at`: the day, or the whole bucket if that is longer."""
    if bucket is Bucket.MONTH:
        start = bucket.floor(at)
        return Window(start, bucket.next(start))
    return day_of(at)


def partitions_of(stream: Stream, prefix: tuple[str, ...], window: Window) -> list[Partition]:
    """Return the partitions with this prefix that overlap `window`."""
    bucket = stream.bucket_of(prefix)
    found, start = [], bucket.floor(window.start)
    while start < window.end:
        found.append(Partition(prefix, start))
        start = bucket.next(start)
    return found


def subtract(windows: Iterable[Window], taken: Iterable[Window]) -> list[Window]:
    """Return the parts of `windows` that no `taken` window covers, in order."""
    left = sorted(windows)
    for hole in sorted(taken):
        cut: list[Window] = []
        for window in left:
            if hole.end <= window.start or window.end <= hole.start:
                cut.append(window)
                continue
            if window.start < hole.start:
                cut.append(Window(window.start, hole.start))
            if hole.end < window.end:
                cut.append(Window(hole.end, window.end))
        left = cut
    return left

"""Where the values of a page of Cassandra's rows are, found without a Python object for each value. Pure.

A page is as in `cryptocdc_adapters.cassandra.raw_rows`. Values have their lengths before them, so a row's start is
known only from the row before it. Only the values whose length varies are walked one by one; columns of a fixed width,
selected first, are skipped together.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]

_LENGTH = struct.Struct(">i").unpack_from
_ROWS_BYTES = 4


@dataclass(frozen=True)
class Cells:
    """Values of one type in a page, in order: where each begins, and how long it is in bytes, -1 for null."""

    page: bytes
    at: Index
    length: Index

    @cached_property
    def null(self) -> NDArray[np.bool_]:
        return self.length < 0

    def integers(self, bits: int, at: Index) -> Index:
        """Return the big-endian signed numbers at these positions, clipped to the page."""
        size = bits // 8
        every = np.ndarray((len(self.page) - size + 1,), f">i{size}", self.page, 0, (1,))
        return every[np.clip(at, 0, len(every) - 1)].astype(np.int64)

    def take(self, some: Index) -> Cells:
        return Cells(self.page, self.at[some], self.length[some])

    def value(self, index: int) -> bytes:
        start = int(self.at[index])
        return self.page[start : start + int(self.length[index])]


def count(page: bytes) -> int:
    """Return the number of rows."""
    rows: int = _LENGTH(page)[0]
    return rows


def split(page: bytes, widths: Sequence[int | None]) -> list[Cells]:
    """Return the cells of each column of a page with rows. `widths`: each column's bytes, None if they vary; fixed ones
    first."""
    rows = count(page)
    fixed = [width for width in widths if width is not None]
    found = _walk(page, rows, fixed, len(widths) - len(fixed))
    return found if found is not None else _walk_all(page, rows, len(widths))


def elements(cells: Cells) -> tuple[Index, Cells]:
    """Return how many elements each CQL list has, 0 for null, and the elements of all lists, in order."""
    counts = np.where(cells.null, 0, cells.integers(32, cells.at))
    longest = int(counts.max(initial=0))
    at = np.zeros((len(counts), longest), np.int64)
    length = np.zeros_like(at)
    position = cells.at + 4
    for number in range(longest):
        length[:, number] = cells.integers(32, position)
        at[:, number] = position + 4
        position = at[:, number] + np.maximum(length[:, number], 0)
    there = np.arange(longest) < counts[:, None]
    return counts, Cells(cells.page, at[there], length[there])


def _walk(page: bytes, rows: int, fixed: Sequence[int], varying: int) -> list[Cells] | None:
    """Return the cells if in all rows the same columns of a fixed width are null, as is usual; otherwise None."""
    lengths, at = [], _ROWS_BYTES
    for width in fixed:
        lengths.append(_LENGTH(page, at)[0])
        if lengths[-1] not in (width, -1):
            return None
        at += 4 + max(lengths[-1], 0)
    skipped, starts, at = at - _ROWS_BYTES, [], _ROWS_BYTES
    columns = range(varying)
    try:
        for _row in range(rows):
            starts.append(at)
            at += skipped
            for _column in columns:
                length = _LENGTH(page, at)[0]
                at += 4 + length if length > 0 else 4
    except struct.error:
        return None
    if at != len(page):
        return None
    whole = Cells(page, np.zeros(0, np.int64), np.zeros(0, np.int64))
    position, found = np.array(starts, np.int64), []
    for expected in (*lengths, *(None for _ in columns)):
        length = whole.integers(32, position)
        if expected is not None and (length != expected).any():
            return None
        found.append(Cells(page, position + 4, length))
        position = position + 4 + np.maximum(length, 0)
    return found


def _walk_all(page: bytes, rows: int, columns: int) -> list[Cells]:
    at, starts, lengths = _ROWS_BYTES, [], []
    for _cell in range(rows * columns):
        length = _LENGTH(page, at)[0]
        at += 4
        starts.append(at)
        lengths.append(length)
        at += max(length, 0)
    positions = np.array(starts, np.int64).reshape(rows, columns)
    sizes = np.array(lengths, np.int64).reshape(rows, columns)
    return [Cells(page, positions[:, column].copy(), sizes[:, column].copy()) for column in range(columns)]

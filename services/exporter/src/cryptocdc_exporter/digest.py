"""The digest of a file's rows, which a reader can compute again from the file alone, whatever wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_SIZE = 16


class Digest:
    """BLAKE2b of the columns' digests, in their order. A column has one digest of its validity, a byte per row, and one
    of its values: numbers little-endian, text in UTF-8 with a zero byte after it, null as zero or empty. A column of
    lists has one of the validity and one of the lists' lengths, four bytes each, before those of the elements."""

    def __init__(self) -> None:
        self._parts: list[Any] = []

    def add(self, rows: pa.RecordBatch) -> None:
        parts = [part for column in rows.columns for part in _parts(column)]
        self._parts = self._parts or [blake2b(digest_size=_SIZE) for _ in parts]
        for whole, part in zip(self._parts, parts, strict=True):
            whole.update(part)

    def hex(self) -> str:
        return blake2b(b"".join(part.digest() for part in self._parts), digest_size=_SIZE).hexdigest()


def digest_of(file: Any) -> str:
    """Return the digest of the rows of a Parquet file, a path or a file object."""
    digest = Digest()
    for batch in pq.ParquetFile(file).iter_batches():
        digest.add(batch)
    return digest.hex()


def _parts(column: pa.Array) -> Iterator[memoryview | bytes]:
    yield column.is_valid().cast(pa.uint8()).buffers()[1].to_pybytes()[: len(column)]
    kind = column.type
    if pa.types.is_list(kind):
        yield _numbers(column.value_lengths().fill_null(0), np.int32)
        yield from _parts(column.flatten())
    elif pa.types.is_string(kind):
        yield "".join(f"{value}\0" for value in column.fill_null("").to_pylist()).encode()
    elif pa.types.is_boolean(kind):
        yield _numbers(column.fill_null(False).cast(pa.uint8()), np.uint8)
    elif pa.types.is_decimal(kind):
        filled = column.fill_null(pa.scalar(0, kind))
        yield np.frombuffer(filled.buffers()[1], np.uint8)[filled.offset * 16 : (filled.offset + len(filled)) * 16].data
    elif pa.types.is_timestamp(kind):
        yield _numbers(column.cast(pa.int64()).fill_null(0), np.int64)
    else:
        yield _numbers(column.fill_null(0), np.int32 if pa.types.is_int32(kind) else np.int64)


def _numbers(column: pa.Array, kind: type[np.generic]) -> memoryview:
    values: memoryview = column.to_numpy(zero_copy_only=False).astype(kind).data
    return values

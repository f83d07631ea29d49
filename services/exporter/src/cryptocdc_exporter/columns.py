"""A stream's columns in files: Arrow's types, and Arrow's arrays from Cassandra's values."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cryptocdc_adapters.cassandra.raw_rows import decimal_text
from cryptocdc_core.catalogue import Stream, Type
from cryptocdc_exporter.decimals import PRECISION, SCALE, DoesNotFit, words
from cryptocdc_exporter.pages import Cells, count, elements, split

_WIDTHS = {Type.TIMESTAMP: 8, Type.BIGINT: 8, Type.INTEGER: 4, Type.BOOLEAN: 1}
"""Bytes of a CQL value; those of other types vary."""

_DECIMAL = pa.decimal128(PRECISION, SCALE)
_TYPES = {
    Type.TEXT: pa.string(), Type.BIGINT: pa.int64(), Type.INTEGER: pa.int32(), Type.BOOLEAN: pa.bool_(),
    Type.TIMESTAMP: pa.timestamp("us", tz="UTC"), Type.DECIMAL: _DECIMAL, Type.DECIMALS: pa.list_(_DECIMAL),
}  # fmt: skip
_AS_TEXT = {Type.DECIMAL: pa.string(), Type.DECIMALS: pa.list_(pa.string())}


class TooPrecise(ValueError):
    """A column has a value that its decimal type can't hold."""

    def __init__(self, column: str, value: str) -> None:
        super().__init__(f"{column}: {value} does not fit DECIMAL({PRECISION},{SCALE})")
        self.column = column


def decimal_columns(stream: Stream) -> tuple[str, ...]:
    return tuple(column.name for column in stream.columns if column.type in _AS_TEXT)


def schema(stream: Stream, text: Collection[str]) -> pa.Schema:
    """Return the columns in the catalogue's order; decimals of the columns `text` are strings with all their digits."""
    return pa.schema(
        [pa.field(column.name, (_AS_TEXT if column.name in text else _TYPES)[column.type]) for column in stream.columns]
    )


class Columns:
    """Converts the pages of one stream. `selected` are the columns to read, in the order of the pages' values."""

    def __init__(self, stream: Stream, text: Collection[str]) -> None:
        self.schema = schema(stream, text)
        self._stream = stream
        self._text = text
        # A partition's columns are the same in each of its rows.
        read = [column for column in stream.columns if column.name not in stream.partition]
        read.sort(key=lambda column: column.type not in _WIDTHS)
        self._types: Mapping[str, Type] = {column.name: column.type for column in read}

    @property
    def selected(self) -> tuple[str, ...]:
        return tuple(self._types)

    def batch(self, page: bytes, prefix: Sequence[str]) -> pa.RecordBatch:
        """Return the rows of a page, given the values of the stream's partition columns. Raises TooPrecise."""
        rows = count(page)
        if not rows:
            return pa.RecordBatch.from_pylist([], self.schema)
        cells = split(page, [_WIDTHS.get(kind) for kind in self._types.values()])
        arrays = {
            name: pa.repeat(pa.scalar(value, pa.string()), rows)
            for name, value in zip(self._stream.partition, prefix, strict=True)
        }
        for (name, kind), values in zip(self._types.items(), cells, strict=True):
            try:
                arrays[name] = _decimals(kind, values, name in self._text) if kind in _AS_TEXT else _plain(kind, values)
            except DoesNotFit as error:
                raise TooPrecise(name, str(error)) from None
        return pa.RecordBatch.from_arrays([arrays[name] for name in self.schema.names], schema=self.schema)


def _plain(kind: Type, cells: Cells) -> pa.Array:
    null = cells.null if cells.null.any() else None
    if kind is Type.TEXT:
        return pa.array([None if cells.length[i] < 0 else cells.value(i).decode() for i in range(len(cells.at))],
                        pa.string())  # fmt: skip
    if kind is Type.BOOLEAN:
        every = np.frombuffer(cells.page, np.uint8)
        return pa.array(every[np.minimum(cells.at, len(every) - 1)] != 0, pa.bool_(), mask=null)
    values = cells.integers(32 if kind is Type.INTEGER else 64, cells.at)
    if kind is Type.TIMESTAMP:
        return pa.array(values * 1000, pa.int64(), mask=null).view(_TYPES[kind])
    return pa.array(values if kind is Type.BIGINT else values.astype(np.int32), _TYPES[kind], mask=null)


def _decimals(kind: Type, cells: Cells, text: bool) -> pa.Array:
    if kind is Type.DECIMALS:
        counts, inner = elements(cells)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        mask = pa.array(cells.null) if cells.null.any() else None
        return pa.ListArray.from_arrays(pa.array(offsets), _decimals(Type.DECIMAL, inner, text), mask=mask)
    if text:
        return pa.array([None if cells.length[i] < 0 else decimal_text(cells.value(i)) for i in range(len(cells.at))],
                        pa.string())  # fmt: skip
    validity = pa.py_buffer(_bitmap(~cells.null)) if cells.null.any() else None
    return pa.Array.from_buffers(_DECIMAL, len(cells.at), [validity, pa.py_buffer(words(cells))])


def _bitmap(valid: NDArray[np.bool_]) -> bytes:
    return np.packbits(valid, bitorder="little").tobytes()

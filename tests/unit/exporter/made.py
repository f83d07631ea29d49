"""Pages as Cassandra sends them, made from Python's values."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from cryptocdc_core.catalogue import Stream, Type
from cryptocdc_exporter.columns import Columns

EXTREMES = (
    "0", "0.00000000", "-0.00000001", "1.50", "99999999999999999999.999999999999999999", "-99999999999999999999",
    "0.000000000000000001", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "64000.10",
    "1E+3", "1.100000000000000000000000", "-1E-18", "184467440737.09551616",
)  # fmt: skip
"""Decimals that fit DECIMAL(38,18)."""


def decimal(value: str | Decimal) -> bytes:
    sign, digits, exponent = Decimal(value).as_tuple()
    assert isinstance(exponent, int)
    number = int("".join(map(str, digits))) * (-1 if sign else 1)
    return struct.pack(">i", -exponent) + number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)


def cell(raw: bytes | None) -> bytes:
    return struct.pack(">i", -1) if raw is None else struct.pack(">i", len(raw)) + raw


def _raw(kind: Type, value: Any) -> bytes | None:
    if value is None:
        return None
    if kind is Type.TEXT:
        return str(value).encode()
    if kind is Type.BOOLEAN:
        return bytes([value])
    if kind is Type.DECIMAL:
        return decimal(value)
    if kind is Type.DECIMALS:
        return struct.pack(">i", len(value)) + b"".join(cell(decimal(one)) for one in value)
    return struct.pack(">i" if kind is Type.INTEGER else ">q", value)


def page(stream: Stream, rows: Sequence[Mapping[str, Any]]) -> bytes:
    selected = Columns(stream, ()).selected
    cells = (cell(_raw(stream.types[name], row[name])) for row in rows for name in selected)
    return struct.pack(">i", len(rows)) + b"".join(cells)


def rows_of(stream: Stream, count: int, *, nulls: bool, seed: int = 1, start: int = 1_790_000_000_000) -> list[Any]:
    """Rows of all types, extremes included; of columns that may be null a third is."""
    return list(_rows(stream, count, nulls, random.Random(seed), start))


def _rows(stream: Stream, count: int, nulls: bool, chance: random.Random, start: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        made: dict[str, Any] = {}
        for column in stream.columns:
            if nulls and column.nullable and chance.random() < 0.3:
                made[column.name] = None
            elif column.type is Type.DECIMAL:
                made[column.name] = chance.choice(EXTREMES)
            elif column.type is Type.DECIMALS:
                made[column.name] = [chance.choice(EXTREMES) for _ in range(chance.choice((0, 1, 20)))]
            elif column.type is Type.TEXT:
                made[column.name] = chance.choice(("", "sell", "zu verkaufen: ✓"))
            elif column.type is Type.BOOLEAN:
                made[column.name] = chance.random() < 0.5
            else:
                made[column.name] = start + number if column.name == stream.time else chance.randrange(-(2**40), 2**40)
        yield made | dict.fromkeys(stream.partition, "BTCUSDT") | {"version": (start + number) * 1000}

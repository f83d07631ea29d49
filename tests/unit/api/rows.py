"""Rows as Cassandra's driver returns them, generated from the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from cryptocdc_api.reading.paging import Row
from cryptocdc_core.catalogue import Column, Type, by_table
from cryptocdc_core.time.times import now_ms

SAMPLES = {
    Type.TEXT: "BTCUSDT", Type.BIGINT: 7, Type.INTEGER: 7, Type.BOOLEAN: True, Type.DECIMAL: Decimal("0.35130000"),
    Type.DECIMALS: [Decimal("1.50"), Decimal("1.40")],
}  # fmt: skip


def moment(at_ms: int) -> datetime:
    return datetime(1970, 1, 1) + timedelta(milliseconds=at_ms)


def row(columns: Sequence[Column], at_ms: int, **values: Any) -> Row:
    """Return a row with plausible defaults; every time is `at_ms`."""
    made = {c.name: moment(at_ms) if c.type is Type.TIMESTAMP else SAMPLES[c.type] for c in columns}
    return tuple((made | values).values())


def rows(table: str, count: int, step_ms: int = 1000, **values: Any) -> list[Row]:
    """Return `count` rows of a stream, `step_ms` apart, the last one now; values may be functions of a row's number."""
    stream = by_table(table)
    first = now_ms() - count * step_ms
    return [
        row(stream.columns, first + number * step_ms, **{n: v(number) if callable(v) else v for n, v in values.items()})
        for number in range(count)
    ]

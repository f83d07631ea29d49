"""Typed rows for tests: what a test does not name is filled in."""

from __future__ import annotations

from typing import Any, TypeVar

from cryptocdc_core.catalogue import Type
from cryptocdc_core.rows.typed import Row

R = TypeVar("R", bound=Row)
_FILL: dict[Type, Any] = {
    Type.TEXT: "1m", Type.BIGINT: 1, Type.INTEGER: 1, Type.BOOLEAN: True, Type.DECIMAL: "1", Type.DECIMALS: [],
    Type.TIMESTAMP: 1,
}  # fmt: skip


def make_row(kind: type[R], **values: Any) -> R:
    """Return a row with these values; its symbol is BTCUSDT and its other values are ones unless given."""
    filled = {column.name: _FILL[column.type] for column in kind.stream.columns}
    return kind(**{**filled, "symbol": "BTCUSDT", **values})

"""Rows as flat JSON objects: decimals as text with all their digits, times in ISO 8601 and in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from cryptocdc_core.catalogue import Column, Type
from cryptocdc_core.time.times import iso, millis

Json = dict[str, Any]


def digits(value: Decimal | str) -> str:
    """Return a decimal with all its digits, never with an exponent."""
    return value if isinstance(value, str) else format(value, "f")


def shaper(columns: Sequence[Column]) -> Callable[[Sequence[Any]], Json]:
    """Return a function that converts rows with the values of `columns` to objects. A time `t` is also given as
    `t_ms`."""
    plain = [(at, column.name, column.type) for at, column in enumerate(columns)]

    def shape(row: Sequence[Any]) -> Json:
        made: Json = {}
        for at, name, kind in plain:
            value = row[at]
            if value is None:
                made[name] = None
                if kind is Type.TIMESTAMP:
                    made[f"{name}_ms"] = None
            elif kind is Type.TIMESTAMP:
                moment = value if isinstance(value, int) else millis(value)
                made[name] = iso(moment)
                made[f"{name}_ms"] = moment
            elif kind is Type.DECIMAL:
                made[name] = digits(value)
            elif kind is Type.DECIMALS:
                made[name] = [digits(part) for part in value]
            else:
                made[name] = value
        return made

    return shape


_SCHEMAS: dict[Type, Json] = {
    Type.TEXT: {"type": "string"},
    Type.BIGINT: {"type": "integer"},
    Type.INTEGER: {"type": "integer"},
    Type.BOOLEAN: {"type": "boolean"},
    Type.DECIMAL: {"type": "string", "format": "decimal"},
    Type.DECIMALS: {"type": "array", "items": {"type": "string", "format": "decimal"}},
    Type.TIMESTAMP: {"type": "string", "format": "date-time"},
}


def schema(columns: Iterable[Column], **more: str) -> Json:
    """Return the JSON schema of a list of such objects; `more` has the names and descriptions of computed decimals.
    They are null where they can't be computed, columns where the exchange does not report them."""
    properties: Json = {}
    for column in columns:
        properties[column.name] = _described(_SCHEMAS[column.type], column.doc, null=column.nullable)
        if column.type is Type.TIMESTAMP:
            in_ms = _described({"type": "integer"}, "The same, ms since the epoch.", null=column.nullable)
            properties[f"{column.name}_ms"] = in_ms
    for name, doc in more.items():
        properties[name] = _described(_SCHEMAS[Type.DECIMAL], doc, null=True)
    return {"type": "array", "items": {"type": "object", "properties": properties}}


def _described(made: Json, doc: str, *, null: bool) -> Json:
    return {**made, **({"type": [made["type"], "null"]} if null else {}), "description": doc}

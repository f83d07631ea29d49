"""Decodes change records in any format that Debezium can be configured to send.

The format of our own connector (unwrapped, schemas off, decimals as strings) is decoded straight into a typed
structure, in about a microsecond. Other formats take a slower path: envelopes, schemas, decimals as base64 or with a
variable scale. A record that fits none raises Undecodable and becomes a dead letter.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

import msgspec

from cryptocdc_core.catalogue import Stream, Type

UNAVAILABLE = "__debezium_unavailable_value"
"""Debezium's placeholder for a large value that an update did not change (TOAST); it must never be written as data."""

META = {"op": "__op", "lsn": "__lsn", "committed_us": "__source_ts_us", "deleted": "__deleted"}
"""A change's metadata fields and their names in records from ExtractNewRecordState."""


def record_key(symbol: str) -> bytes:
    """Return the key of a change record, as our own connector forms it."""
    return msgspec.json.encode({"symbol": symbol})


def record_end(op: str, committed_us: int) -> bytes:
    """Return the end of the values of change records that were not read from PostgreSQL and so have no LSN."""
    meta = {META["op"]: op, META["lsn"]: None, META["committed_us"]: committed_us, META["deleted"]: "false"}
    return b"," + msgspec.json.encode(meta)[1:]


def record_value(row: msgspec.Struct | Mapping[str, Any], end: bytes) -> bytes:
    """Return the value of a change record as our own connector forms it, from a row with all of its columns and from
    `record_end`."""
    return msgspec.json.encode(row)[:-1] + end


_LARGEST_SCALE = 200
_OPS = ("c", "u", "r", "d")
_PYTHON: dict[Type, Any] = {
    Type.TEXT: str, Type.BIGINT: int, Type.INTEGER: int, Type.BOOLEAN: bool,
    Type.DECIMAL: str, Type.DECIMALS: list[str], Type.TIMESTAMP: int,
}  # fmt: skip
_ZEROS = {
    Type.TEXT: "", Type.BIGINT: 0, Type.INTEGER: 0, Type.BOOLEAN: False,
    Type.DECIMAL: "0", Type.DECIMALS: [], Type.TIMESTAMP: 0,
}  # fmt: skip


class Undecodable(ValueError):
    """A record that is not a change of its stream; the message says why."""


class Change(msgspec.Struct, rename=META):
    """One change. A subclass for each stream adds its columns: times in milliseconds, decimals as strings, None for the
    null of a nullable column.

    `op` is c, u, r or d; for a delete only the key's columns are meaningful. `committed_us` is PostgreSQL's commit
    time.
    """

    op: str
    lsn: int | None
    committed_us: int


class Decoder:
    """Decodes one stream's records.

    A column added in PostgreSQL is ignored until it is in the catalogue; `unknown_fields` returns it.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        fields: list[Any] = [
            (column.name, _PYTHON[column.type] | None if column.nullable else _PYTHON[column.type])
            for column in stream.columns
        ]
        made = msgspec.defstruct(f"{stream.name}Change", fields, bases=(Change,), kw_only=True, gc=False)
        self.type = cast(type[Change], made)
        self._typed = msgspec.json.Decoder(self.type)
        self._any = msgspec.json.Decoder()
        self._zeros = {c.name: _ZEROS[c.type] for c in stream.columns if c.name not in stream.key} | {"__lsn": None}
        self._known = frozenset((*stream.column_names, *META.values()))

    def decode(self, value: bytes | None) -> Change:
        """Return the change in a record's value. Raises Undecodable."""
        if value is None:
            raise Undecodable("a tombstone; the connector is configured to send none")
        try:
            change = self._typed.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._decode_any(value)
        if change.op not in _OPS:
            raise _unknown_op(change.op)
        return change

    def unknown_fields(self, value: bytes | None) -> frozenset[str]:
        """Return the fields of a record that are not in the catalogue; none if it is not a change.

        This is separate from `decode`, which skips them at no cost: a new column is in every later record, so it is
        enough to check now and then.
        """
        try:
            return frozenset(self._row(value or b"")) - self._known
        except Undecodable:
            return frozenset()

    def _decode_any(self, value: bytes) -> Change:
        row = self._row(value)
        op = row.get("__op")
        if isinstance(op, str) and op not in _OPS:
            # Checked first: a truncate has no columns, and a message about missing ones would mislead.
            raise _unknown_op(op)
        if op == "d":
            # Debezium may omit, null or zero the columns outside the key; only the key is used.
            row = {**self._zeros, **{name: item for name, item in row.items() if item is not None}}
        try:
            change = msgspec.convert(row, self.type)
        except msgspec.ValidationError as error:
            raise Undecodable(str(error)) from None
        return change

    def _row(self, value: bytes) -> dict[str, Any]:
        """Return the fields of a record of any format, as our own connector would have sent them."""
        try:
            document = self._any.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Undecodable(f"not JSON: {error}") from None
        try:
            return self._flat(document)
        except Undecodable:
            raise
        except (TypeError, ValueError, AttributeError, KeyError, ArithmeticError) as error:
            # Any JSON may arrive; all that can be said here is that it is neither an envelope nor a row.
            raise Undecodable(f"neither a change nor an envelope of one: {error!r}") from None

    def _flat(self, document: Any) -> dict[str, Any]:
        scales: dict[str, int] = {}
        if isinstance(document, dict) and document.keys() == {"schema", "payload"}:
            scales = _decimal_scales(document["schema"])
            document = document["payload"]
        if not isinstance(document, dict):
            raise Undecodable(f"a {type(document).__name__} instead of a change")
        if "op" in document and ("before" in document or "after" in document):
            document = _unwrap(document)
        return {name: self._plain(name, item, scales.get(name)) for name, item in document.items()}

    def _plain(self, name: str, item: Any, scale: int | None) -> Any:
        """Return a column's value as our own connector would have sent it."""
        kind = self.stream.types.get(name)
        if kind is Type.DECIMAL:
            return _decimal_text(item, scale)
        if kind is Type.DECIMALS and isinstance(item, list):
            return [_decimal_text(part, scale) for part in item]
        if kind is Type.DECIMALS and item == UNAVAILABLE:
            return [UNAVAILABLE]
        return item


def _unknown_op(op: str) -> Undecodable:
    return Undecodable(f"op {op!r}; c, u, r and d are accepted")


def _unwrap(envelope: dict[str, Any]) -> dict[str, Any]:
    """Flatten an envelope as ExtractNewRecordState would."""
    op, source = envelope["op"], envelope.get("source") or {}
    image = envelope.get("before") if op == "d" else envelope.get("after")
    if not isinstance(image, dict):
        raise Undecodable(f"op {op!r} without the row's image")
    if not isinstance(source, dict):
        raise Undecodable(f"source {source!r} is not a mapping")
    committed = source.get("ts_us", source.get("ts_ms", 0) * 1000)
    return {**image, "__op": op, "__lsn": source.get("lsn"), "__source_ts_us": committed}


def _decimal_scales(schema: Any) -> dict[str, int]:
    """Return the scale of every decimal column in a Connect schema (org.apache.kafka.connect.data.Decimal)."""
    found: dict[str, int] = {}
    pending = [schema]
    while pending:
        node = pending.pop()
        if not isinstance(node, dict):
            continue
        for field in node.get("fields") or ():
            inner = field.get("items", field) if isinstance(field, dict) else {}
            scale = (inner.get("parameters") or {}).get("scale") if isinstance(inner, dict) else None
            if scale is not None:
                found[str(field.get("field"))] = int(scale)
            pending.append(field)
    return found


def _decimal_text(item: Any, scale: int | None) -> Any:
    """Return a decimal as text, from text, from base64 with a scale, or from {"scale", "value"}
    (VariableScaleDecimal)."""
    if isinstance(item, dict) and item.keys() == {"scale", "value"}:
        item, scale = item["value"], int(item["scale"])
    if isinstance(item, str) and scale is not None and item != UNAVAILABLE:
        if abs(scale) > _LARGEST_SCALE:
            raise Undecodable(f"decimal with a scale of {scale}; at most {_LARGEST_SCALE} is accepted")
        try:
            unscaled = int.from_bytes(base64.b64decode(item, validate=True), "big", signed=True)
        except ValueError:
            raise Undecodable(f"decimal {item!r} is not base64") from None
        # Built from text, since arithmetic would round to the context's 28 digits.
        return format(Decimal(f"{unscaled}E{-scale}"), "f")
    if isinstance(item, int) and not isinstance(item, bool):
        return str(item)
    if isinstance(item, float):
        raise Undecodable(f"decimal {item!r} is a float, which may have lost digits; a string or base64 is accepted")
    return item

"""Serializes values for Cassandra's native protocol: four bytes of length, then the value, big-endian.

The driver is not used for this: it is what the consumer does most, a dozen times per row.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from cryptocdc_core.catalogue import Type
from cryptocdc_core.rows.changes import UNAVAILABLE

NULL = b"\xff\xff\xff\xff"
UNSET = b"\xff\xff\xff\xfe"
"""Leaves the column unchanged: a null would be a tombstone."""

FORMATS: dict[Type, tuple[int, str]] = {
    Type.BIGINT: (8, "q"), Type.TIMESTAMP: (8, "q"), Type.INTEGER: (4, "i"), Type.BOOLEAN: (1, "?"),
}  # fmt: skip
"""The types of fixed size: the size, and struct's format character."""

DECIMALS_KEPT = 32_768
"""Cache size: a book's levels stay for seconds. Single values of a row are not cached: encoding them is as fast as a
cache miss."""
TEXTS_KEPT = 4_096

_PLAIN_DIGITS = 200
_DECIMAL = re.compile(r"(-?\d{1,200})(?:\.(\d{1,200}))?(?:[eE]([+-]?\d{1,3}))?", re.ASCII)
_LENGTH = struct.Struct(">i")
_LENGTHS = struct.Struct(">ii")
_BIGINT = struct.Struct(">iq")
_AUDIT = struct.Struct(">iiciqiqiqiq")
_AUDIT_WITHOUT_LSN = struct.Struct(">iiciiqiqiq")


class Unencodable(ValueError):
    """A value that its CQL type can't represent; the message says why."""


@lru_cache(TEXTS_KEPT)
def text(value: str) -> bytes:
    raw = value.encode()
    return _LENGTH.pack(len(raw)) + raw


def bigint(value: int | None) -> bytes:
    return NULL if value is None else _BIGINT.pack(8, value)


def decimal(value: str) -> bytes:
    """Encode a decimal with exactly the digits of `value`, trailing zeros included: its scale, then a varint.

    Raises Unencodable for anything that is not a number, such as NaN.
    """
    whole, _, fraction = value.partition(".")
    digits = whole + fraction
    # The exchange sends digits on both sides of a point; other forms take the slower path.
    if whole and fraction and len(digits) <= _PLAIN_DIGITS and digits.isdecimal() and digits.isascii():
        unscaled = int(digits)
        size = unscaled.bit_length() // 8 + 1
        return _LENGTHS.pack(4 + size, len(fraction)) + unscaled.to_bytes(size, "big")
    return _any_decimal(value)


def _any_decimal(value: str) -> bytes:
    found = _DECIMAL.fullmatch(value)
    if found is None:
        if value == UNAVAILABLE:
            return UNSET
        raise Unencodable(f"decimal {value[:80]!r} is not a number with at most 200 digits on either side of the point")
    whole, fraction, exponent = found.group(1), found.group(2) or "", found.group(3)
    unscaled = int(whole + fraction)
    scale = len(fraction) - int(exponent or 0)
    size = (unscaled if unscaled >= 0 else ~unscaled).bit_length() // 8 + 1
    return _LENGTHS.pack(4 + size, scale) + unscaled.to_bytes(size, "big", signed=True)


_kept_decimal = lru_cache(DECIMALS_KEPT)(decimal)


def decimals(values: Sequence[str]) -> bytes:
    """Encode a frozen<list<decimal>>: the number of elements, then each as a value."""
    if UNAVAILABLE in values:
        return UNSET
    body = b"".join(map(_kept_decimal, values))
    return _LENGTHS.pack(4 + len(body), len(values)) + body


def audit(op: str, lsn: int | None, committed_ms: int, produced_ms: int, written_ms: int) -> bytes:
    """Encode a frozen<audit>: the fields of `AUDIT` in order. Raises struct.error if `op` is longer than one
    character."""
    if lsn is None:
        return _AUDIT_WITHOUT_LSN.pack(45, 1, op.encode(), -1, 8, committed_ms, 8, produced_ms, 8, written_ms)
    return _AUDIT.pack(53, 1, op.encode(), 8, lsn, 8, committed_ms, 8, produced_ms, 8, written_ms)


def _fixed(kind: Type) -> Callable[[Any], bytes]:
    size, letter = FORMATS[kind]
    pack = struct.Struct(f">i{letter}").pack
    return lambda value: pack(size, value)


ENCODERS: dict[Type, Callable[[Any], bytes]] = {
    Type.TEXT: text,
    Type.DECIMAL: decimal,
    Type.DECIMALS: decimals,
    **{kind: _fixed(kind) for kind in FORMATS},
}


def routing_key(parts: Sequence[bytes]) -> bytes:
    """Return a partition key as Cassandra hashes it, from its columns' encoded values."""
    if len(parts) == 1:
        return parts[0][4:]
    # In a composite key a length has two bytes, and a zero ends each part.
    return b"".join(part[2:] + b"\x00" for part in parts)

"""Values as Cassandra's native protocol takes them: four bytes of length, then the value, most significant byte first.

Serialised here and not by the driver: this is what the consumer does most, a dozen times for each row.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from cryptocdc_core.catalogue import Type
from cryptocdc_core.changes import UNAVAILABLE

NULL = b"\xff\xff\xff\xff"
UNSET = b"\xff\xff\xff\xfe"
"""Leaves the column as it is: a null would be a tombstone."""

FORMATS: dict[Type, tuple[int, str]] = {
    Type.BIGINT: (8, "q"), Type.TIMESTAMP: (8, "q"), Type.INTEGER: (4, "i"), Type.BOOLEAN: (1, "?"),
}  # fmt: skip
"""The types of one size: that size, and struct's letter for them."""

DECIMALS_KEPT = 32_768
"""A book's levels stay for seconds. A value that stands alone in a row is not looked up: to encode it takes no longer
than to find that it is not there."""
TEXTS_KEPT = 4_096

_PLAIN_DIGITS = 200
_DECIMAL = re.compile(r"(-?\d{1,200})(?:\.(\d{1,200}))?(?:[eE]([+-]?\d{1,3}))?", re.ASCII)
_LENGTH = struct.Struct(">i")
_LENGTHS = struct.Struct(">ii")
_BIGINT = struct.Struct(">iq")
_AUDIT = struct.Struct(">iiciqiqiqiq")
_AUDIT_WITHOUT_LSN = struct.Struct(">iiciiqiqiq")


class Unencodable(ValueError):
    """A value that its CQL type can't hold; the message says why."""


@lru_cache(TEXTS_KEPT)
def text(value: str) -> bytes:
    raw = value.encode()
    return _LENGTH.pack(len(raw)) + raw


def bigint(value: int | None) -> bytes:
    return NULL if value is None else _BIGINT.pack(8, value)


def decimal(value: str) -> bytes:
    """A decimal with exactly the digits of `value`, trailing zeros included: its scale, then the digits as a varint.

    Raises Unencodable for what is no number, NaN among it.
    """
    whole, _, fraction = value.partition(".")
    digits = whole + fraction
    # Digits on both sides of a point are what the exchange sends; whatever else is a number goes the long way.
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
        raise Unencodable(f"decimal {value[:80]!r}: no number of at most 200 digits on either side of the point")
    whole, fraction, exponent = found.group(1), found.group(2) or "", found.group(3)
    unscaled = int(whole + fraction)
    scale = len(fraction) - int(exponent or 0)
    size = (unscaled if unscaled >= 0 else ~unscaled).bit_length() // 8 + 1
    return _LENGTHS.pack(4 + size, scale) + unscaled.to_bytes(size, "big", signed=True)


_kept_decimal = lru_cache(DECIMALS_KEPT)(decimal)


def decimals(values: Sequence[str]) -> bytes:
    """A frozen<list<decimal>>: the number of elements, then each as a value of its own."""
    if UNAVAILABLE in values:
        return UNSET
    body = b"".join(map(_kept_decimal, values))
    return _LENGTHS.pack(4 + len(body), len(values)) + body


def audit(op: str, lsn: int | None, committed_ms: int, produced_ms: int, written_ms: int) -> bytes:
    """A frozen<audit>: the fields of `AUDIT`, in their order. Raises struct.error for an `op` of more than a letter."""
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
    """A partition's key as Cassandra hashes it, from its columns' values with their lengths."""
    if len(parts) == 1:
        return parts[0][4:]
    # In a composite key a length has two bytes, and a zero ends each part.
    return b"".join(part[2:] + b"\x00" for part in parts)

"""A row in one spelling, whichever database it came from: what is compared, and hashed.

A row's line is PostgreSQL's COPY text of its columns, key first, then the version, then the rest: tabs between, times
as epoch milliseconds, decimals with all their digits. Cassandra's binary values are spelled the same way, so that the
bytes of PostgreSQL's answer are hashed as they come, unparsed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

from cryptocdc_core.catalogue import Column, Stream, Type
from cryptocdc_core.names import quoted
from cryptocdc_core.times import iso

Key = tuple[bytes, ...]
"""A row's key as it stands in its line."""

NULL = "\\N"
_DIGEST_BYTES = 16
_MODULUS = 1 << 8 * _DIGEST_BYTES


def ordered(stream: Stream) -> tuple[Column, ...]:
    """The columns of a line: the key, the version, the rest in the catalogue's order."""
    first = (*stream.key, "version")
    by_name = {column.name: column for column in stream.columns}
    return (*(by_name[name] for name in first), *(c for c in stream.columns if c.name not in first))


def key_of(stream: Stream, line: bytes) -> Key:
    return tuple(line.split(b"\t", len(stream.key))[: len(stream.key)])


def version_of(stream: Stream, line: bytes) -> int:
    """The row's version; -1 where a hand-written row of Cassandra has none."""
    text = line.split(b"\t", len(stream.key) + 1)[len(stream.key)]
    return -1 if text == NULL.encode() else int(text)


def time_of(stream: Stream, key: Key) -> int:
    """The time, in milliseconds, by which the row of this key is partitioned."""
    return int(key[stream.key.index(stream.time)])


def shown(stream: Stream, line: bytes) -> dict[str, str | None]:
    """A line's values by column, to be read by people: times in ISO's spelling, None for no value."""
    return {
        column.name: None if text == NULL else iso(int(text)) if column.type is Type.TIMESTAMP else text
        for column, text in zip(ordered(stream), line.decode().split("\t"), strict=True)
    }


@dataclass(slots=True)
class Tally:
    """Count and digest of lines. The digest is a sum, so that the order in which they come does not matter, and a line
    that comes twice does not cancel itself out, as it would with exclusive or.
    """

    rows: int = 0
    digest: int = 0

    def add(self, line: bytes) -> None:
        self.rows += 1
        self.digest = (self.digest + digest_of(line)) % _MODULUS


def digest_of(line: bytes) -> int:
    return int.from_bytes(blake2b(line, digest_size=_DIGEST_BYTES).digest(), "big")


def postgres_columns(stream: Stream) -> str:
    """The SELECT list whose COPY text is a line."""
    return ", ".join(
        f"(extract(epoch from {quoted(c.name)}) * 1000)::bigint" if c.type is Type.TIMESTAMP else quoted(c.name)
        for c in ordered(stream)
    )


Spell = Callable[[bytes], str]


_BIGINT = struct.Struct(">q").unpack
_INTEGER = struct.Struct(">i").unpack
_LENGTH = struct.Struct(">i").unpack_from


def _bigint(raw: bytes) -> str:
    return str(_BIGINT(raw)[0])


def _integer(raw: bytes) -> str:
    return str(_INTEGER(raw)[0])


@lru_cache(1 << 16)
def _decimal(raw: bytes) -> str:
    """CQL's decimal: four bytes of scale, then the unscaled number, big-endian.

    Remembered, since most of the time goes here and prices come again and again.
    """
    scale = _LENGTH(raw)[0]
    digits = str(int.from_bytes(raw[4:], "big", signed=True))
    if scale <= 0:
        return digits if scale == 0 or digits == "0" else digits + "0" * -scale
    if len(digits) > scale and digits[0] != "-":
        return f"{digits[:-scale]}.{digits[-scale:]}"
    sign, digits = ("-", digits[1:]) if digits[0] == "-" else ("", digits)
    digits = digits.zfill(scale + 1)
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}"


def _decimals(raw: bytes) -> str:
    """CQL's frozen list: a count, then each element with its length."""
    parts, at = [], 4
    for _ in range(_LENGTH(raw)[0]):
        end = at + 4 + _LENGTH(raw, at)[0]
        parts.append(_decimal(raw[at + 4 : end]) if end >= at + 4 else "NULL")
        at = max(end, at + 4)
    return "{" + ",".join(parts) + "}"


_ESCAPES = str.maketrans(
    {"\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
)  # fmt: skip


def _text(raw: bytes) -> str:
    """As COPY escapes it."""
    return raw.decode().translate(_ESCAPES)


def _boolean(raw: bytes) -> str:
    return "t" if raw != b"\0" else "f"


_SPELL: dict[Type, Spell] = {
    Type.TEXT: _text, Type.BIGINT: _bigint, Type.INTEGER: _integer, Type.TIMESTAMP: _bigint,
    Type.BOOLEAN: _boolean, Type.DECIMAL: _decimal, Type.DECIMALS: _decimals,
}  # fmt: skip


def spellers(stream: Stream) -> tuple[Spell, ...]:
    """How each of a line's columns is spelled from Cassandra's binary value."""
    return tuple(_SPELL[column.type] for column in ordered(stream))


def spelled(spellers: Sequence[Spell], row: Sequence[bytes | None]) -> bytes:
    """The line of a row of Cassandra's binary values."""
    return "\t".join(
        [NULL if raw is None else spell(raw) for spell, raw in zip(spellers, row, strict=True)]
    ).encode()  # fmt: skip

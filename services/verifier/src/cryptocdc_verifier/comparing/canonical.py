"""The canonical form of a row from either database, which is compared and hashed.

A row's line is PostgreSQL's COPY text of its columns, key first, then the version, then the rest: separated by tabs,
times as epoch milliseconds, decimals with all their digits. Cassandra's binary values are converted to the same form,
so that the bytes of PostgreSQL's response are hashed unparsed. Where Cassandra has what PostgreSQL can't have, such as
a number without bytes, the line is one that PostgreSQL never writes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b

from cryptocdc_adapters.cassandra.raw_rows import EMPTY_NUMBER, decimal_text
from cryptocdc_core.catalogue import Column, Stream, Type
from cryptocdc_core.names import quoted
from cryptocdc_core.time.times import iso

Key = tuple[bytes, ...]
"""A row's key as in its line."""

NULL = "\\N"
_DIGEST_BYTES = 16
_MODULUS = 1 << 8 * _DIGEST_BYTES


def ordered(stream: Stream) -> tuple[Column, ...]:
    """Return the columns of a line: the key, the version, then the rest in the catalogue's order."""
    first = (*stream.key, "version")
    by_name = {column.name: column for column in stream.columns}
    return (*(by_name[name] for name in first), *(c for c in stream.columns if c.name not in first))


def key_of(stream: Stream, line: bytes) -> Key:
    return tuple(line.split(b"\t", len(stream.key))[: len(stream.key)])


def version_of(stream: Stream, line: bytes) -> int:
    """Return the row's version; -1 if a hand-written row in Cassandra has none."""
    text = line.split(b"\t", len(stream.key) + 1)[len(stream.key)]
    return -1 if text == NULL.encode() else int(text)


def time_of(stream: Stream, key: Key) -> int:
    """Return the time, in milliseconds, by which the row with this key is partitioned."""
    return int(key[stream.key.index(stream.time)])


def shown(stream: Stream, line: bytes) -> dict[str, str | None]:
    """Return a line's values by column for display: times in ISO 8601, None for no value."""
    return {
        column.name: None if text == NULL else iso(int(text)) if column.type is Type.TIMESTAMP else text
        for column, text in zip(ordered(stream), line.decode().split("\t"), strict=True)
    }


@dataclass(slots=True)
class Tally:
    """Count and digest of lines. The digest is a sum, so that order does not matter and a repeated line does not cancel
    itself out, as it would with XOR."""

    rows: int = 0
    digest: int = 0

    def add(self, line: bytes) -> None:
        self.rows += 1
        self.digest = (self.digest + digest_of(line)) % _MODULUS

    def add_all(self, lines: Iterable[bytes]) -> None:
        rows = total = 0
        for line in lines:
            rows += 1
            total += int.from_bytes(blake2b(line, digest_size=_DIGEST_BYTES).digest(), "big")  # `digest_of`, inlined
        self.rows += rows
        self.digest = (self.digest + total) % _MODULUS


def digest_of(line: bytes) -> int:
    return int.from_bytes(blake2b(line, digest_size=_DIGEST_BYTES).digest(), "big")


def postgres_columns(stream: Stream) -> str:
    """Return the SELECT list whose COPY text is a line."""
    return ", ".join(
        f"(extract(epoch from {quoted(c.name)}) * 1000)::bigint" if c.type is Type.TIMESTAMP else quoted(c.name)
        for c in ordered(stream)
    )


Convert = Callable[[bytes], str]


_BIGINT = struct.Struct(">q").unpack
_INTEGER = struct.Struct(">i").unpack
_LENGTH = struct.Struct(">i").unpack_from


def _bigint(raw: bytes) -> str:
    return str(_BIGINT(raw)[0]) if raw else EMPTY_NUMBER


def _integer(raw: bytes) -> str:
    return str(_INTEGER(raw)[0]) if raw else EMPTY_NUMBER


def _decimals(raw: bytes) -> str:
    """Convert a CQL frozen list: a count, then each element with its length."""
    parts, at = [], 4
    for _ in range(_LENGTH(raw)[0]):
        end = at + 4 + _LENGTH(raw, at)[0]
        parts.append(decimal_text(raw[at + 4 : end]) if end >= at + 4 else "NULL")
        at = max(end, at + 4)
    return "{" + ",".join(parts) + "}"


_ESCAPES = str.maketrans(
    {"\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
)  # fmt: skip


def _text(raw: bytes) -> str:
    """Escape text like COPY."""
    return raw.decode().translate(_ESCAPES)


def _boolean(raw: bytes) -> str:
    """Return COPY's letter; nothing, which COPY never writes, for an empty value, which a hand-written row can have."""
    return "" if not raw else "t" if raw != b"\0" else "f"


CONVERTERS: dict[Type, Convert] = {
    Type.TEXT: _text, Type.BIGINT: _bigint, Type.INTEGER: _integer, Type.TIMESTAMP: _bigint,
    Type.BOOLEAN: _boolean, Type.DECIMAL: decimal_text, Type.DECIMALS: _decimals,
}  # fmt: skip
"""The functions that convert Cassandra's binary value to the text in a line."""

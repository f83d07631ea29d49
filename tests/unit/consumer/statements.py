"""Reading our own statements back, as Cassandra would: what the tests compare with."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from cassandra import cqltypes

from cryptocdc_consumer.cql import NULL, UNSET
from cryptocdc_core.catalogue import AUDIT, DERIVED, STREAMS, Type
from cryptocdc_core.storage.ddl import cassandra_columns

KEYSPACE = "f"
_READ = {
    Type.TEXT: cqltypes.UTF8Type, Type.BIGINT: cqltypes.LongType, Type.TIMESTAMP: cqltypes.LongType,
    Type.INTEGER: cqltypes.Int32Type, Type.BOOLEAN: cqltypes.BooleanType, Type.DECIMAL: cqltypes.DecimalType,
    Type.DECIMALS: cqltypes.ListType.apply_parameters([cqltypes.DecimalType]),
}  # fmt: skip
AUDIT_TYPE = cqltypes.UserType.make_udt_class(
    "f", "audit", tuple(c.name for c in AUDIT), tuple(_READ[c.type] for c in AUDIT)
)
TYPES = {s.table: {c.name: c.type for c in cassandra_columns(s)} for s in STREAMS.values()} | {
    d.table: {c.name: c.type for c in d.columns} for d in DERIVED
}
KEYS = {s.table: (*s.partition, s.bucket.value, *s.clustering) for s in STREAMS.values()} | {
    d.table: (*d.partition, *d.clustering) for d in DERIVED
}


@dataclass
class Statement:
    table: str
    delete: bool
    values: dict[str, Any]
    timestamp: int
    ttl: int | None


@dataclass
class Prepared:
    """Replaces Session.prepare."""

    statements: list[str] = field(default_factory=list)

    def __call__(self, statement: str) -> bytes:
        self.statements.append(statement)
        return len(self.statements).to_bytes(16, "big")

    def read(self, raw: bytes) -> Statement:
        kind, length = struct.unpack_from(">BH", raw)
        assert (kind, length) == (1, 16)
        text = self.statements[int.from_bytes(raw[3:19], "big") - 1]
        (count,) = struct.unpack_from(">H", raw, 19)
        at, found = 21, []
        for _ in range(count):
            size = raw[at : at + 4]
            at += 4
            if size in (NULL, UNSET):
                found.append(None if size == NULL else UNSET)
                continue
            found.append(raw[at : at + int.from_bytes(size, "big")])
            at += int.from_bytes(size, "big")
        assert at == len(raw), "values and their count agree"
        assert text.count("?") == count
        return self._named(text, found)

    def _named(self, text: str, found: list[Any]) -> Statement:
        words = text.replace('"', " ").split()
        if words[0] == "DELETE":
            table = words[words.index(".") + 1]
            names = [word for word, then in pairwise(words) if then == "="]
            return Statement(table, True, self._values(table, names, found[1:]), _long(found[0]), None)
        table = words[words.index(".") + 1]
        names = [n.strip() for n in text[text.index("(") + 1 : text.index(")")].replace('"', "").split(",")]
        values = self._values(table, names, found[:-2])
        return Statement(table, False, values, _long(found[-2]), int.from_bytes(found[-1], "big", signed=True))

    @staticmethod
    def _values(table: str, names: list[str], found: list[Any]) -> dict[str, Any]:
        return {
            name: _type(table, name).deserialize(raw, 5) if isinstance(raw, bytes) and raw != UNSET else raw
            for name, raw in zip(names, found, strict=True)
        }


def _type(table: str, name: str) -> Any:
    return AUDIT_TYPE if name == "audit" else _READ[TYPES[table][name]]


def _long(raw: bytes) -> int:
    return int.from_bytes(raw, "big", signed=True)


class Table:
    """The effect of statements in Cassandra: for each cell the greatest timestamp wins, a delete before a write of the
    same; a row lives while any cell of it does."""

    def __init__(self) -> None:
        self._cells: dict[tuple[Any, ...], dict[str, tuple[int, Any]]] = {}
        self._deletes: dict[tuple[Any, ...], int] = {}

    def apply(self, statement: Statement) -> None:
        key = (statement.table, *(statement.values[n] for n in KEYS[statement.table] if n in statement.values))
        if statement.delete:
            self._deletes[key] = max(statement.timestamp, self._deletes.get(key, statement.timestamp))
            return
        cells = self._cells.setdefault(key, {})
        for name, value in statement.values.items():
            if value == UNSET:
                continue
            new = (statement.timestamp, value)
            if name not in cells or (new[0], repr(new[1])) > (cells[name][0], repr(cells[name][1])):
                cells[name] = new

    def rows(self, table: str) -> dict[tuple[Any, ...], dict[str, Any]]:
        """The living rows by key, without the audit of when they were written."""
        living = {}
        for key, cells in self._cells.items():
            deleted = max((at for by, at in self._deletes.items() if key[: len(by)] == by), default=-(2**63))
            kept = {name: value for name, (at, value) in cells.items() if at > deleted}
            if key[0] == table and kept:
                living[key] = kept
        return living

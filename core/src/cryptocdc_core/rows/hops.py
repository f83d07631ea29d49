"""The trace of one row through every hop: what each place stores of it, when it arrived, and the source of that. Pure.

There are five hops: the exchange's event, the producer, PostgreSQL's commit, Kafka's record, Cassandra's row. What is
unknown is left out, and `note` says why. Where one place reports about another (a change contains PostgreSQL's LSN and
commit time, Cassandra's audit contains all times), `source` names the place that reports it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from cryptocdc_core.catalogue import AUDIT, Stream, Type
from cryptocdc_core.rows.changes import Change
from cryptocdc_core.time.times import iso, iso_us, millis

EXCHANGE, PRODUCER, POSTGRES, KAFKA, CASSANDRA = HOPS = ("exchange", "producer", "postgres", "kafka", "cassandra")

Values = dict[str, Any]
"""A row by column, in one format wherever it was read: times in ms, decimals as text with all their digits."""


def exact(stream: Stream, row: Mapping[str, Any]) -> Values:
    """Convert a row from a driver (naive UTC times, Decimal) or from a change to that one format."""
    return {column.name: _plain(column.type, row[column.name]) for column in stream.columns}


def _plain(kind: Type, value: Any) -> Any:
    if kind is Type.TIMESTAMP and isinstance(value, datetime):
        return millis(value)
    if kind is Type.DECIMAL and isinstance(value, Decimal):
        return format(value, "f")
    if kind is Type.DECIMALS and value is not None:
        return [_plain(Type.DECIMAL, part) for part in value]
    return value


def lsn_text(lsn: int) -> str:
    """Format a WAL position as PostgreSQL does, e.g. 0/16B3748."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def differing(stream: Stream, one: Values, other: Values) -> list[str]:
    """Return the columns in which two rows differ, compared digit by digit."""
    return [name for name in stream.column_names if one[name] != other[name]]


@dataclass(frozen=True)
class Frame:
    """What the exchange sent, as the tracer received it itself: the producer keeps no frames."""

    text: str
    channel: str
    """The stream's name at the exchange, or the request that was sent over REST."""
    received_us: int
    values: Values | None
    """The row's columns that it contains; None if a row results from several frames."""


@dataclass(frozen=True)
class Stored:
    """PostgreSQL's row. `xmin` is the transaction that wrote it."""

    table: str
    values: Values
    xmin: int


@dataclass(frozen=True)
class Sent:
    """Kafka's record of one change. For a delete (op d) `values` has only the key's columns."""

    topic: str
    partition: int
    offset: int
    at_ms: int
    """When Kafka Connect sent it to Kafka: the record's timestamp."""
    size: int
    """Bytes of the value."""
    op: str
    lsn: int | None
    committed_us: int
    values: Values


def sent(stream: Stream, change: Change, topic: str, partition: int, offset: int, at_ms: int, size: int) -> Sent:
    names = stream.key if change.op == "d" else stream.column_names
    values = {name: getattr(change, name) for name in names}
    return Sent(topic, partition, offset, at_ms, size, change.op, change.lsn, change.committed_us, values)


@dataclass(frozen=True)
class Written:
    """Cassandra's row. `write_us` and `ttl_s` are WRITETIME and remaining TTL of its column `version`, None without
    one. `audit` has the fields of AUDIT, times in ms; it is empty if the row was written by hand."""

    table: str
    bucket_ms: int
    values: Values
    write_us: int | None
    ttl_s: int | None
    audit: Values = field(default_factory=dict)


def audit_of(row: Any) -> Values:
    """Convert the column `audit` as Cassandra's driver returns it."""
    if row is None:
        return {}
    return {column.name: _plain(column.type, getattr(row, column.name)) for column in AUDIT}


@dataclass(frozen=True)
class Hop:
    """`at_us` is when the row arrived, by that place's clock; clocks may differ. None: unknown, or not there."""

    name: str
    at_us: int | None
    source: str
    """Where this information comes from."""
    facts: dict[str, Any]
    note: str = ""
    """Why the row is not there, or was not looked up."""


@dataclass
class Trail:
    """What was found of one row. `notes`: by hop, why nothing was found there, or why it was not looked up."""

    stream: Stream
    key: Values
    frame: Frame | None = None
    stored: Stored | None = None
    sent: Sent | None = None
    written: Written | None = None
    notes: dict[str, str] = field(default_factory=dict)
    read_back_us: int | None = None
    """When the tracer read it from Cassandra, so it was acknowledged by then. Only for a row that it waited for."""

    @property
    def values(self) -> Values:
        """The row, from the earliest place that has it."""
        held = self.held
        return next(iter(held.values())) if held else self.key

    @property
    def held(self) -> dict[str, Values]:
        """The rows to compare, by place."""
        found: dict[str, Values] = {}
        if self.stored is not None:
            found[POSTGRES] = self.stored.values
        if self.sent is not None and self.sent.op != "d":
            found[KAFKA] = self.sent.values
        if self.written is not None:
            found[CASSANDRA] = self.written.values
        return found

    @property
    def differing(self) -> dict[str, list[str]]:
        """By place, the columns that differ from the first place's row; for a frame, those it has that differ."""
        (first, row), *others = self.held.items() or [("", {})]
        found = {name: differing(self.stream, row, other) for name, other in others}
        if self.frame is not None and self.frame.values is not None and first:
            found[EXCHANGE] = differing(self.stream, row, row | self.frame.values)
        return {name: columns for name, columns in found.items() if columns}

    @property
    def compared(self) -> list[str]:
        """The places whose rows were compared."""
        framed = self.frame is not None and self.frame.values is not None
        return [EXCHANGE] * framed + list(self.held)

    @property
    def equal(self) -> bool:
        """Whether the row has arrived in Cassandra and is the same everywhere."""
        return self.written is not None and not self.differing

    def hops(self) -> list[Hop]:
        return [self._exchange(), self._producer(), self._postgres(), self._kafka(), self._cassandra()]

    def _exchange(self) -> Hop:
        event, framed = self.values.get(self.stream.event), self.frame
        facts: dict[str, Any] = {}
        if framed is not None:
            asked = "asked" if "?" in framed.channel else "channel"
            facts = {asked: framed.channel, "received_here": iso_us(framed.received_us), "frame": framed.text}
        source = f"the row's {self.stream.event}" if self.held else ""
        return Hop(EXCHANGE, _us(event), source, facts, self._note(EXCHANGE, event))

    def _producer(self) -> Hop:
        received = self.values.get("received_at")
        source = "the row's received_at" if received is not None else ""
        return Hop(PRODUCER, _us(received), source, {}, self._note(PRODUCER, received))

    def _postgres(self) -> Hop:
        stored, change, audit = self.stored, self.sent, self.written.audit if self.written is not None else {}
        facts: dict[str, Any] = {}
        if stored is not None:
            facts = {"table": stored.table, "xmin": stored.xmin}
        if "version" in self.values:
            facts["version"] = self.values["version"]
        at_us, lsn, op, source = None, None, None, ""
        if change is not None:
            at_us, lsn, op, source = change.committed_us, change.lsn, change.op, "the change in Kafka"
        elif audit:
            at_us, lsn, op, source = _us(audit["committed_at"]), audit["lsn"], audit["op"], "Cassandra's audit"
        if op is not None:
            facts["op"] = op
        if lsn is not None:
            facts["lsn"] = lsn_text(lsn)
        if stored is not None:
            source = f"PostgreSQL; time and LSN: {source}" if source else "PostgreSQL"
        return Hop(POSTGRES, at_us, source, facts, self._note(POSTGRES, stored or source or None))

    def _kafka(self) -> Hop:
        change = self.sent
        if change is not None:
            facts = {
                "topic": change.topic, "partition": change.partition, "offset": change.offset, "bytes": change.size,
            }  # fmt: skip
            return Hop(KAFKA, change.at_ms * 1000, "the record", facts, self._note(KAFKA, change))
        produced = self.written.audit.get("produced_at") if self.written is not None else None
        source = "" if produced is None else "Cassandra's audit"
        return Hop(KAFKA, _us(produced), source, {}, self._note(KAFKA, None))

    def _cassandra(self) -> Hop:
        row = self.written
        if row is None:
            deleted = (
                "deleted in PostgreSQL, and therefore here" if self.sent is not None and self.sent.op == "d" else ""
            )
            return Hop(CASSANDRA, None, "", {}, deleted or self._note(CASSANDRA, None))
        facts: dict[str, Any] = {
            "table": row.table,
            self.stream.bucket_column: iso(row.bucket_ms),
            "writetime": row.write_us,
            "ttl_s": row.ttl_s,
        }
        if self.read_back_us is not None:
            facts["read_back"] = iso_us(self.read_back_us)
        source = "its audit: when the consumer sent it" if row.audit else "Cassandra; no audit, so written by hand"
        return Hop(CASSANDRA, _us(row.audit.get("written_at")), source, facts, self._note(CASSANDRA, row))

    def _note(self, hop: str, there: object) -> str:
        return self.notes.get(hop, "" if there is not None else "not found")

    @property
    def took_ms(self) -> float | None:
        """From the exchange's event to the consumer's write."""
        first, *_, last = self.hops()
        return None if first.at_us is None or last.at_us is None else (last.at_us - first.at_us) / 1000

    def to_json(self) -> dict[str, Any]:
        """Return what the command prints and the API returns."""
        return {
            "table": self.stream.table,
            "symbol": self.key["symbol"],
            "key": in_words(self.stream, self.key, self.stream.key),
            "hops": hops_json(self.hops()),
            "values": {place: in_words(self.stream, row, self.stream.column_names) for place, row in self.held.items()},
            "compared": self.compared,
            "differing": self.differing,
            "equal": self.equal,
            "took_ms": self.took_ms,
        }


def hops_json(hops: Sequence[Hop]) -> list[dict[str, Any]]:
    """Convert the hops to JSON, with `after_ms`, the time since the last preceding hop that has a time."""
    found: list[dict[str, Any]] = []
    before: int | None = None
    for hop in hops:
        at = hop.at_us
        found.append(
            {
                "hop": hop.name,
                "at": None if at is None else iso_us(at),
                "at_ms": None if at is None else at // 1000,
                "after_ms": None if at is None or before is None else (at - before) / 1000,
                "source": hop.source,
                "facts": hop.facts,
                "note": hop.note,
            }
        )
        before = at if at is not None else before
    return found


def in_words(stream: Stream, row: Values, names: Sequence[str]) -> Values:
    """Return the columns `names` with times in ISO 8601 and everything else unchanged."""
    return {
        name: iso(row[name]) if stream.types[name] is Type.TIMESTAMP and row[name] is not None else row[name]
        for name in names
        if name in row
    }


def _us(at_ms: int | None) -> int | None:
    return None if at_ms is None else at_ms * 1000

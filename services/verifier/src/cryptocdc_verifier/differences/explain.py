"""Describes differing keys: both values, the origin of Cassandra's, and the likely cause."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from cryptocdc_core.catalogue import AUDIT, Stream, Type
from cryptocdc_core.names import quoted
from cryptocdc_core.storage.ddl import AUDIT_COLUMN
from cryptocdc_core.time.times import iso, millis
from cryptocdc_verifier.comparing.canonical import Key, shown, version_of
from cryptocdc_verifier.comparing.cassandra import CassandraSide
from cryptocdc_verifier.comparing.tables import Difference
from cryptocdc_verifier.differences.causes import Cause, Evidence, computed_cause, likely_cause
from cryptocdc_verifier.differences.dead_letters import DeadLetter, Pending
from cryptocdc_verifier.differences.records import Sent, trace
from cryptocdc_verifier.target import Target


@dataclass(frozen=True)
class Finding:
    """A difference and what was found out about it. `write_times` and `audit` are empty without a row in Cassandra."""

    difference: Difference
    cause: Cause
    columns: Sequence[str]
    write_times: dict[str, int | None]
    audit: dict[str, Any]
    sent: Sequence[Sent]


def investigate(
    target: Target, cassandra: CassandraSide, pending: Pending, stream: Stream, differences: Sequence[Difference]
) -> list[Finding]:
    """Return what Cassandra, Kafka and the dead letters say about differences of one table. Raises KafkaException."""
    traced = trace(target.kafka, target.names, stream, {difference.key for difference in differences})
    topic = target.names.change_topic(stream.table)
    letters = DeadLettersByKey(stream, [letter for letter in pending.letters if letter.topic == topic])
    found = []
    for difference in differences:
        audit, write_times = _origin(cassandra, difference)
        seen = Evidence(
            kind=difference.kind,
            postgres_version=None if difference.postgres is None else version_of(stream, difference.postgres),
            cassandra_version=None if difference.cassandra is None else version_of(stream, difference.cassandra),
            columns=_differing(difference),
            write_times=write_times,
            op=audit.get("op"),
            lsn=audit.get("lsn"),
            letters=letters.of(difference.key),
            sent=traced.changes[difference.key],
            complete=traced.complete,
        )
        cause = (
            Cause("computed", computed_cause(difference.kind)) if stream.computed_from is not None else
            likely_cause(seen)
        )  # fmt: skip
        found.append(Finding(difference, cause, seen.columns, write_times, audit, seen.sent))
    return found


def explain(
    target: Target, cassandra: CassandraSide, pending: Pending, differences: Sequence[Difference]
) -> list[dict[str, Any]]:
    """Return one entry per difference: table, kind, key, differing columns, both rows, writetime, audit, cause."""
    by_table: defaultdict[str, list[Difference]] = defaultdict(list)
    for difference in differences:
        by_table[difference.stream.table].append(difference)
    return [
        _describe(finding)
        for group in by_table.values()
        for finding in investigate(target, cassandra, pending, group[0].stream, group)
    ]


def _differing(difference: Difference) -> list[str]:
    """Return the columns in which the two rows differ; none if only one side has a row."""
    if difference.postgres is None or difference.cassandra is None:
        return []
    stream = difference.stream
    ours, theirs = shown(stream, difference.postgres), shown(stream, difference.cassandra)
    return [column.name for column in stream.values if ours[column.name] != theirs[column.name]]


def _describe(finding: Finding) -> dict[str, Any]:
    difference, stream = finding.difference, finding.difference.stream
    return {
        "table": stream.table,
        "kind": difference.kind,
        "key": _key_in_words(stream, difference.key),
        "columns": finding.columns,
        "postgres": None if difference.postgres is None else shown(stream, difference.postgres),
        "cassandra": None if difference.cassandra is None else shown(stream, difference.cassandra),
        "writetime": {
            name: finding.write_times[name] for name in ("version", *finding.columns) if name in finding.write_times
        },
        "audit": {name: _in_words(value) for name, value in finding.audit.items() if value is not None},
        "sent": [f"{c.op} in partition {c.partition}, offset {c.offset}" for c in finding.sent[-5:]],
        "cause": finding.cause.text,
    }


def _origin(cassandra: CassandraSide, difference: Difference) -> tuple[dict[str, Any], dict[str, int | None]]:
    """Return the audit of Cassandra's row, and each value's WRITETIME in microseconds; both empty without a row."""
    stream = difference.stream
    if difference.cassandra is None:
        return {}, {}
    values = [column.name for column in stream.values]
    times = ", ".join(f"WRITETIME({quoted(name)})" for name in values)
    key = (*stream.partition, stream.bucket_column, *stream.clustering)
    where = " AND ".join(f"{quoted(name)} = %s" for name in key)
    by_name = dict(zip(stream.key, difference.key, strict=True))
    bound: list[object] = [*difference.partition.prefix, difference.partition.bucket]
    for name in stream.clustering:
        text = by_name[name].decode()
        bound.append(text if stream.types[name] is Type.TEXT else int(text))
    row = cassandra.session.execute(
        f"SELECT {AUDIT_COLUMN}, {times} FROM {cassandra.table(stream)} WHERE {where}",  # noqa: S608
        bound,
    ).one()
    if row is None:
        return {}, {}
    audit = {column.name: getattr(row[0], column.name) for column in AUDIT} if row[0] is not None else {}
    return audit, dict(zip(values, row[1:], strict=True))


class DeadLettersByKey:
    """Dead letters of one stream by the key that they are about: by its fields in JSON, which is decoded once for all
    differences; one that is no JSON is about each key whose parts it contains."""

    def __init__(self, stream: Stream, letters: Iterable[DeadLetter]) -> None:
        self._by_key: defaultdict[Key, list[DeadLetter]] = defaultdict(list)
        self._undecodable: list[DeadLetter] = []
        for letter in letters:
            try:
                document = msgspec.json.decode(letter.value)
            except (msgspec.DecodeError, UnicodeDecodeError):
                self._undecodable.append(letter)
                continue
            for within in ("payload", "after"):
                if isinstance(document, dict) and isinstance(document.get(within), dict):
                    document = document[within]
            if isinstance(document, dict):
                self._by_key[tuple(str(document.get(name)).encode() for name in stream.key)].append(letter)

    def of(self, key: Key) -> list[DeadLetter]:
        """Return the dead letters about a key, those in JSON first."""
        searched = (letter for letter in self._undecodable if all(part in letter.value for part in key))
        return [*self._by_key.get(key, ()), *searched]


def _in_words(value: object) -> str:
    return iso(millis(value)) if isinstance(value, datetime) else str(value)


def _key_in_words(stream: Stream, key: Key) -> dict[str, str]:
    return {
        name: iso(int(part)) if stream.types[name] is Type.TIMESTAMP else part.decode()
        for name, part in zip(stream.key, key, strict=True)
    }

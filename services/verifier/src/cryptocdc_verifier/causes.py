"""Derives the likely cause of a difference from the evidence. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptocdc_core.times import iso
from cryptocdc_verifier.compare import Kind
from cryptocdc_verifier.dead_letters import DeadLetter
from cryptocdc_verifier.trace import Sent


@dataclass(frozen=True)
class Evidence:
    """What is known about a differing key.

    `columns` are those that differ. `write_times` are Cassandra's, in microseconds, by column; `op` and `lsn` are from
    its audit. `sent` are the row's changes in Kafka, oldest first; `complete` says whether Kafka was searched from its
    beginning.
    """

    kind: Kind
    postgres_version: int | None
    cassandra_version: int | None
    columns: Sequence[str]
    write_times: Mapping[str, int | None]
    op: str | None
    lsn: int | None
    letters: Sequence[DeadLetter]
    sent: Sequence[Sent]
    complete: bool


def likely_cause(seen: Evidence) -> str:
    if seen.letters:
        return f"its change is a dead letter: {seen.letters[0].reason or 'without a reason'}; replay it"
    return {"missing": _missing, "extra": _extra, "different": _different}[seen.kind](seen)


def computed_cause(kind: Kind) -> str:
    """Return the likely cause of a difference in a computed table, whose other row was computed from stored rows."""
    return {
        "missing": "its rows are stored, but no analyzer computed it: none ran before Kafka's retention removed them,"
        " or it was deleted in Cassandra by hand",
        "extra": "the rows that it was computed from are not stored: deleted by hand, or dead letters",
        "different": "the rows stored now are not those that it was computed from: altered or deleted by hand, left out"
        " or altered by a transform, or dead letters; or the computed row was altered by hand",
    }[kind]


def _missing(seen: Evidence) -> str:
    deletes = [at for at, change in enumerate(seen.sent) if change.op == "d"]
    if deletes and deletes[-1] < len(seen.sent) - 1:
        return (
            "the key was deleted in PostgreSQL and inserted again, which is not supported: in Cassandra the delete"
            f" of {iso(seen.sent[deletes[-1]].committed_us // 1000)} still wins over the new row"
        )
    if deletes:
        return "its last change in Kafka is its delete: the row's insert after that never passed the slot"
    if seen.sent:
        last = seen.sent[-1]
        return (
            f"its change is in Kafka (partition {last.partition}, offset {last.offset}) and the consumers have passed"
            " it: deleted in Cassandra by hand, or expired there too early"
        )
    if seen.complete:
        return "Kafka has no change of it: it never passed the slot, or Kafka's retention has removed it"
    return "deleted in Cassandra by hand, or its change never passed the slot; it is not among Kafka's newest records"


def _extra(seen: Evidence) -> str:
    if seen.op is None and seen.lsn is None:
        return "not in PostgreSQL, and without Debezium's op and lsn: written to Cassandra by hand"
    if seen.sent and seen.sent[-1].op == "d":
        return "deleted in PostgreSQL, but written to Cassandra by hand after the delete"
    return (
        f"it came through the pipeline (op {seen.op}, lsn {seen.lsn}) and disappeared from PostgreSQL without a delete"
        " that the slot saw: a dropped partition, a TRUNCATE, or a delete before the slot was created"
    )


def _different(seen: Evidence) -> str:
    ours, theirs = seen.postgres_version, seen.cassandra_version
    foreign = [name for name in seen.columns if seen.write_times.get(name) not in (None, ours, theirs)]
    by_hand = [name for name in foreign if (seen.write_times[name] or 0) > max(ours or 0, theirs or 0)]
    if by_hand:
        when = seen.write_times[by_hand[0]] or 0
        return (
            f"{', '.join(by_hand)}: Cassandra's WRITETIME {when} ({iso(when // 1000)}) is a wall clock, newer than the"
            f" row's version: written by hand without USING TIMESTAMP"
        )
    gone = [name for name in seen.columns if seen.write_times.get(name) is None]
    # An update that was lost may have been the first to give a nullable column a value.
    if gone and (ours == theirs or "version" in gone):
        return f"{', '.join(gone)}: no value in Cassandra, so deleted there by hand"
    if ours is not None and theirs is not None and theirs < ours:
        return f"the update to version {ours} is not in Cassandra, which has {theirs}: the update was lost"
    if ours is not None and theirs is not None and theirs > ours:
        return f"Cassandra has version {theirs}, newer than PostgreSQL's {ours}: written by hand, or reverted here"
    if foreign:
        return (
            f"{', '.join(foreign)}: Cassandra still has the value of an older version, which the row's version replaces"
        )
    return "both have the same version: changed by hand in PostgreSQL without raising it, so Cassandra kept its row"

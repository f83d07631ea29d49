"""Derives the likely cause of a difference from the evidence. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cryptocdc_core.rows.versions import deletion_version
from cryptocdc_core.time.times import iso
from cryptocdc_verifier.comparing.tables import Kind
from cryptocdc_verifier.differences.dead_letters import DeadLetter
from cryptocdc_verifier.differences.records import Sent

RECEIVED_AT = "received_at"
"""The column with our own time: everything else in a row is the exchange's."""


class Cause(NamedTuple):
    """A likely cause: its name, which metrics and reports count, and a sentence about this key.

    `wins_us` is the write time in microseconds of what is known to win over PostgreSQL's row in Cassandra.
    """

    name: str
    text: str
    wins_us: int | None = None


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


def likely_cause(seen: Evidence) -> Cause:
    if seen.letters:
        reason = seen.letters[0].reason or "without a reason"
        return Cause("dead_letter", f"its change is a dead letter: {reason}; replay it")
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


def _missing(seen: Evidence) -> Cause:
    deletes = [at for at, change in enumerate(seen.sent) if change.op == "d"]
    if deletes:
        deleted_us = max(seen.sent[at].committed_us for at in deletes)
        wins_us = deletion_version(deleted_us)
        if deletes[-1] < len(seen.sent) - 1:
            return Cause(
                "delete_wins",
                "the key was deleted in PostgreSQL and inserted again: in Cassandra the delete of"
                f" {iso(deleted_us // 1000)} still wins over the new row",
                wins_us,
            )
        return Cause(
            "insert_lost",
            "its last change in Kafka is its delete: the row's insert after that never passed the slot",
            wins_us,
        )
    if seen.sent:
        last = seen.sent[-1]
        return Cause(
            "deleted_by_hand",
            f"its change is in Kafka (partition {last.partition}, offset {last.offset}) and the consumers have passed"
            " it: deleted in Cassandra by hand, or expired there too early",
        )
    if seen.complete:
        return Cause(
            "never_sent", "Kafka has no change of it: it never passed the slot, or Kafka's retention has removed it"
        )
    return Cause(
        "untraced",
        "deleted in Cassandra by hand, or its change never passed the slot; it is not among Kafka's newest records",
    )


def _extra(seen: Evidence) -> Cause:
    if seen.op is None and seen.lsn is None:
        return Cause("extra", "not in PostgreSQL, and without Debezium's op and lsn: written to Cassandra by hand")
    if seen.sent and seen.sent[-1].op == "d":
        return Cause("extra", "deleted in PostgreSQL, but written to Cassandra by hand after the delete")
    return Cause(
        "extra",
        f"it came through the pipeline (op {seen.op}, lsn {seen.lsn}) and disappeared from PostgreSQL without a delete"
        " that the slot saw: a dropped partition, a TRUNCATE, or a delete before the slot was created",
    )


def _different(seen: Evidence) -> Cause:
    ours, theirs = seen.postgres_version, seen.cassandra_version
    foreign = [name for name in seen.columns if seen.write_times.get(name) not in (None, ours, theirs)]
    by_hand = [name for name in foreign if (seen.write_times[name] or 0) > max(ours or 0, theirs or 0)]
    if by_hand:
        when = seen.write_times[by_hand[0]] or 0
        return Cause(
            "wall_clock",
            f"{', '.join(by_hand)}: Cassandra's WRITETIME {when} ({iso(when // 1000)}) is a wall clock, newer than the"
            " row's version: written by hand without USING TIMESTAMP",
            max(at or 0 for at in seen.write_times.values()),
        )
    gone = [name for name in seen.columns if seen.write_times.get(name) is None]
    # An update that was lost may have been the first to give a nullable column a value.
    if gone and (ours == theirs or "version" in gone):
        return Cause("column_deleted", f"{', '.join(gone)}: no value in Cassandra, so deleted there by hand")
    if ours is not None and theirs is not None and theirs < ours:
        return Cause(
            "update_lost",
            f"the update to version {ours} is not in Cassandra, which has {theirs}: the update was lost",
        )
    if ours is not None and theirs is not None and theirs > ours:
        return Cause(
            "newer_version",
            f"Cassandra has version {theirs}, newer than PostgreSQL's {ours}: written by hand, or reverted here",
        )
    if foreign:
        return Cause(
            "older_value",
            f"{', '.join(foreign)}: Cassandra still has the value of an older version, which the row's version"
            " replaces",
        )
    if list(seen.columns) == [RECEIVED_AT]:
        return Cause(
            "received_again",
            "the same row of the exchange was received twice, which only received_at shows: PostgreSQL lost the first"
            " copy, such as by the restore of a backup, and Cassandra kept it",
            ours,
        )
    return Cause(
        "same_version",
        "both have the same version: changed by hand in PostgreSQL without raising it, so Cassandra kept its row; or"
        " written to Cassandra by hand with the row's own version",
    )

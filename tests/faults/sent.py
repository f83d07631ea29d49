"""What a feed's change topics hold: how much was sent more than once, and what a new snapshot sent again."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.rows.changes import META
from tests.integration.topics import Found


@dataclass(frozen=True)
class Sent:
    records: int
    repeated: int
    """Records of a version of a row that another record has, too."""
    before: int
    """Rows that were in Kafka before the fault."""
    snapshot: int
    """Those of them that a snapshot sent again after it."""


def sent(topics: Iterable[tuple[Stream, Iterable[Found]]], since_ms: float) -> Sent:
    """Return what the topics hold. `since_ms`: when the fault began. Records that can't be decoded are left out."""
    records = distinct = before = snapshot = 0
    for stream, found in topics:
        versions: set[tuple[object, ...]] = set()
        known: set[tuple[object, ...]] = set()
        again: set[tuple[object, ...]] = set()
        for record in found:
            with contextlib.suppress(ValueError, TypeError, KeyError):
                row = json.loads(record.value or b"")
                key = _key(stream, row)
                versions.add((*key, row["version"]))
                records += 1
                if record.at_ms < since_ms:
                    known.add(key)
                elif row[META["op"]] == "r":
                    again.add(key)
        distinct += len(versions)
        before += len(known)
        snapshot += len(known & again)
    return Sent(records, records - distinct, before, snapshot)


def _key(stream: Stream, row: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(row[column] for column in stream.key)

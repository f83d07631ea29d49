"""What the last line of a run says about its connectors."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from cryptocdc_adapters.replication.connect import ConnectorState, Position
from cryptocdc_adapters.replication.shards import ShardState
from cryptocdc_adapters.replication.slots import Slot
from cryptocdc_core.names import Names
from cryptocdc_core.storage.shards import shards
from cryptocdc_local.running import guard
from cryptocdc_local.running.guard import ConnectorGuard

(SHARD,) = shards(Names("fid"), 1)
SLOT = Slot(SHARD.slot, 1000, True, "reserved", 0)
RUNNING, UNASSIGNED = ConnectorState("RUNNING", ("RUNNING",), ""), ConnectorState("UNASSIGNED", (), "")

BEGINS = ShardState(SLOT, RUNNING, None)
SNAPSHOT = ShardState(SLOT, RUNNING, Position(1000, given=False, snapshot=True))
READS = ShardState(SLOT, RUNNING, Position(1000, given=False))
FAILS = ShardState(SLOT, UNASSIGNED, SNAPSHOT.position)
STARTS = ShardState(SLOT, UNASSIGNED, None)
GONE = ShardState(None, RUNNING, Position(1000, given=False))

LOST = "connector: Connect has lost its offsets; taking a new snapshot of all rows in PostgreSQL"


def said(monkeypatch: pytest.MonkeyPatch, *looks: ShardState) -> list[str]:
    """Return what the guard says at each look."""
    found: Iterator[ShardState] = iter(looks)
    monkeypatch.setattr(guard, "observe", lambda *_: {SHARD: next(found)})
    monkeypatch.setattr(guard, "new_snapshot", lambda *_: None)
    plan: Any = SimpleNamespace(connectors={SHARD: {}})
    servers: Any = SimpleNamespace(connect=SimpleNamespace(url="http://127.0.0.1:1"))
    it = ConnectorGuard(plan, servers)
    return [it.step() for _ in looks]


def test_the_first_snapshot_of_a_feed_is_nothing_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, BEGINS, SNAPSHOT, READS, READS) == ["", "", "", ""]
    assert LOST not in said(monkeypatch, BEGINS, SNAPSHOT, FAILS, SNAPSHOT, READS)


@pytest.mark.parametrize("look", [BEGINS, SNAPSHOT])
def test_a_snapshot_because_connect_has_lost_its_offsets_is_reported_while_it_lasts(
    monkeypatch: pytest.MonkeyPatch, look: ShardState
) -> None:
    assert said(monkeypatch, READS, look, look, READS) == ["", LOST, LOST, ""]


def test_a_connector_that_starts_has_not_lost_its_offsets(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LOST not in said(monkeypatch, READS, STARTS, READS)


def test_a_snapshot_because_of_a_lost_slot_is_not_taken_for_lost_offsets(monkeypatch: pytest.MonkeyPatch) -> None:
    first, *rest = said(monkeypatch, READS, GONE, BEGINS, SNAPSHOT, READS)[1:]

    assert first == "connector: slot fid_slot was lost (it is gone); taking a new snapshot of all rows in PostgreSQL"
    assert rest == ["", "", ""]

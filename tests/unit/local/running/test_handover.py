"""Replacing a feed's connectors by another number of them on one machine: how long it is waited for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from cryptocdc_adapters.postgres import connections
from cryptocdc_adapters.replication.connect import ConnectError, ConnectorState, Position
from cryptocdc_adapters.replication.shards import ShardState
from cryptocdc_adapters.replication.slots import Slot
from cryptocdc_control.handover import Step
from cryptocdc_core.names import Names
from cryptocdc_core.storage.shards import Shard, shards
from cryptocdc_local.running import handover
from cryptocdc_local.running.handover import STALLED_S, Handover

NAMES = Names("fid")
ONE, FOUR = shards(NAMES, 1), shards(NAMES, 4)


def state(shard: Shard, confirmed: int, connector: str, *tasks: str, given: bool = False) -> ShardState:
    slot = Slot(shard.slot, confirmed, True, "reserved", 0)
    return ShardState(slot, ConnectorState(connector, tasks, ""), Position(confirmed, given))


READ = {shard: state(shard, 1000, "RUNNING", "RUNNING") for shard in FOUR}
ENDED = {shard: state(shard, 1100, "STOPPED") for shard in FOUR}
WAITS = {ONE[0]: state(ONE[0], 1050, "STOPPED", given=True)}
STARTS = {ONE[0]: state(ONE[0], 1050, "UNASSIGNED")}
RUNS = {ONE[0]: state(ONE[0], 1050, "RUNNING", "RUNNING")}


class Replacing(Handover):
    """Of four connectors by one; each look finds the next of `looks`, and half of STALLED_S passes after each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *looks: Mapping[Shard, ShardState]) -> None:
        plan: Any = SimpleNamespace(names=NAMES, connectors=dict.fromkeys(ONE))
        none: Any = SimpleNamespace(postgres=None)
        super().__init__(plan, none, none, none)
        self._looks: Iterator[Mapping[Shard, ShardState]] = iter(looks)
        self._now = 0.0
        self.steps: list[str] = []
        clock = SimpleNamespace(monotonic=lambda: self._now, sleep=self._sleep)
        monkeypatch.setattr(handover, "time", clock)
        monkeypatch.setattr(connections, "apply_schema", lambda *_: None)

    def _sleep(self, _: float) -> None:
        self._now += STALLED_S / 2 + 1

    def _observe(self) -> Mapping[Shard, ShardState]:
        return next(self._looks)

    def _act(self, step: Step, _: object) -> None:
        self.steps.append(step.value)

    def _recover(self, _: object) -> None: ...


def test_the_new_connectors_have_their_own_time_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer of them have confirmed less in all than those before, however far they are."""
    it = Replacing(
        monkeypatch, READ | WAITS, READ | WAITS, ENDED | WAITS, ENDED | STARTS, ENDED | STARTS, ENDED | RUNS, RUNS
    )

    it.run(lambda _: None)

    assert it.steps == ["drain", "drain", "start", "carry", "carry", "remove"]


def test_connectors_that_make_no_progress_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Replacing(monkeypatch, *[READ | WAITS] * 9)

    with pytest.raises(ConnectError, match=r"they do not advance: .* is RUNNING"):
        it.run(lambda _: None)
    assert it.steps == ["drain"] * 3

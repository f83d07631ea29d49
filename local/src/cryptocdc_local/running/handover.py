"""Carries out what `cryptocdc_control.handover` decides when a feed's number of connectors has changed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_adapters.replication import shards, slots
from cryptocdc_adapters.replication.connect import Connect, ConnectError
from cryptocdc_adapters.replication.shards import ShardState
from cryptocdc_control.handover import Step, decide, prepared
from cryptocdc_core.planning.connector import connector_config, for_plugins
from cryptocdc_core.planning.plan import Plan
from cryptocdc_core.planning.platform import PlatformFacts
from cryptocdc_core.program.settings import ServerSettings
from cryptocdc_core.storage.ddl import drop_publications
from cryptocdc_core.storage.shards import Shard

LOOK_S = 0.3
STALLED_S = 120.0
"""Give up once the old connectors have not advanced for this long; a backlog of hours is waited for."""
RESTART_S = 5.0

_REPORTS = {
    Step.CARRY: "waiting until the new ones run",
    Step.REMOVE: "removing the old ones",
    Step.SNAPSHOT: "the old ones can't be drained; the new ones take a snapshot of all rows in PostgreSQL",
    Step.PREPARE: "creating slots",
    Step.DRAIN: "waiting until the old ones have passed the new slots",
    Step.STOP: "stopping the old ones",
    Step.START: "starting the new ones",
}

States = Mapping[Shard, ShardState]


@dataclass
class Handover:
    """Replaces a feed's connectors by those of its plan, if their number has changed."""

    plan: Plan
    servers: ServerSettings
    facts: PlatformFacts
    connect: Connect

    def run(self, report: Callable[[str], None]) -> None:
        """Return once only the plan's slots, connectors and publications are left, or none.

        Raises ConnectError if the old connectors make no progress, psycopg2.Error, requests.RequestException.
        """
        before, since, restarted = -1, time.monotonic(), time.monotonic()
        said = None
        while True:
            found = self._observe()
            kept = list(self.plan.connectors)
            if all(shard in kept for shard in found):
                # After the slots, which can't be read without them, and whose connectors may be wanted again before.
                postgres.apply_schema(self.servers.postgres, [drop_publications(self.plan.names, kept)])
                return
            move = decide(self.plan.names, len(self.plan.connectors), found)
            if move.step is not said:
                report(f"connectors: {_REPORTS[move.step]}")
                said, before = move.step, -1  # of other connectors, whose positions can't be compared
            self._act(move.step, found)
            if move.step not in (Step.DRAIN, Step.CARRY):
                continue
            # What carries the changes must run for the handover to go on.
            reading = {shard: found.get(shard, ShardState()) for shard in move.active}
            if time.monotonic() - restarted > RESTART_S:
                restarted = time.monotonic()
                self._recover(reading)
            passed = sum(state.confirmed or 0 for state in reading.values())
            if passed > before:
                before, since = passed, time.monotonic()
            elif time.monotonic() - since > STALLED_S:
                states = ", ".join(f"{shard.connector} {_words(state)}" for shard, state in reading.items())
                raise ConnectError(f"the connectors' number can't be changed, they do not advance: {states}")
            time.sleep(LOOK_S)

    def _observe(self) -> States:
        with contextlib.closing(postgres.connect(self.servers.postgres, "slots", autocommit=True)) as connection:
            return shards.observe(connection, self.connect, self.plan.names, len(self.plan.connectors))

    def _act(self, step: Step, found: States) -> None:
        others = [shard for shard in found if shard not in self.plan.connectors]
        match step:
            case Step.REMOVE:
                for shard in others:
                    self._remove(shard)
            case Step.SNAPSHOT:
                # First its own: without others, they would go on from positions that nothing has carried up to.
                for shard in (*self.plan.connectors, *others):
                    self._remove(shard)
            case Step.PREPARE:
                for shard in self.plan.connectors:
                    self._prepare(shard, found.get(shard, ShardState()))
            case Step.STOP:
                for shard in others:
                    self.connect.stop(shard.connector)
                for shard in others:
                    self.connect.wait_stopped(shard.connector)
            case Step.START:
                for shard, config in self.plan.connectors.items():
                    self.connect.apply(shard.connector, config)
                    self.connect.resume(shard.connector)
                for shard in self.plan.connectors:
                    self.connect.wait_running(shard.connector)

    def _prepare(self, shard: Shard, state: ShardState) -> None:
        """Create its slot, and its connector, which reads from there on once it is started."""
        if prepared(state):
            return
        self._remove(shard)
        slots.create(self.servers.postgres, self.servers.replication, shard.slot)
        slot = slots.read(self.servers.postgres, shard.slot)
        if slot is not None:
            self.connect.place(shard.connector, self.plan.connectors[shard], slot.confirmed)

    def _recover(self, reading: States) -> None:
        for shard, found in reading.items():
            state = found.state
            if state is None:
                config = connector_config(shard, self.plan.carried, self.facts)
                self.connect.apply(shard.connector, for_plugins(config, self.connect.plugins()))
            elif state.state == "STOPPED":
                self.connect.resume(shard.connector)
            elif state.failed:
                self.connect.restart(shard.connector)

    def _remove(self, shard: Shard) -> None:
        self.connect.delete(shard.connector)
        slots.drop(self.servers.postgres, self.servers.replication, shard.slot)


def _words(state: ShardState) -> str:
    if state.state is None:
        return "is missing"
    why = "".join(f": {line}" for line in state.state.trace.splitlines()[:1])
    return f"is {state.state.state}, its task {', '.join(state.state.tasks) or 'missing'}{why}"

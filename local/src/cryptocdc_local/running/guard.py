"""Watches a feed's connectors during a run and carries out what `cryptocdc_control.connector` decides for each."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg2
import requests

from cryptocdc_adapters.replication.connect import Connect, ConnectError
from cryptocdc_adapters.replication.shards import ShardState
from cryptocdc_control.connector import MOST_SNAPSHOTS, Action, Recovery, decide
from cryptocdc_core.planning.connector import for_plugins
from cryptocdc_core.planning.plan import Plan
from cryptocdc_core.storage.shards import Shard
from cryptocdc_local.applier import Servers, apply_connectors, new_snapshot, observe


@dataclass
class ConnectorGuard:
    """Call `step` every few seconds; it returns a line about what is wrong or was done, "" while the connectors run.

    The history of attempts lasts for one run: starting the next one allows new snapshots again.
    """

    plan: Plan
    servers: Servers
    _recoveries: dict[Shard, Recovery] = field(default_factory=dict)
    _placed: set[Shard] = field(default_factory=set)
    """Shards whose connector had a position beyond its first snapshot, or beyond one that was taken here."""

    def step(self) -> str:
        connect = Connect(self.servers.connect.url)
        try:
            found = observe(self.servers, connect, self.plan)
            if any(shard not in self.plan.connectors for shard in found):
                # What an interrupted change of the connectors' number has left.
                apply_connectors(self.plan, self.servers, lambda _: None)
                return f"connectors: {len(self.plan.connectors)} carry the changes again"
            said = [self._step(shard, found.get(shard, ShardState()), connect) for shard in self.plan.connectors]
        except (ConnectError, requests.RequestException, psycopg2.Error) as error:
            return f"connector can't be checked: {' '.join(str(error).split())[:160]}"
        return "; ".join(filter(None, said))

    def _step(self, shard: Shard, found: ShardState, connect: Connect) -> str:
        name = f"connector {shard.suffix}".strip()
        state = found.state
        if state is None:
            connect.apply(shard.connector, for_plugins(self.plan.connectors[shard], connect.plugins()))
            return f"{name} was missing: created again"
        before, now = self._recoveries.get(shard, Recovery()), datetime.now(UTC)
        decision = decide(state, found.lost, before, None, now, unread=found.unread)
        recovery = self._recoveries[shard] = decision.recovery
        rows = f"all {'rows' if shard.rows is None else 'its rows'} in PostgreSQL"
        match decision.action:
            case Action.SNAPSHOT:
                self._placed.discard(shard)
                new_snapshot(shard, self.servers, connect)
                self._recoveries[shard] = recovery.model_copy(update={"snapshotting": False})
                return f"{name}: slot {shard.slot} was lost ({found.lost}); taking a new snapshot of {rows}"
            case Action.HALT:
                connect.stop(shard.connector)
                return (
                    f"{name} halted: slot {shard.slot} was lost again ({found.lost}) after {MOST_SNAPSHOTS} new"
                    " snapshots; fix the cause, then start the run again, which takes a new snapshot"
                )
            case Action.RESTART:
                connect.restart(shard.connector)
                if state.running:
                    return f"{name} hung: nothing read slot {shard.slot}; restart {recovery.restarts}"
                cause = state.trace.splitlines()[0][:200] if state.trace else "no trace"
                return f"{name} failed, restart {recovery.restarts}: {cause}"
        if found.position is not None and not found.position.snapshot:
            self._placed.add(shard)
        elif found.snapshotting and shard in self._placed:
            # Where Debezium finds no offsets it begins with a snapshot, without a failure.
            return f"{name}: Connect has lost its offsets; taking a new snapshot of {rows}"
        if found.slot is not None and state.running:
            return ""
        return f"{name} is {state.state}, its task {', '.join(state.tasks) or 'not started'}"

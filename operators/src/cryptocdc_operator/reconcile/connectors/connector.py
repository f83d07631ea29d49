"""A connector of a feed: apply it, restart it when it has failed, and recover from a lost replication slot."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from cryptocdc_adapters.replication.shards import ShardState
from cryptocdc_control.connector import Action, Decision, Recovery, decide
from cryptocdc_core.planning.plan import Plan
from cryptocdc_core.storage.shards import Shard
from cryptocdc_operator.context import Operator, PostEvent
from cryptocdc_operator.resources import kafka
from cryptocdc_operator.resources.labels import Owner
from cryptocdc_operator.servers.port import CONNECT, POSTGRES, Observed, Refused, Servers
from cryptocdc_operator.settings import Object
from cryptocdc_operator.status import assess
from cryptocdc_operator.status.conditions import Assessment

log = logging.getLogger("cryptocdc.operator")

SaveRecovery = Callable[[Recovery], None]
"""Stores the recovery in the feed's status, before it is acted on."""


@dataclass(frozen=True)
class ConnectorPass:
    """One pass over a connector."""

    operator: Operator
    owner: Owner
    plan: Plan
    shard: Shard
    servers: Servers
    observed: Observed
    post_event: PostEvent

    def reconcile(self, before: Recovery, allowed: str | None, save: SaveRecovery, *, tables_made: bool) -> Assessment:
        """Apply the connector and recover it if necessary; return its condition. `before`: the recovery so far.
        `tables_made`: the publication has the plan's tables, a precondition for a slot or a new configuration. If a
        server does not answer, the connector stays as it is."""
        if not self.observed.answers(CONNECT, POSTGRES):
            live = self._find()
            self._apply(_state(live), tables_made)
            return Assessment("Unknown", "PlatformNotReady", "Connect or PostgreSQL does not answer")
        decision = self._decide(before, allowed, save)
        stopped = decision.action in (Action.SNAPSHOT, Action.HALT)
        live = self._apply("stopped" if stopped else "running", tables_made)
        if live is None:
            return Assessment("False", "Waiting", "waiting for the tables")
        state = self._observed.state
        if stopped and state is not None and state.state != "STOPPED":
            # Strimzi does not stop a failed connector, and Connect would start it when it restarts itself.
            self.servers.stop_connector(self.shard.connector)
        if decision.action is Action.SNAPSHOT:
            self._prepare_snapshot(decision.recovery, save)
        return assess.connector(
            live,
            self._observed.state,
            current=self.observed.carries(self.shard, self.plan.connectors[self.shard]),
            action=decision.action,
            lost=self._observed.lost,
            recovery=decision.recovery,
        )

    def _apply(self, state: str, tables_made: bool) -> Object | None:
        if tables_made:
            wanted = kafka.connector(self.shard, self.plan, self.operator.settings, self.owner, state)
            return self.operator.cluster.apply(wanted)
        self._set(state)
        return self._find()

    def _decide(self, before: Recovery, allowed: str | None, save: SaveRecovery) -> Decision:
        found, now = self._observed, self.operator.now()
        lost = found.lost
        decision = decide(found.state, lost, before, allowed, now, unread=found.unread)
        save(decision.recovery)
        if decision.action is Action.RESTART:
            self.servers.restart_connector(self.shard.connector)
            self.operator.metrics.connector_restarts.labels(self.plan.feed.name).inc()
            self.post_event("Warning", "ConnectorRestarted", f"{self._which}attempt {decision.recovery.restarts}")
        if decision.recovery.snapshots > before.snapshots:
            self.operator.metrics.snapshots.labels(self.plan.feed.name).inc()
            why = f"{self._which}the replication slot is lost: {lost}; taking a new snapshot"
            self.post_event("Warning", "SlotLost", why)
        return decision

    @property
    def _observed(self) -> ShardState:
        return self.observed.shard(self.shard)

    @property
    def _which(self) -> str:
        """Begins a message of one of several connectors."""
        return f"{self.shard.connector}: " if self.shard.suffix else ""

    def _prepare_snapshot(self, kept: Recovery, save: SaveRecovery) -> None:
        """Once the connector is stopped, remove slot and position, and start it. Every step is idempotent."""
        name = self.shard.connector
        state = self.servers.connector_state(name)
        if state is None or not state.ended:
            return
        self.servers.drop_slot(self.shard)
        try:
            self.servers.reset_connector(name)
        except Refused as error:
            log.info("%s: Connect has not stopped the connector yet: %s", self.plan.feed.name, error)
            return
        save(kept.model_copy(update={"snapshotting": False}))
        self._set("running")
        if state.state != "STOPPED":
            # Strimzi starts what it finds stopped. This one does not report that it is.
            self.servers.start_connector(name)
        rows = "all rows" if self.shard.rows is None else "all its rows"
        self.post_event("Normal", "SnapshotBegun", f"{self._which}the new snapshot includes {rows} in PostgreSQL")

    def _find(self) -> Object | None:
        return self.operator.cluster.find("KafkaConnector", self.shard.connector)

    def _set(self, state: str) -> None:
        self.operator.cluster.change("KafkaConnector", self.shard.connector, {"spec": {"state": state}})


def _state(live: Object | None) -> str:
    return "running" if live is None else str(live["spec"].get("state", "running"))

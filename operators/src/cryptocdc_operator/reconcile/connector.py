"""A feed's connector: apply it, restart it when it has failed, and recover from a lost replication slot."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from cryptocdc_adapters import slots
from cryptocdc_control.connector import Action, Decision, Recovery, decide
from cryptocdc_core.plan import Plan
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
        state = self.observed.state
        if stopped and state is not None and state.state != "STOPPED":
            # Strimzi does not stop a failed connector, and Connect would start it when it restarts itself.
            self.servers.stop_connector(self.plan.names.connector)
        if decision.action is Action.SNAPSHOT:
            self._prepare_snapshot(decision.recovery, save)
        return assess.connector(
            live,
            self.observed.state,
            current=self.observed.carries(self.plan.connector),
            action=decision.action,
            lost=self._lost,
            recovery=decision.recovery,
        )

    def _apply(self, state: str, tables_made: bool) -> Object | None:
        if tables_made:
            return self.operator.cluster.apply(kafka.connector(self.plan, self.operator.settings, self.owner, state))
        self._set(state)
        return self._find()

    def _decide(self, before: Recovery, allowed: str | None, save: SaveRecovery) -> Decision:
        decision = decide(self.observed.state, self._lost, before, allowed, self.operator.now())
        save(decision.recovery)
        if decision.action is Action.RESTART:
            self.servers.restart_connector(self.plan.names.connector)
            self.operator.metrics.connector_restarts.labels(self.plan.feed.name).inc()
            self.post_event("Warning", "ConnectorRestarted", f"attempt {decision.recovery.restarts}")
        if decision.recovery.snapshots > before.snapshots:
            self.operator.metrics.snapshots.labels(self.plan.feed.name).inc()
            self.post_event("Warning", "SlotLost", f"the replication slot is lost: {self._lost}; taking a new snapshot")
        return decision

    @property
    def _lost(self) -> str | None:
        return slots.lost(self.observed.slot, self.observed.position)

    def _prepare_snapshot(self, kept: Recovery, save: SaveRecovery) -> None:
        """Once the connector is stopped, remove slot and position, and start it. Every step is idempotent."""
        name = self.plan.names.connector
        state = self.servers.connector_state(name)
        if state is None or not state.ended:
            return
        self.servers.drop_slot(self.plan.names)
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
        self.post_event("Normal", "SnapshotBegun", "the new snapshot includes all rows in PostgreSQL")

    def _find(self) -> Object | None:
        return self.operator.cluster.find("KafkaConnector", self.plan.names.connector)

    def _set(self, state: str) -> None:
        self.operator.cluster.change("KafkaConnector", self.plan.names.connector, {"spec": {"state": state}})


def _state(live: Object | None) -> str:
    return "running" if live is None else str(live["spec"].get("state", "running"))

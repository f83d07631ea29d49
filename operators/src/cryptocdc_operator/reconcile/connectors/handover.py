"""Carries out what `cryptocdc_control.handover` decides about a changed number of connectors, a step a pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from cryptocdc_control.handover import Step, decide, prepared
from cryptocdc_core.planning.connector import connector_config, for_plugins
from cryptocdc_core.planning.plan import Plan
from cryptocdc_core.storage.shards import Shard
from cryptocdc_operator.context import Operator, PostEvent
from cryptocdc_operator.reconcile.connectors.removal import Wait, remove_connectors
from cryptocdc_operator.resources import kafka
from cryptocdc_operator.resources.labels import Owner
from cryptocdc_operator.servers.port import CONNECT, POSTGRES, Observed, Servers
from cryptocdc_operator.status.conditions import Assessment

Carry = Callable[[Plan, bool], Assessment]
"""Keeps the plan's connectors running, and applies their configuration if the second argument is true; returns their
condition."""


@dataclass(frozen=True)
class HandoverPass:
    """One pass over connectors whose number is being changed."""

    operator: Operator
    owner: Owner
    plan: Plan
    servers: Servers
    observed: Observed
    post_event: PostEvent
    recorded: int | None
    """The number of connectors that carry the changes now."""
    record: Callable[[int], None]
    """Stores it."""

    def reconcile(self, carry: Carry, *, tables_made: bool) -> Assessment:
        """Do the next step, and keep the connectors running that carry the changes now; return their condition."""
        if not self.observed.answers(CONNECT, POSTGRES):
            return carry(self.plan, tables_made) if self._only_wanted else self._changing("a server does not answer")
        move = decide(self.plan.names, len(self.plan.connectors), self.observed.shards, self.recorded)
        others = [shard for shard in self.observed.shards if shard not in self.plan.connectors]
        match move.step:
            case Step.CARRY:
                self.record(len(self.plan.connectors))
                return carry(self.plan, tables_made)
            case Step.REMOVE:
                carry(self.plan, tables_made)
                return self._removed(others) or self._changing("the old connectors are removed")
            case Step.SNAPSHOT:
                self._give_up(others)
                # First its own: without others, they would go on from positions that nothing has carried up to.
                mine = [shard for shard in self.plan.connectors if shard in self.observed.shards]
                waits = self._removed(mine) or self._removed(others)
                return waits or self._changing("the new connectors are being created")
            case Step.STOP:
                for shard in others:
                    self._set(shard, "stopped")
                    if not self.observed.shards[shard].stopped:
                        self.servers.stop_connector(shard.connector)
                return self._changing("the old connectors are being stopped")
            case Step.START:
                self.record(len(self.plan.connectors))
                for shard in self.plan.connectors:
                    self._apply(shard, "running")
                    self.servers.start_connector(shard.connector)
                self.post_event(
                    "Normal", "ConnectorsMoved", f"{len(self.plan.connectors)} connectors carry the changes"
                )
                return self._changing("the new connectors are starting")
            case Step.PREPARE if tables_made:
                for shard in self.plan.connectors:
                    self._prepare(shard)
        active = {
            shard: for_plugins(connector_config(shard, self.plan.carried, self.servers.facts), self.observed.plugins)
            for shard in move.active
        }
        carry(replace(self.plan, connectors=active), tables_made)
        if not tables_made:
            return Assessment("False", "Waiting", "waiting for the tables")
        return self._changing("the old connectors read up to the new slots")

    @property
    def _only_wanted(self) -> bool:
        live = self.operator.cluster.of_feed("KafkaConnector", self.owner.name)
        wanted = {*(shard.connector for shard in self.plan.connectors), self.plan.names.sink_connector}
        return all(found["metadata"]["name"] in wanted for found in live)

    def _changing(self, what: str) -> Assessment:
        return Assessment("False", "Changing", f"the number of connectors becomes {len(self.plan.connectors)}: {what}")

    def _prepare(self, shard: Shard) -> None:
        """Create its slot, and its connector, which reads from there on once it is started. In Connect first: Strimzi
        starts what it creates, and stops it later. It may even remove this one, create it and let it begin: then this
        is done again."""
        if not prepared(self.observed.shard(shard)):
            if shard in self.observed.shards and self._removed([shard]) is not None:
                return
            self.servers.place_connector(shard, self.plan.connectors[shard], self.servers.create_slot(shard))
        self._apply(shard, "stopped")

    def _give_up(self, others: list[Shard]) -> None:
        live = [self.operator.cluster.find("KafkaConnector", shard.connector) for shard in others]
        if any(found is not None and found["spec"].get("state") != "stopped" for found in live):
            why = "the old connectors can't be drained; each new one takes a snapshot of its rows"
            self.post_event("Warning", "ConnectorsReplaced", why)
        for shard in others:
            self._set(shard, "stopped")

    def _removed(self, shards: list[Shard]) -> Assessment | None:
        """Remove connectors, then their slots; return why that is not done yet."""
        try:
            remove_connectors(self.operator, self.servers, shards, self.post_event)
        except Wait as waits:
            return self._changing(str(waits))
        for shard in shards:
            self.servers.drop_slot(shard)
        return None

    def _apply(self, shard: Shard, state: str) -> None:
        self.operator.cluster.apply(kafka.connector(shard, self.plan, self.operator.settings, self.owner, state))

    def _set(self, shard: Shard, state: str) -> None:
        self.operator.cluster.change("KafkaConnector", shard.connector, {"spec": {"state": state}})

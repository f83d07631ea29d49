"""A feed's connectors: each is kept running, and their number is changed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial

from cryptocdc_control.connector import Recovery
from cryptocdc_core.planning.connector import for_plugins
from cryptocdc_core.planning.plan import Plan
from cryptocdc_core.storage.shards import Shard
from cryptocdc_operator.cluster.port import Cluster
from cryptocdc_operator.context import Operator, PostEvent
from cryptocdc_operator.reconcile.connectors.connector import ConnectorPass
from cryptocdc_operator.reconcile.connectors.handover import HandoverPass
from cryptocdc_operator.resources.labels import Owner
from cryptocdc_operator.servers.port import CONNECT, Observed, Servers
from cryptocdc_operator.status import assess
from cryptocdc_operator.status.conditions import Assessment
from cryptocdc_operator.status.document import keep_recoveries, recovery_of, set_recovery
from cryptocdc_operator.status.model import Status


def for_connect(plan: Plan, observed: Observed, cluster: Cluster) -> Plan:
    """Return the plan with the connectors' configurations for the plugins that Connect has; while it does not answer,
    each for the converter that its KafkaConnector has."""

    def plugins(shard: Shard) -> Collection[str]:
        if observed.answers(CONNECT):
            return observed.plugins
        live = cluster.find("KafkaConnector", shard.connector)
        config = {} if live is None else live["spec"].get("config") or {}
        return (str(config.get("value.converter")),)

    configs = {shard: for_plugins(config, plugins(shard)) for shard, config in plan.connectors.items()}
    return replace(plan, connectors=configs)


@dataclass
class ConnectorsPass:
    """One pass over a feed's connectors. `status` is the feed's, which `write` stores: recoveries are stored before
    they are acted on."""

    operator: Operator
    owner: Owner
    plan: Plan
    servers: Servers
    observed: Observed
    post_event: PostEvent
    status: Status
    write: Callable[[], None]
    allowed: str | None
    held: bool
    """Whether the condition was True before this pass."""

    def reconcile(self, *, tables_made: bool) -> Assessment:
        """Return the connectors' condition. `tables_made` as for ConnectorPass."""
        handover = HandoverPass(
            self.operator, self.owner, self.plan, self.servers, self.observed, self.post_event,
            self.status.connectors, self._record,
        )  # fmt: skip
        assessment = handover.reconcile(self._carry, tables_made=tables_made)
        if assessment.holds and not self.held:  # also after a change of the number
            self.servers.drop_publications(self.plan.names, [*self.plan.connectors])
        keep_recoveries(self.status, {*self.plan.connectors, *self.observed.shards})
        return assessment

    def _carry(self, plan: Plan, tables_made: bool) -> Assessment:
        return assess.connectors(
            {
                shard: ConnectorPass(
                    self.operator, self.owner, plan, shard, self.servers, self.observed, self.post_event
                ).reconcile(
                    recovery_of(self.status, shard), self.allowed, partial(self._save, shard),
                    tables_made=tables_made,
                )
                for shard in plan.connectors
            }
        )  # fmt: skip

    def _record(self, connectors: int) -> None:
        if self.status.connectors != connectors:
            self.status.connectors = connectors
            self.write()

    def _save(self, shard: Shard, recovery: Recovery) -> None:
        set_recovery(self.status, shard, recovery)
        self.write()

"""One pass over a feed's sink engine: the sink connector is applied, recovered or removed, one engine at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptocdc_control.connector import Action, Recovery, decide
from cryptocdc_control.sink import Engine, engine_of, obstacle
from cryptocdc_core.plan import Plan
from cryptocdc_operator.context import Operator, PostEvent
from cryptocdc_operator.reconcile.rollout import CONSUMER
from cryptocdc_operator.resources import kafka
from cryptocdc_operator.resources.labels import Owner, selector_text
from cryptocdc_operator.servers.port import CONNECT, Observed, Servers
from cryptocdc_operator.settings import Object
from cryptocdc_operator.status import assess
from cryptocdc_operator.status.conditions import Assessment

KIND = "KafkaConnector"
TERMINATING_LIMIT = timedelta(minutes=1)
"""Counted from the end of a pod's grace period, which is its deletionTimestamp."""


@dataclass(frozen=True)
class SinkPass:
    operator: Operator
    owner: Owner
    plan: Plan
    servers: Servers
    observed: Observed
    post_event: PostEvent

    def refusal(self) -> Assessment | None:
        """Return why Connect can't run the connector, which does not exist yet; None if it can, or none is wanted."""
        if self.plan.sink_connector is None or self._find() is not None:
            return None
        if not self.observed.answers(CONNECT):
            return Assessment("Unknown", "PlatformNotReady", "Connect does not answer")
        wanted = self.plan.sink_connector["connector.class"]
        if wanted in self.observed.plugins:
            return None
        return Assessment(
            "False",
            "ConnectorRefused",
            f"Connect's image lacks the plugin {wanted}, and consumers that run stay: set the KafkaConnect's image to"
            " cryptocdc/connect of the operator's version",
        )

    def waits(self, *, ready: bool) -> bool:
        """Return whether a connector that does not exist yet can't start now, and not for the consumers' sake."""
        if self.plan.sink_connector is None or self._find() is not None:
            return False
        return not ready or self.refusal() is not None

    def obstacle(self) -> str | None:
        """Remove the connector if the feed's engine is another; return why that engine can't start yet, None if it can.

        Also removes a connector that is left in Connect without KafkaConnector. Raises ServerError.
        """
        live = self._find()
        running: set[Engine] = set()
        if live is not None or self.observed.sink_state is not None:
            running.add("connect")
        if engine_of(self.plan) == "connect":
            # Pods remain for a while after their Deployment is deleted.
            if live is None and self._consumers():
                running.add("consumer")
        elif live is not None:
            self.operator.cluster.delete(KIND, self._name)
        elif self.observed.sink_state is not None:
            self.servers.remove_connector(self._name)
        return obstacle(self.plan, running)

    def reconcile(self, before: Recovery, save: Callable[[Recovery], None], *, ready: bool) -> Assessment:
        """Apply the connector once everything is `ready` for it, and restart it if it failed; return the condition of
        what writes the rows. `save` stores the recovery before it is acted on."""
        if self.plan.sink_connector is None:
            if self._find() is not None:
                self.operator.cluster.delete(KIND, self._name)
            return Assessment("True", "ScaledToZero", "no sink connector runs: scaled to zero")
        live = self._find()
        if ready:
            wanted = kafka.sink_connector(self.plan, self.plan.sink_connector, self.operator.settings, self.owner)
            live = self.operator.cluster.apply(wanted)
        if live is None:
            return Assessment("False", "Waiting", "the sink connector starts once tables and connector are ready")
        if not self.observed.answers(CONNECT):
            return Assessment("Unknown", "PlatformNotReady", "Connect does not answer")
        decision = decide(self.observed.sink_state, None, before, None, self.operator.now())
        save(decision.recovery)
        if decision.action is Action.RESTART:
            self.servers.restart_connector(self._name)
            self.operator.metrics.connector_restarts.labels(self.plan.feed.name).inc()
            attempt = f"the sink connector, attempt {decision.recovery.restarts}"
            self.post_event("Warning", "ConnectorRestarted", attempt)
        return assess.sink_connector(
            live,
            self.observed.sink_state,
            current=self.observed.sink_carries(self.plan.sink_connector),
            recovery=decision.recovery,
        )

    @property
    def _name(self) -> str:
        return self.plan.names.sink_connector

    def _find(self) -> Object | None:
        return self.operator.cluster.find(KIND, self._name)

    def _consumers(self) -> bool:
        pods = self.operator.cluster.pods(selector_text(self.plan.feed.name, CONSUMER))
        return any(not self._has_stopped(pod) for pod in pods)

    def _has_stopped(self, pod: Object) -> bool:
        """Return whether a consumer's pod has ended, or should have long ago: on a lost node it is Terminating forever.
        Should it still run, the group shares the partitions and nothing is lost."""
        if (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
            return True
        ends = pod["metadata"].get("deletionTimestamp")
        return ends is not None and self.operator.now() > datetime.fromisoformat(ends) + TERMINATING_LIMIT

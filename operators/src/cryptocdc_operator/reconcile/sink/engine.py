"""One pass over a feed's sink engine: one at a time. The sink connector is applied, recovered or removed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptocdc_control.connector import Action, Recovery, decide
from cryptocdc_control.sink import Engine, engine_of, obstacle
from cryptocdc_core.planning.plan import Plan
from cryptocdc_operator.context import Operator, PostEvent
from cryptocdc_operator.reconcile.rollout import still_run
from cryptocdc_operator.reconcile.sink.spark import SparkPass
from cryptocdc_operator.resources import kafka
from cryptocdc_operator.resources.labels import CONSUMER, EXECUTOR, SPARK, Owner
from cryptocdc_operator.servers.port import CONNECT, Observed, Servers
from cryptocdc_operator.settings import Object
from cryptocdc_operator.status import assess
from cryptocdc_operator.status.conditions import Assessment

KIND = "KafkaConnector"


@dataclass(frozen=True)
class SinkPass:
    operator: Operator
    owner: Owner
    plan: Plan
    servers: Servers
    observed: Observed
    post_event: PostEvent
    everything: bool

    @property
    def spark(self) -> SparkPass:
        return SparkPass(self.operator, self.owner, self.plan, self.everything)

    @property
    def writers(self) -> set[str]:
        """Names of what other engines have in Kubernetes, which write on until the feed's engine can start."""
        return {f"{self.plan.feed.name}-{component}" for component in (CONSUMER, SPARK, EXECUTOR)}

    def refusal(self) -> Assessment | None:
        """Return why the feed's engine can't run; None if it can, or if its connector exists already."""
        if engine_of(self.plan) == "spark":
            return self.spark.refusal()
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
            f"Connect's image lacks the plugin {wanted}, and what writes now stays: set the KafkaConnect's image to"
            " cryptocdc/connect of the operator's version",
        )

    def waits(self, *, ready: bool) -> bool:
        """Return whether an engine that does not exist yet can't start now, and not because another has to stop."""
        if engine_of(self.plan) == "spark":
            exists = self.spark.exists()
        else:
            exists = self.plan.sink_connector is None or self._find() is not None
        return not exists and (not ready or self.refusal() is not None)

    def obstacle(self) -> str | None:
        """Remove connector and SparkApplication if the feed's engine is another; return why that engine can't start
        yet, None if it can.

        Also removes a connector that is left in Connect without KafkaConnector. Raises ServerError.
        """
        engine, running = engine_of(self.plan), self._running()
        if engine != "connect":
            if self._find() is not None:
                self.operator.cluster.delete(KIND, self._name)
            elif self.observed.sink_state is not None:
                self.servers.remove_connector(self._name)
        if engine != "spark":
            self.spark.remove_application()
        return obstacle(self.plan, running) or (self.spark.obstacle() if engine == "spark" else None)

    def _running(self) -> set[Engine]:
        """Return the engines that run in part."""
        feed, running = self.plan.feed.name, set[Engine]()
        if self._find() is not None or self.observed.sink_state is not None:
            running.add("connect")
        if still_run(self.operator, feed, CONSUMER):
            running.add("consumer")
        if still_run(self.operator, feed, SPARK, EXECUTOR) or self.spark.application() is not None:
            running.add("spark")
        return running

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

"""One pass over a feed's Spark: whether it may start, its executors, and the SparkApplication where Spark's operator
runs it."""

from __future__ import annotations

from dataclasses import dataclass

from cryptocdc_core.planning.plan import Plan
from cryptocdc_operator.context import Operator
from cryptocdc_operator.reconcile.objects import CLAIM
from cryptocdc_operator.reconcile.rollout import still_run
from cryptocdc_operator.resources import spark
from cryptocdc_operator.resources.labels import EXECUTOR, SPARK, Owner, selector_text
from cryptocdc_operator.resources.programs import Program, checkpoint_claim
from cryptocdc_operator.resources.workloads import READ
from cryptocdc_operator.settings import Object
from cryptocdc_operator.status import assess
from cryptocdc_operator.status.conditions import Assessment

KIND = "SparkApplication"
ENDED = ("ResourceReleased", "TerminatedWithoutReleaseResources")
"""States of an application that its operator does not start again."""


@dataclass(frozen=True)
class SparkPass:
    operator: Operator
    owner: Owner
    plan: Plan
    everything: bool
    """Whether to look for a SparkApplication where none is wanted. That changes only when the operator starts, and to
    ask for a kind that the API server lacks makes its client discover all kinds again."""

    @property
    def by_operator(self) -> bool:
        return self.operator.settings.spark_mode == "operator"

    def refusal(self) -> Assessment | None:
        """Return why Spark can't run here; None if it can."""
        settings = self.operator.settings
        if settings.spark_image is None:
            why = f"{settings.variable('spark_image')} of the operator must be set for sink.engine: spark"
            return Assessment("False", "SparkRefused", why)
        if self.by_operator and self.operator.cluster.missing_kinds((KIND,)):
            why = f"the API server has no kind {KIND}: is Spark's operator installed?"
            return Assessment("False", "KindMissing", why)
        return None

    def exists(self) -> bool:
        """Return whether Spark was started in the form that is wanted."""
        return self._made(KIND if self.by_operator else "Deployment") is not None

    def application(self) -> Object | None:
        return self._made(KIND) if self.by_operator or self.everything else None

    def remove_application(self) -> None:
        if self.application() is not None:
            self.operator.cluster.delete(KIND, self._name)

    def obstacle(self) -> str | None:
        """Return why the driver can't start yet; None if it can. Two at the same time would spoil the checkpoint."""
        if not self.by_operator:
            self.remove_application()
        if self.exists():
            return None
        if still_run(self.operator, self.owner.name, SPARK, EXECUTOR):
            return "the last driver and its executors must stop first"
        claim = self.operator.cluster.find(CLAIM, checkpoint_claim(self.plan.feed))
        if claim is not None and "deletionTimestamp" in claim["metadata"]:
            return "the volume of the last checkpoint must be removed first"
        return None

    def reconcile(self, driver: Program, *, ready: bool) -> Assessment:
        """Apply the SparkApplication; return the condition. One that has ended, or is not as wanted, is deleted once
        everything is `ready` for another, which a later pass makes: Spark's operator ignores changes."""
        live = self.application()
        if driver.replicas == 0:
            self.remove_application()
            if still_run(self.operator, self.owner.name, SPARK, EXECUTOR):
                return Assessment("False", "Progressing", "driver and executors are stopping: scaled to zero")
            return Assessment("True", "ScaledToZero", "no Spark driver runs: scaled to zero")
        wanted = spark.application(driver, self.plan, self.operator.settings, self.owner)
        if live is None:
            live = self.operator.cluster.apply(wanted)
        elif ready and (_digest(live) != _digest(wanted) or _state(live) in ENDED):
            self.remove_application()
            return Assessment("False", "Changing", "the last driver and its executors must stop first")
        return assess.spark_application(live)

    def with_executors(self, driver: Assessment) -> Assessment:
        """Return the condition of driver and executors; `driver` is that of the driver alone."""
        if self.operator.settings.spark_mode == "local":
            return driver
        return assess.executors(driver, self.plan.feed.spec.scaling.consumers, self.executors())

    def executors(self) -> list[Object]:
        return self.operator.cluster.pods(selector_text(self.owner.name, EXECUTOR))

    @property
    def _name(self) -> str:
        return f"{self.owner.name}-{SPARK}"

    def _made(self, kind: str) -> Object | None:
        return self.operator.cluster.find(kind, self._name)


def _digest(application: Object) -> str | None:
    return (application["metadata"].get("annotations") or {}).get(READ)


def _state(application: Object) -> str | None:
    current = (application.get("status") or {}).get("currentState") or {}
    return current.get("currentStateSummary")

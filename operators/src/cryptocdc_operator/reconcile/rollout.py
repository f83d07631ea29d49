"""Applies the Deployment of one of a feed's programs, and assesses its pods."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_operator.context import Operator
from cryptocdc_operator.resources.labels import CONSUMER, SPARK, Owner, selector_text
from cryptocdc_operator.resources.programs import METRICS_PORT, Program
from cryptocdc_operator.resources.workloads import deployment
from cryptocdc_operator.settings import Object
from cryptocdc_operator.status import assess, conditions
from cryptocdc_operator.status.conditions import Assessment

TERMINATING_LIMIT = timedelta(minutes=1)
"""Counted from the end of a pod's grace period, which is its deletionTimestamp."""
WRITERS = (CONSUMER, SPARK)
"""The components that write into Cassandra, one or the other."""


def roll_out(
    operator: Operator, owner: Owner, feed: CryptoFeed, program: Program, *, ready: bool
) -> tuple[Assessment, Object | None]:
    """Apply the Deployment once everything is `ready` for it; until then an existing one is only scaled or suspended.
    Return the program's condition, and the Deployment."""
    name = f"{feed.name}-{program.component}"
    if ready:
        live: Object | None = operator.cluster.apply(deployment(program, feed, operator.settings, owner))
    else:
        operator.cluster.change("Deployment", name, {"spec": {"replicas": program.replicas}})
        live = operator.cluster.find("Deployment", name)
    pods = operator.cluster.pods(selector_text(feed.name, program.component))
    stalled = stalled_consumers(operator, pods) if program.component in WRITERS else []
    _, what = conditions.OF_PROGRAMS[program.component]
    return assess.program(what, program.replicas, feed.spec.suspend, live, pods, stalled), live


def stalled_consumers(operator: Operator, pods: Sequence[Object]) -> list[str]:
    """Return why consumers can't write, as they report it, each with its pod's name."""
    found = []
    for pod in pods:
        address = (pod.get("status") or {}).get("podIP")
        obstacle = operator.external.obstacle(address, METRICS_PORT) if address else None
        if obstacle is not None:
            found.append(f"{pod['metadata']['name']}: {obstacle}")
    return found


def still_run(operator: Operator, feed: str, *components: str) -> bool:
    """Return whether pods of these components run, which they do for a while after their Deployment is deleted. Not
    counted are those that ended, or should have long ago: on a lost node a pod is Terminating forever. Should it still
    run, the group shares the partitions and nothing is lost."""
    pods = [pod for component in components for pod in operator.cluster.pods(selector_text(feed, component))]
    return any(not _has_stopped(operator, pod) for pod in pods)


def _has_stopped(operator: Operator, pod: Object) -> bool:
    if (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
        return True
    ends = pod["metadata"].get("deletionTimestamp")
    return ends is not None and operator.now() > datetime.fromisoformat(ends) + TERMINATING_LIMIT

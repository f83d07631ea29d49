"""A feed's Kubernetes objects that need no server: its ConfigMap, and its programs' supporting objects."""

from __future__ import annotations

from cryptocdc_core.planning.plan import Plan
from cryptocdc_operator.cluster.port import Cluster
from cryptocdc_operator.context import Operator
from cryptocdc_operator.resources import feed_map, spark
from cryptocdc_operator.resources.labels import SPARK, Owner
from cryptocdc_operator.resources.programs import Program, history
from cryptocdc_operator.resources.supporting_objects import supporting_objects

CLAIM = "PersistentVolumeClaim"


def apply_objects(
    operator: Operator,
    owner: Owner,
    plan: Plan,
    text: str,
    programs: tuple[Program, ...],
    kept: set[str],
    *,
    everything: bool,
) -> None:
    """Apply them, and remove those that are no longer wanted, except those named in `kept`.

    `text`: the feed, as its programs read it. With `everything`, also remove kinds that a setting has disabled:
    settings change only with a restart of the operator.
    """
    cluster, settings = operator.cluster, operator.settings
    driver = next((program for program in programs if program.component == SPARK), None)
    more = spark.files(driver, plan, settings) if driver is not None else _files(cluster, owner.name) if kept else {}
    cluster.apply(feed_map.feed_map(plan, text, owner, more))
    loads = plan.feed.spec.loads_archive and settings.history_image is not None
    jobs = (history(plan.feed, settings, operator.addresses),) if loads else ()
    supporting = supporting_objects(programs, plan, settings, owner, jobs)
    for wanted in supporting:
        # A claim can't be changed.
        if wanted["kind"] != CLAIM or cluster.find(CLAIM, wanted["metadata"]["name"]) is None:
            cluster.apply(wanted)
    optional = {
        "NetworkPolicy": settings.network_policies or everything,
        "PodMonitor": settings.pod_monitors or everything,
    }
    for kind in ("Service", "PodDisruptionBudget", CLAIM, *(kind for kind, looked_at in optional.items() if looked_at)):
        names = {wanted["metadata"]["name"] for wanted in supporting if wanted["kind"] == kind}
        remove_others(cluster, kind, owner.name, names | kept)


def _files(cluster: Cluster, feed: str) -> dict[str, str]:
    """Return what the ConfigMap has beside the feed: a driver of Spark that is kept reads it when it restarts."""
    live = cluster.find("ConfigMap", f"{feed}-feed") or {}
    return {name: text for name, text in (live.get("data") or {}).items() if name != feed_map.FILE}


def remove_others(cluster: Cluster, kind: str, feed: str, wanted: set[str]) -> None:
    """Remove objects that are no longer wanted, such as a budget for what is now a single pod, or those of an API that
    was disabled."""
    for found in cluster.of_feed(kind, feed):
        if found["metadata"]["name"] not in wanted:
            cluster.delete(kind, found["metadata"]["name"])

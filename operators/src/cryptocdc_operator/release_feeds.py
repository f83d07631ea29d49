"""Removes the finalizers before the chart is uninstalled, so that no feed waits for a missing operator (docs/adr/0012).

The chart's pre-delete hook runs `python -m cryptocdc_operator.release_feeds`.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import kubernetes
from kubernetes.client import ApiException, AppsV1Api, CoreV1Api, CustomObjectsApi

from cryptocdc_core.program.exits import Exit
from cryptocdc_core.program.logs import configure
from cryptocdc_operator.cluster.namespaces import FINALIZER
from cryptocdc_operator.crd import GROUP, PLURAL, VERSION

log = logging.getLogger("cryptocdc.release_feeds")

DELETED_WITHIN_S = 90.0
"""Time for the operator to finish feeds that are being deleted: it removes their slots, and perhaps their data."""
STOPPED_WITHIN_S = 60.0
_NOT_FOUND, _CONFLICT = 404, 409


@dataclass(frozen=True, slots=True)
class Feed:
    name: str
    version: str
    """The resource version that was read: a concurrent change is a conflict."""
    finalizers: tuple[str, ...]
    deleting: bool


class Cluster(Protocol):
    """The port to Kubernetes. Each call raises ApiException."""

    def feeds(self) -> list[Feed]: ...

    def stop_operator(self) -> None: ...

    def operator_pods(self) -> int: ...

    def set_finalizers(self, feed: Feed, finalizers: list[str]) -> bool:
        """Return False if the feed has changed since it was read."""
        ...


def release(
    cluster: Cluster, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
) -> bool:
    """Let the operator finish deletions, stop it, and remove its finalizer from every feed. Return whether none has it.

    It is stopped first, since it would add the finalizer again. Both waits are bounded.
    """

    def wait(done: Callable[[], bool], limit_s: float) -> bool:
        until = now() + limit_s
        while not done():
            if now() > until:
                return False
            sleep(1)
        return True

    if not wait(lambda: not any(feed.deleting for feed in cluster.feeds()), DELETED_WITHIN_S):
        stuck = [feed.name for feed in cluster.feeds() if feed.deleting]
        log.warning("%s: the operator did not finish; slots may be left in PostgreSQL", ", ".join(stuck))
    cluster.stop_operator()
    if not wait(lambda: cluster.operator_pods() == 0, STOPPED_WITHIN_S):
        log.warning("the operator does not stop; it may add its finalizer again")
    for attempt in range(5):
        held = [feed for feed in cluster.feeds() if FINALIZER in feed.finalizers]
        if not held:
            return True
        for feed in held:
            if cluster.set_finalizers(feed, [name for name in feed.finalizers if name != FINALIZER]):
                log.info("%s: finalizer removed", feed.name)
        sleep(attempt)
    kept = [feed.name for feed in cluster.feeds() if FINALIZER in feed.finalizers]
    if kept:
        log.error("%s: the finalizer could not be removed", ", ".join(kept))
    return not kept


class Kubernetes:
    """The cluster in which this runs."""

    def __init__(self, namespace: str, operator: str) -> None:
        kubernetes.config.load_incluster_config()  # type: ignore[no-untyped-call]
        self._namespace, self._operator = namespace, operator
        self._custom, self._apps, self._core = CustomObjectsApi(), AppsV1Api(), CoreV1Api()

    def feeds(self) -> list[Feed]:
        try:
            found: Any = self._custom.list_namespaced_custom_object(GROUP, VERSION, self._namespace, PLURAL)
        except ApiException as error:
            if error.status == _NOT_FOUND:  # the CustomResourceDefinition is gone, and every feed with it
                return []
            raise
        metadata = [item["metadata"] for item in found["items"]]
        return [
            Feed(m["name"], m["resourceVersion"], tuple(m.get("finalizers", ())), "deletionTimestamp" in m)
            for m in metadata
        ]

    def stop_operator(self) -> None:
        try:
            self._apps.patch_namespaced_deployment_scale(self._operator, self._namespace, {"spec": {"replicas": 0}})
        except ApiException as error:
            if error.status != _NOT_FOUND:
                raise

    def operator_pods(self) -> int:
        try:
            deployment = self._apps.read_namespaced_deployment(self._operator, self._namespace)
        except ApiException as error:
            if error.status == _NOT_FOUND:
                return 0
            raise
        labels: Any = deployment.spec.selector.match_labels
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        return len(self._core.list_namespaced_pod(self._namespace, label_selector=selector).items)

    def set_finalizers(self, feed: Feed, finalizers: list[str]) -> bool:
        body = {"metadata": {"finalizers": finalizers, "resourceVersion": feed.version}}
        try:
            self._custom.patch_namespaced_custom_object(GROUP, VERSION, self._namespace, PLURAL, feed.name, body)
        except ApiException as error:
            if error.status == _CONFLICT:
                return False
            if error.status != _NOT_FOUND:
                raise
        return True


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Remove the operator's finalizer from all feeds before it is uninstalled."
    )
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--operator", required=True, help="name of the operator's Deployment")
    given = parser.parse_args()
    configure("json", "INFO")
    try:
        released = release(Kubernetes(given.namespace, given.operator))
    except ApiException as error:
        log.error("Kubernetes: %s %s", error.status, error.reason)
        sys.exit(Exit.PLATFORM)
    if not released:
        sys.exit(Exit.PLATFORM)


if __name__ == "__main__":
    main()

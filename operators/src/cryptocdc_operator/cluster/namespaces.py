"""Removes finalizers when the operator's own namespace is deleted, so that nothing waits for an operator that is gone.

Kubernetes deletes a namespace's pods first, then everything else, and waits for every finalizer. But the programs that
remove the finalizers are among those pods: this operator, and Strimzi's topic operator.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from cryptocdc_operator.cluster.port import Cluster
from cryptocdc_operator.crd import GROUP
from cryptocdc_operator.settings import Object, OperatorSettings

log = logging.getLogger("cryptocdc.operator")

FINALIZER = f"{GROUP}/finalizer"
TOPIC_FINALIZER = "strimzi.io/topic-operator"
TOPIC_OPERATOR_WITHIN_S = 20.0
"""How long to wait for the topic operator to stop: while it runs it would add its finalizers again. This operator
itself is killed after its grace period."""


def release_all(
    cluster: Cluster,
    settings: OperatorSettings,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """If the operator stops because its namespace is being deleted, remove the finalizers from all feeds and topics.

    Slots are removed with PostgreSQL, which is in the same namespace.
    """
    if not cluster.namespace_ends():
        return
    for feed in cluster.all("CryptoFeed"):
        _release(cluster, feed, FINALIZER)
    until = now() + TOPIC_OPERATOR_WITHIN_S
    topic_operator = (
        f"strimzi.io/cluster={settings.kafka_cluster},strimzi.io/name={settings.kafka_cluster}-entity-operator"
    )
    while cluster.pods(topic_operator) and now() < until:
        sleep(1)
    for topic in cluster.all("KafkaTopic"):
        _release(cluster, topic, TOPIC_FINALIZER)


def _release(cluster: Cluster, found: Object, finalizer: str) -> None:
    metadata = found["metadata"]
    held = metadata.get("finalizers") or []
    if finalizer in held:
        left = [name for name in held if name != finalizer]
        cluster.change(found["kind"], metadata["name"], {"metadata": {"finalizers": left or None}})
        log.info("%s %s: finalizer removed, since the namespace is being deleted", found["kind"], metadata["name"])

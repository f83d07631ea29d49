"""The end of the operator's own namespace: nothing is left in it that waits for an operator which is gone.

Kubernetes deletes the pods of a namespace first, then everything else, and waits for every finalizer. The programs that
would take finalizers away end with the pods: this operator, and Strimzi's topic operator.
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
"""While it runs it would put its finalizers back. The operator itself is killed after its grace period."""


def release_all(
    cluster: Cluster,
    settings: OperatorSettings,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """When the operator ends because its namespace is deleted, take the finalizers off all feeds and topics.

    Slots go with PostgreSQL, which shares the namespace.
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
        log.info("%s %s: released, since the namespace is deleted", found["kind"], metadata["name"])

"""Deletes what belongs to a deleted feed, in idempotent steps. The finalizer stays until everything is removed.
Connectors and slots are first: PostgreSQL would retain WAL for the slot until the disk is full."""

from __future__ import annotations

import logging

from cryptocdc_core.names import Names
from cryptocdc_core.program.settings import SettingsError
from cryptocdc_core.storage.shards import of_connectors
from cryptocdc_operator.cluster.secret_data import SecretUnusable
from cryptocdc_operator.context import Operator, Outcome, PostEvent
from cryptocdc_operator.reconcile.connectors.removal import Wait, remove_connectors
from cryptocdc_operator.reconcile.retry import LATER_S, SOON_S
from cryptocdc_operator.resources.labels import (
    ALERTER,
    ANALYZER,
    CONSUMER,
    EXECUTOR,
    EXPORTER,
    HISTORY,
    SPARK,
    selector_text,
)
from cryptocdc_operator.servers.port import Refused, ServerError, Servers
from cryptocdc_operator.settings import Object
from cryptocdc_operator.status import conditions
from cryptocdc_operator.status.conditions import Assessment
from cryptocdc_operator.status.document import read_status, status_patch
from cryptocdc_operator.status.failures import describe

log = logging.getLogger("cryptocdc.operator")

COMPONENTS = ("producer", CONSUMER, SPARK, EXECUTOR, "api", ALERTER, ANALYZER, EXPORTER, HISTORY)


def tear_down(operator: Operator, name: str, post_event: PostEvent) -> Outcome:
    """Run one pass; the deletion is done when the outcome needs no retry. Raises the API server client's exceptions."""
    document = operator.cluster.feed(name)
    if document is None:
        return Outcome(None)
    try:
        _tear_down(operator, document, post_event)
    except Wait as waiting:
        return _report(operator, document, Outcome(SOON_S, str(waiting)))
    except Exception as error:
        outcome = _obstacle(name, error)
        if _message(document) != conditions.message(outcome.waiting_for):
            post_event("Warning", "DeletionWaits", outcome.waiting_for)
        return _report(operator, document, outcome)
    operator.metrics.remove_feed(name)
    return Outcome(None)


def _obstacle(name: str, error: Exception) -> Outcome:
    """Return what prevents the deletion from continuing, and when to retry."""
    match error:
        case Refused():
            return Outcome(LATER_S, f"{error.server}: {error}")
        case ServerError():
            return Outcome(LATER_S, f"{error.server} does not answer: {error}")
        case SettingsError() | SecretUnusable():
            return Outcome(LATER_S, str(error))
    log.error("%s: deletion pass failed", name, exc_info=error)
    return Outcome(LATER_S, f"deletion pass failed: {describe(error)}", failed=True)


def _tear_down(operator: Operator, document: Object, post_event: PostEvent) -> None:
    cluster, name = operator.cluster, document["metadata"]["name"]
    if cluster.namespace_ends():
        log.warning("%s: the namespace is being deleted with the platform: nothing else is removed", name)
        return
    cluster.share_feed(name, None)
    fid = read_status(document).identity
    if fid is None:
        return  # nothing was ever made
    names, everything = Names(fid), document["spec"].get("deletionPolicy") == "Delete"
    _stop_programs(operator, name)
    servers = _connected(operator)
    _remove_sink_connector(operator, servers, names)
    live = [found["metadata"]["name"] for found in cluster.of_feed("KafkaConnector", name)]
    shards = sorted({*servers.shards(names), *of_connectors(names, live).values()})
    remove_connectors(operator, servers, shards, post_event)
    for shard in shards:
        servers.drop_slot(shard)
    topics = cluster.of_feed("KafkaTopic", name)
    if not everything:
        _keep_topics(operator, topics)
        if topics and not cluster.missing_kinds(("KafkaTopic",)):
            servers.write_symbols(names, {})
        post_event(
            "Normal",
            "Deleted",
            "connector and replication slot were removed; the data stays",
        )
        return
    for topic in topics:
        cluster.delete("KafkaTopic", topic["metadata"]["name"])
    servers.drop_data(names)
    if cluster.of_feed("KafkaTopic", name):
        raise Wait("the topics are being deleted")
    post_event("Normal", "Deleted", "connector, replication slot, topics and tables were removed")


def _stop_programs(operator: Operator, name: str) -> None:
    """Delete the programs and wait for their pods to stop: nothing may read or write while tables are removed."""
    for component in COMPONENTS:
        operator.cluster.delete("Job" if component == HISTORY else "Deployment", f"{name}-{component}")
    operator.cluster.delete("SparkApplication", f"{name}-{SPARK}")
    left = [
        pod["metadata"]["name"]
        for component in COMPONENTS
        for pod in operator.cluster.pods(selector_text(name, component))
    ]
    if left:
        raise Wait(f"pods are stopping: {', '.join(left)}")


def _connected(operator: Operator) -> Servers:
    secrets, missing = operator.secrets()
    if missing:
        raise ServerError("the platform", f"missing secrets: {', '.join(missing)}")
    return operator.connect(secrets)


def _remove_sink_connector(operator: Operator, servers: Servers, names: Names) -> None:
    """Remove the connector that writes into Cassandra; its position is the group's."""
    name = names.sink_connector
    if operator.cluster.find("KafkaConnector", name) is not None:
        operator.cluster.delete("KafkaConnector", name)
        raise Wait("the sink connector is being deleted")
    if servers.connector_state(name) is not None:
        servers.remove_connector(name)


def _keep_topics(operator: Operator, topics: list[Object]) -> None:
    """Remove the feed's ownership of topics, which they have if the policy was Delete before."""
    for topic in topics:
        if topic["metadata"].get("ownerReferences"):
            name = topic["metadata"]["name"]
            operator.cluster.change("KafkaTopic", name, {"metadata": {"ownerReferences": None}})


def _message(document: Object) -> str | None:
    """Return the message of `Ready`."""
    written = read_status(document).conditions or ()
    return next((condition.message for condition in written if condition.type == conditions.READY), None)


def _report(operator: Operator, document: Object, outcome: Outcome) -> Outcome:
    """Write into the feed's status what the deletion waits for."""
    metadata, before = document["metadata"], read_status(document)
    assessments = {conditions.READY: Assessment("False", "Deleting", outcome.waiting_for)}
    merged = conditions.merge(before.conditions or (), assessments, metadata["generation"], operator.now())
    patch = status_patch(before, before.model_copy(update={"conditions": merged}))
    if patch:
        operator.cluster.set_status(metadata["name"], patch)
    operator.metrics.condition.labels(metadata["name"], conditions.READY).set(False)
    return outcome

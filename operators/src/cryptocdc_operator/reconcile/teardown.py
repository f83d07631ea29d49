"""A feed that is deleted: what it made is removed, step by step, each of which may be done again. The finalizer stays
until all of it is gone: the connector and its slot first, for which PostgreSQL would keep log until the disk is full.
"""

from __future__ import annotations

import logging
from typing import Any

from cryptocdc_adapters.connect import ConnectorState
from cryptocdc_core.names import Names
from cryptocdc_core.settings import SettingsError
from cryptocdc_operator.cluster.secret_data import SecretUnusable
from cryptocdc_operator.context import Operator, Outcome, PostEvent
from cryptocdc_operator.reconcile.retry import LATER_S, SOON_S
from cryptocdc_operator.resources.labels import ALERTER, selector_text
from cryptocdc_operator.servers.port import Refused, ServerError, Servers
from cryptocdc_operator.settings import Object
from cryptocdc_operator.status import conditions
from cryptocdc_operator.status.conditions import Assessment
from cryptocdc_operator.status.document import merge_patch
from cryptocdc_operator.status.failures import describe

log = logging.getLogger("cryptocdc.operator")

COMPONENTS = ("producer", "consumer", "api", ALERTER)


class _Wait(Exception):
    """Something must be gone before the next step."""


def tear_down(operator: Operator, name: str, post_event: PostEvent) -> Outcome:
    """One pass; done when the outcome asks for no other. Raises what the API server's client raises."""
    document = operator.cluster.feed(name)
    if document is None:
        return Outcome(None)
    try:
        _tear_down(operator, document, post_event)
    except _Wait as waiting:
        return _report(operator, document, Outcome(SOON_S, str(waiting)))
    except Exception as error:
        outcome = _obstacle(name, error)
        if _message(document) != conditions.message(outcome.waiting_for):
            post_event("Warning", "DeletionWaits", outcome.waiting_for)
        return _report(operator, document, outcome)
    operator.metrics.remove_feed(name)
    return Outcome(None)


def _obstacle(name: str, error: Exception) -> Outcome:
    """What keeps a deletion from going on, in words, and when to try again."""
    match error:
        case Refused():
            return Outcome(LATER_S, f"{error.server}: {error}")
        case ServerError():
            return Outcome(LATER_S, f"{error.server} does not answer: {error}")
        case SettingsError() | SecretUnusable():
            return Outcome(LATER_S, str(error))
    log.error("%s: a pass of its deletion failed", name, exc_info=error)
    return Outcome(LATER_S, f"a pass of the deletion failed: {describe(error)}", failed=True)


def _tear_down(operator: Operator, document: Object, post_event: PostEvent) -> None:
    cluster, name = operator.cluster, document["metadata"]["name"]
    if cluster.namespace_ends():
        log.warning("%s: its namespace is deleted, and the platform with it: nothing else is removed", name)
        return
    cluster.share_feed(name, None)
    fid = document.get("status", {}).get("identity")
    if fid is None:
        return  # nothing was ever made
    names, everything = Names(fid), document["spec"].get("deletionPolicy") == "Delete"
    _stop_programs(operator, name)
    servers = _connected(operator)
    _remove_connector(operator, servers, names, post_event)
    servers.drop_slot(names)
    topics = cluster.of_feed("KafkaTopic", name)
    if not everything:
        _keep_topics(operator, topics)
        if topics and not cluster.missing_kinds(("KafkaTopic",)):
            servers.write_symbols(names, {})
        post_event(
            "Normal",
            "Deleted",
            "connector and replication slot are gone; the data stays",
        )
        return
    for topic in topics:
        cluster.delete("KafkaTopic", topic["metadata"]["name"])
    servers.drop_data(names)
    if cluster.of_feed("KafkaTopic", name):
        raise _Wait("the topics are being deleted")
    post_event("Normal", "Deleted", "connector, replication slot, topics and tables are gone")


def _stop_programs(operator: Operator, name: str) -> None:
    """Nothing may write or read while the tables go; the pods end by themselves within their grace period."""
    for component in COMPONENTS:
        operator.cluster.delete("Deployment", f"{name}-{component}")
    left = [
        pod["metadata"]["name"]
        for component in COMPONENTS
        for pod in operator.cluster.pods(selector_text(name, component))
    ]
    if left:
        raise _Wait(f"{', '.join(left)} are ending")


def _connected(operator: Operator) -> Servers:
    secrets, missing = operator.secrets()
    if missing:
        raise ServerError("the platform", f"missing secrets: {', '.join(missing)}")
    return operator.connect(secrets)


def _remove_connector(operator: Operator, servers: Servers, names: Names, post_event: PostEvent) -> None:
    """Its position goes first: a feed of the same name begins again, and its slot would not match. Connect forgets a
    position only of a connector that was stopped.

    Connect itself is asked to stop it: Strimzi leaves a connector that has failed as it is, whatever its KafkaConnector
    says. That says so too, since Strimzi would start what it finds stopped.
    """
    name, state = names.connector, servers.connector_state(names.connector)
    live = operator.cluster.find("KafkaConnector", name)
    if live is None:
        if state is not None:
            # Strimzi removes it within two minutes, if it runs.
            servers.delete_connector(name)
        return
    if state is not None:
        declared = live["spec"].get("state") == "stopped"
        if not declared:
            operator.cluster.change("KafkaConnector", name, {"spec": {"state": "stopped"}})
        if not (declared and state.ended):
            servers.stop_connector(name)
            raise _Wait("the connector is being stopped")
        _forget_position(servers, name, state, post_event)
    operator.cluster.delete("KafkaConnector", name)
    raise _Wait("the connector is being deleted")


def _forget_position(servers: Servers, name: str, state: ConnectorState, post_event: PostEvent) -> None:
    """A position that can't be removed is no reason to keep the slot: a later feed of the same name finds that its slot
    is not the one of that position, and takes a new snapshot."""
    try:
        if state.state != "STOPPED":
            servers.stop_connector(name)  # its state does not show whether that was heard
        servers.reset_connector(name)
    except Refused as error:
        if "STOPPED" in str(error):
            # It was asked to stop and has yet to note that: Connect names the state that is wanted.
            raise _Wait("the connector is being stopped") from error
        post_event("Warning", "PositionKept", f"Connect keeps the position of connector {name}: {error}")


def _keep_topics(operator: Operator, topics: list[Object]) -> None:
    """The policy may have been Delete a moment ago: what belongs to the feed goes with it."""
    for topic in topics:
        if topic["metadata"].get("ownerReferences"):
            name = topic["metadata"]["name"]
            operator.cluster.change("KafkaTopic", name, {"metadata": {"ownerReferences": None}})


def _message(document: Object) -> str | None:
    """What `Ready` says."""
    written = document.get("status", {}).get("conditions", [])
    return next((condition["message"] for condition in written if condition["type"] == conditions.READY), None)


def _report(operator: Operator, document: Object, outcome: Outcome) -> Outcome:
    """Write what the deletion waits for into the feed's status."""
    metadata, before = document["metadata"], document.get("status", {})
    assessments = {conditions.READY: Assessment("False", "Deleting", outcome.waiting_for)}
    after: dict[str, Any] = {
        **before,
        "conditions": conditions.merge(
            before.get("conditions", []), assessments, metadata["generation"], operator.now()
        ),
    }
    patch = merge_patch(before, after)
    if patch:
        operator.cluster.set_status(metadata["name"], patch)
    operator.metrics.condition.labels(metadata["name"], conditions.READY).set(False)
    return outcome

"""A feed that is deleted: what it made is removed, step by step, each of which may be done again. The finalizer stays
until all of it is gone: the connector and its slot first, for which PostgreSQL would keep log until the disk is full.
"""

from __future__ import annotations

from typing import Any

from cryptocdc_core.names import Names
from cryptocdc_operator import judge
from cryptocdc_operator.context import UNUSABLE, Operator, Outcome
from cryptocdc_operator.edges import Say, ServerError, Servers
from cryptocdc_operator.judge import Verdict
from cryptocdc_operator.labels import ALERTER
from cryptocdc_operator.reconcile import LATER_S, SOON_S
from cryptocdc_operator.settings import Object
from cryptocdc_operator.statuses import merge_patch

COMPONENTS = ("producer", "consumer", "api", ALERTER)


class _Wait(Exception):
    """Something must be gone before the next step."""


def tear_down(operator: Operator, name: str, say: Say) -> Outcome:
    """One pass; done when the outcome asks for no other. Raises what the API server's client raises."""
    document = operator.cluster.feed(name)
    if document is None:
        return Outcome(None)
    try:
        _tear_down(operator, document, say)
    except _Wait as waiting:
        return _told(operator, document, str(waiting), SOON_S)
    except ServerError as error:
        return _told(operator, document, f"{error.server} does not answer: {error}", LATER_S)
    except UNUSABLE as error:
        return _told(operator, document, f"a secret lacks a key: {error}", LATER_S)
    operator.metrics.forget(name)
    return Outcome(None)


def _tear_down(operator: Operator, document: Object, say: Say) -> None:
    cluster, name = operator.cluster, document["metadata"]["name"]
    cluster.share_feed(name, None)
    fid = document.get("status", {}).get("identity")
    if fid is None:
        return  # nothing was ever made
    names, everything = Names(fid), document["spec"].get("deletionPolicy") == "Delete"
    _stop_programs(operator, name)
    servers = _reached(operator)
    _remove_connector(operator, servers, names)
    servers.drop_slot(names)
    topics = cluster.of_feed("KafkaTopic", name)
    if not everything:
        _keep_topics(operator, topics)
        if topics and not cluster.missing_kinds(("KafkaTopic",)):
            servers.write_symbols(names, {})
        say(
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
    say("Normal", "Deleted", "connector, replication slot, topics and tables are gone")


def _stop_programs(operator: Operator, name: str) -> None:
    """Nothing may write or read while the tables go; the pods end by themselves within their grace period."""
    for component in COMPONENTS:
        operator.cluster.delete("Deployment", f"{name}-{component}")
    left = [pod["metadata"]["name"] for component in COMPONENTS for pod in operator.cluster.pods(name, component)]
    if left:
        raise _Wait(f"{', '.join(left)} are ending")


def _reached(operator: Operator) -> Servers:
    secrets, missing = operator.secrets()
    if missing:
        raise ServerError("the platform", f"missing secrets: {', '.join(missing)}")
    return operator.connect(secrets)


def _remove_connector(operator: Operator, servers: Servers, names: Names) -> None:
    """Its position goes first: a feed of the same name begins anew, and its slot would not match. Connect forgets a
    position only of a connector that is stopped."""
    name, state = names.connector, servers.connector_state(names.connector)
    if operator.cluster.find("KafkaConnector", name) is None:
        if state is not None:
            raise _Wait("the connector is being deleted")
        return
    if state is not None:
        if state.state != "STOPPED" or state.tasks:
            operator.cluster.change("KafkaConnector", name, {"spec": {"state": "stopped"}})
            raise _Wait("the connector is being stopped")
        servers.reset_connector(name)
    operator.cluster.delete("KafkaConnector", name)
    raise _Wait("the connector is being deleted")


def _keep_topics(operator: Operator, topics: list[Object]) -> None:
    """The policy may have been Delete a moment ago: what belongs to the feed goes with it."""
    for topic in topics:
        if topic["metadata"].get("ownerReferences"):
            name = topic["metadata"]["name"]
            operator.cluster.change("KafkaTopic", name, {"metadata": {"ownerReferences": None}})


def _told(operator: Operator, document: Object, message: str, again_s: float) -> Outcome:
    """Who waits for a deletion sees what it waits for."""
    metadata, before = document["metadata"], document.get("status", {})
    verdicts = {judge.READY: Verdict("False", "Deleting", message)}
    after: dict[str, Any] = {
        **before,
        "conditions": judge.conditions(before.get("conditions", []), verdicts, metadata["generation"], operator.now()),
    }
    patch = merge_patch(before, after)
    if patch:
        operator.cluster.set_status(metadata["name"], patch)
    operator.metrics.condition.labels(metadata["name"], judge.READY).set(False)
    return Outcome(again_s, message)

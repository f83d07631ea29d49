"""Removes connectors that read PostgreSQL, in idempotent steps."""

from __future__ import annotations

from collections.abc import Iterable

from cryptocdc_adapters.replication.connect import ConnectorState
from cryptocdc_core.storage.shards import Shard
from cryptocdc_operator.context import Operator, PostEvent
from cryptocdc_operator.servers.port import Refused, Servers


class Wait(Exception):
    """Something must be removed before the next step; the message says what."""


def remove_connectors(operator: Operator, servers: Servers, shards: Iterable[Shard], post_event: PostEvent) -> None:
    """Return once none of them is left. Raises Wait, ServerError."""
    waiting = []
    for shard in shards:
        try:
            _remove(operator, servers, shard.connector, post_event)
        except Wait as wait:
            waiting.append(str(wait))
    if waiting:
        raise Wait(waiting[0])


def _remove(operator: Operator, servers: Servers, name: str, post_event: PostEvent) -> None:
    """Remove the connector, its position first: it would not match the new slot of a later one with the same name.
    Connect resets only the position of a stopped connector.

    The request to stop goes directly to Connect, since Strimzi does not stop a failed connector; the KafkaConnector is
    set to stopped as well, since Strimzi would restart a connector that it finds stopped.
    """
    state = servers.connector_state(name)
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
            raise Wait("the connector is being stopped")
        _forget_position(servers, name, state, post_event)
    operator.cluster.delete("KafkaConnector", name)
    raise Wait("the connector is being deleted")


def _forget_position(servers: Servers, name: str, state: ConnectorState, post_event: PostEvent) -> None:
    """Reset the connector's position. If that fails, continue anyway: a later feed with the same name notices that its
    slot does not match the position, and takes a new snapshot."""
    try:
        if state.state != "STOPPED":
            servers.stop_connector(name)  # its state does not show whether it was stopped
        servers.reset_connector(name)
    except Refused as error:
        if "STOPPED" in str(error):
            # Connect has not processed the stop yet: the message names the required state.
            raise Wait("the connector is being stopped") from error
        post_event("Warning", "PositionKept", f"Connect keeps the position of connector {name}: {error}")

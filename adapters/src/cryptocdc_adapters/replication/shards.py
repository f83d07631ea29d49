"""The slots and connectors of a feed's shards, as PostgreSQL and Connect report them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from psycopg2.extensions import connection as Connection

from cryptocdc_adapters.replication import slots
from cryptocdc_adapters.replication.connect import Connect, ConnectorState, Position
from cryptocdc_core.names import Names
from cryptocdc_core.storage.shards import Shard, of_connectors


@dataclass(frozen=True, slots=True)
class ShardState:
    """A shard's slot and connector; None where there is none. Read in this order: while the connector runs, both
    positions only ever grow."""

    slot: slots.Slot | None = None
    state: ConnectorState | None = None
    position: Position | None = None
    """None also where Connect can't read it, of a connector that does not run."""

    @property
    def confirmed(self) -> int | None:
        return None if self.slot is None else self.slot.confirmed

    @property
    def lost(self) -> str | None:
        return slots.lost(self.slot, self.position)

    @property
    def unread(self) -> bool:
        """Whether nothing reads the slot, although the connector runs and takes no snapshot."""
        if self.slot is None or self.slot.active or self.position is None:
            return False
        return self.running and not self.position.snapshot

    @property
    def snapshotting(self) -> bool:
        """Whether the connector takes a snapshot, or is about to."""
        return self.running and (self.position is None or self.position.snapshot)

    @property
    def placed(self) -> bool:
        return self.state is not None and self.position is not None

    @property
    def stopped(self) -> bool:
        return self.state is None or self.state.ended

    @property
    def begun(self) -> bool:
        if self.position is not None and not self.position.given:
            return True
        # While Connect assigns its connectors to workers, it reports stopped ones as unassigned.
        return self.state is not None and not self.state.ended and self.state.state != "UNASSIGNED"

    @property
    def running(self) -> bool:
        return self.state is not None and self.state.running


def observe(connection: Connection, connect: Connect, names: Names, connectors: int) -> dict[Shard, ShardState]:
    """Return the state of every shard of the feed that has a slot or a connector, of whatever number of connectors.
    `connectors`: the wanted number.

    Raises psycopg2.Error, ConnectError, requests.RequestException.
    """
    made = slots.of_feed(connection, names)
    return with_slots(made, observe_connectors(connect, names, connectors))


def observe_connectors(connect: Connect, names: Names, connectors: int) -> dict[Shard, ShardState]:
    """Return the shards that have a connector, without their slots, which are to be read before."""
    shards = sorted(of_connectors(names, connect.names()).values())
    changing = any(shard.of != connectors for shard in shards)
    found = {}
    for shard in shards:
        state, position = connect.state(shard.connector), None
        if state is not None and changing:  # what to do next depends on it
            position = connect.position(shard.connector)
        elif state is not None:
            position = connect.position_if_readable(shard.connector, state)
        found[shard] = ShardState(None, state, position)
    return found


def with_slots(made: Mapping[Shard, slots.Slot], found: Mapping[Shard, ShardState]) -> dict[Shard, ShardState]:
    """Return the states with their slots."""
    none = ShardState()
    return {shard: replace(found.get(shard, none), slot=made.get(shard)) for shard in sorted({*made, *found})}

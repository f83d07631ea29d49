"""How the connectors of a feed are replaced by another number of them without a loss: drain, then move. Pure.

The slots of the new connectors are created while the old ones still read. Once these have passed the positions at which
the new slots begin, they are stopped, and only then do the new ones start. Every change is carried by one or the other,
some by both, and those of a symbol always in their order, as if a connector had been restarted. Each step is idempotent
and follows from what is found, so that it can be interrupted, and the number changed again, at any point.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from cryptocdc_core.names import Names
from cryptocdc_core.storage.shards import Shard, shards


class Found(Protocol):
    """A shard's slot and connector, of which at least one exists."""

    @property
    def confirmed(self) -> int | None:
        """The slot's confirmed position, None without a slot."""

    @property
    def lost(self) -> str | None:
        """Why changes were lost between slot and connector, None if none were."""

    @property
    def placed(self) -> bool:
        """Whether the connector exists and has a position."""

    @property
    def stopped(self) -> bool:
        """Whether there is no connector, or nothing of it runs."""

    @property
    def begun(self) -> bool:
        """Whether the connector has read from its slot or taken a snapshot, or may have."""

    @property
    def running(self) -> bool:
        """Whether the connector and its task run."""


class Step(Enum):
    CARRY = "carry"
    """The wanted connectors carry the changes: create what is missing, restart what has failed."""
    REMOVE = "remove"
    """As CARRY, and remove all others with their slots; their publications after that."""
    SNAPSHOT = "snapshot"
    """Remove all others, and slots and positions of the wanted ones, which then take a snapshot each: no other
    connectors have carried the changes before, or they have lost some."""
    PREPARE = "prepare"
    """Create the wanted slots, and the wanted connectors, stopped at their slots' positions."""
    DRAIN = "drain"
    """Let the old connectors read on, until they have passed the positions of the wanted ones."""
    STOP = "stop"
    """Stop all connectors but the wanted ones."""
    START = "start"
    """Start the wanted connectors."""


@dataclass(frozen=True, slots=True)
class Move:
    step: Step
    active: tuple[Shard, ...]
    """The shards whose connectors carry the changes now."""


def decide(names: Names, connectors: int, found: Mapping[Shard, Found], recorded: int | None = None) -> Move:
    """Return the next step towards that number of connectors. `found`: every slot and connector of the feed.

    `recorded`: the number of connectors that are to carry the changes since the last CARRY or START, if that is stored
    before either is acted on; None if it follows from what is found. It must be stored where something else may start
    a connector that was prepared and must not read yet, as Strimzi may.
    """
    wanted = shards(names, connectors)
    others = [shard for shard in found if shard.of != connectors]
    mine = [found.get(shard) for shard in wanted]
    active = _inferred(names, connectors, found) if recorded is None else recorded
    if active == connectors:
        if not others:
            return Move(Step.CARRY, wanted)
        if not all(found[shard].stopped for shard in others):
            return Move(Step.STOP, wanted)
        taken_over = all(one is not None and one.running for one in mine)
        return Move(Step.REMOVE if taken_over else Step.CARRY, wanted)
    old = shards(names, active)
    if not _complete(old, found):
        return Move(Step.SNAPSHOT if found else Step.CARRY, wanted)
    if not all(one is not None and prepared(one) for one in mine):
        return Move(Step.PREPARE, old)
    if min(found[shard].confirmed or 0 for shard in old) < max(one.confirmed or 0 for one in mine if one is not None):
        return Move(Step.DRAIN, old)
    return Move(Step.START if all(found[shard].stopped for shard in others) else Step.STOP, old)


def prepared(found: Found) -> bool:
    """Return whether the connector waits at its slot's position. One that does not is created again with its slot."""
    return found.confirmed is not None and found.placed and not found.begun and found.lost is None


def _inferred(names: Names, connectors: int, found: Mapping[Shard, Found]) -> int:
    """Return the number of the connectors that carry the changes now: those wanted, if there are no others or they have
    begun, or else others; 0 if none has begun. Of two that began, the first was stopped before the second began."""

    def progress(of: int) -> tuple[bool, int]:
        parts = [found[shard] for shard in shards(names, of) if shard in found]
        return any(not part.stopped for part in parts), min(part.confirmed or 0 for part in parts)

    numbers = {shard.of for shard in found} or {connectors}
    begun = {shard.of for shard in found if found[shard].begun}
    if numbers == {connectors} or connectors in begun:
        return connectors
    return max(begun, key=progress, default=0)


def _complete(active: Iterable[Shard], found: Mapping[Shard, Found]) -> bool:
    """Return whether there are any, and each has a slot that has lost nothing."""
    parts = [found.get(shard) for shard in active]
    return bool(parts) and all(part is not None and part.confirmed is not None and part.lost is None for part in parts)

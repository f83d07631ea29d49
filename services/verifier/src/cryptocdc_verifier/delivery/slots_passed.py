"""Waits until everything before an LSN has passed a feed's slots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from cryptocdc_adapters.replication import slots
from cryptocdc_adapters.replication.slots import Slot
from cryptocdc_core.names import Names
from cryptocdc_core.storage.shards import Shard, shards
from cryptocdc_verifier.comparing.postgres import PostgresSide
from cryptocdc_verifier.delivery.stalls import Clock, wait_until_zero
from cryptocdc_verifier.target import VerifyError

_BEAT_S = 1.0
_MISSING = 1 << 62


class SlotPositions(Protocol):
    """A feed's slots in PostgreSQL, and a way to give them something to confirm."""

    def read(self) -> Mapping[Shard, Slot]:
        """Return the slots that exist, of whatever number of connectors: of two while the number is being changed."""
        ...

    def beat(self) -> int:
        """Write something that each slot must pass, and return the position after it."""
        ...


class PostgresSlots:
    """The slots of a feed in PostgreSQL."""

    def __init__(self, side: PostgresSide, names: Names) -> None:
        self._side = side
        self._names = names

    def read(self) -> Mapping[Shard, Slot]:
        return slots.of_feed(self._side.connection, self._names)

    def beat(self) -> int:
        return self._side.beat()


class SlotsPassed:
    """`wait` returns once every change before a position has passed the slots.

    While the number of connectors is being changed there are the slots of both numbers. Those of one of them suffice:
    the new ones pass nothing before the old ones have passed what was before them.
    """

    def __init__(
        self,
        positions: SlotPositions,
        connector: Callable[[Shard], str],
        names: Names,
        connectors: int,
        clock: Clock,
        stalled_s: float,
    ) -> None:
        """`connector` returns a description of the state of a shard's connector; `connectors`: the feed's number."""
        self._positions = positions
        self._connector = connector
        self._names = names
        self._connectors = connectors
        self._clock = clock
        self._stalled_s = stalled_s

    def wait(self, lsn: int) -> None:
        """Raises VerifyError if a slot is lost or makes no progress."""
        goals: dict[int, int] = {}
        beaten = self._clock.now()

        def left() -> int:
            nonlocal beaten
            usable = self._usable()
            for of in goals.keys() - usable.keys():  # a slot that is created again has not passed what it had
                del goals[of]
            if not usable:
                return _MISSING
            for of in usable.keys() - goals.keys():
                # A new slot confirms the position of its creation before its snapshot has reached Kafka: only a change
                # made after we saw the slot proves that everything before has passed.
                goals[of] = max(lsn, self._positions.beat())
            if self._clock.now() - beaten > _BEAT_S:
                beaten = self._clock.now()
                self._positions.beat()
            return min(goals[of] - min(slot.confirmed for slot in made.values()) for of, made in usable.items())

        wait_until_zero(left, self._problem, self._clock, self._stalled_s)

    def _usable(self) -> dict[int, Mapping[Shard, Slot]]:
        """Return the slots by number of connectors, where all exist and none is lost. Raises VerifyError if there are
        none because one is lost."""
        found = self._positions.read()
        usable: dict[int, Mapping[Shard, Slot]] = {}
        lost: Slot | None = None
        for of in sorted({shard.of for shard in found}):
            made = {shard: found[shard] for shard in shards(self._names, of) if shard in found}
            lost = lost or next((slot for slot in made.values() if not slot.usable), None)
            if len(made) == of and all(slot.usable for slot in made.values()):
                usable[of] = made
        if lost is not None and not usable:
            raise VerifyError(
                f"slot {lost.name} is lost: PostgreSQL has removed WAL that it had not read. The connector"
                " must take a new snapshot: apply the feed again"
            )
        return usable

    def _problem(self, remaining: int) -> str:
        found = self._positions.read()
        if remaining == _MISSING or not found:  # the last slot may have been dropped since `left` read them
            missing = absent(self._names, found, self._connectors)
            if missing:
                how = "; ".join(self._connector(shard) for shard in missing)
                names = ", ".join(shard.slot for shard in missing)
                return f"slot {names} has been missing for {self._stalled_s:.0f} s: {how}"
        shard = min(found, key=lambda shard: found[shard].confirmed)
        return (
            f"slot {shard.slot} has not advanced for {self._stalled_s:.0f} s and is {remaining} bytes of WAL"
            f" behind the position to prove: {self._connector(shard)}"
        )


def absent(names: Names, found: Iterable[Shard], connectors: int) -> tuple[Shard, ...]:
    """Return the shards without a slot, of each number of connectors that has one; of `connectors` if none has."""
    there = set(found)
    numbers = sorted({shard.of for shard in there}) or [connectors]
    return tuple(shard for of in numbers for shard in shards(names, of) if shard not in there)

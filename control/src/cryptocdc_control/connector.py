"""What to do about a connector that failed or lost its slot, and when to give up. Pure: the caller keeps `Recovery`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from cryptocdc_core.backoff import Backoff
from cryptocdc_core.feed_base import Count

MOST_SNAPSHOTS = 2
"""A slot that is lost again and again has a cause that a third snapshot would not remove either."""
BACKOFF = Backoff(2.0, 300.0)
MOST_ALLOWED = 253
"""Characters of a permission that are remembered, and so told apart."""
HEALTHY_AFTER = timedelta(minutes=10)
"""A restarted connector that has run for so long counts its restarts from zero again."""
RESTART_LIMIT = timedelta(minutes=1)
"""A restart that has not ended after so long has failed without saying so."""
KEPT_ITS_SLOT = timedelta(hours=1)
"""A slot that was kept for so long counts the snapshots from zero again."""


class Recovery(BaseModel):
    """What was done for a connector that failed. Forgotten once it has run well for a while."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True)

    restarts: Count = 0
    """How often it was restarted since it last ran well."""
    restarted_at: AwareDatetime | None = None
    """When it was last restarted."""
    snapshots: Count = 0
    """How often it took a new snapshot because its replication slot was lost."""
    snapshot_at: AwareDatetime | None = None
    """When that was last begun."""
    snapshotting: bool = False
    """The connector is stopped, slot and position are being removed: then it takes a new snapshot."""
    allowed: str | None = Field(None, max_length=MOST_ALLOWED)
    """The value of the annotation `cryptocdc.io/new-snapshot` that was last obeyed."""


class Health(Protocol):
    """A connector as Connect reports it. It may be none of these, while it starts, is stopped or paused."""

    @property
    def running(self) -> bool:
        """Every task runs."""

    @property
    def failed(self) -> bool:
        """The connector or one of its tasks has failed."""

    @property
    def restarting(self) -> bool:
        """The connector or one of its tasks is being restarted, or its restart has failed."""


class Action(Enum):
    NONE = "none"
    RESTART = "restart"
    """Restart the connector and its tasks."""
    SNAPSHOT = "snapshot"
    """Stop the connector, remove slot and position, and start it: it takes a new snapshot. May take several steps, in
    each of which the decision is the same until `snapshotting` is cleared."""
    HALT = "halt"
    """The slot is lost and enough was tried: the connector stays stopped, so that nothing is skipped silently."""


@dataclass(frozen=True, slots=True)
class Decision:
    action: Action
    recovery: Recovery
    """To be kept before anything is done: a caller that dies then neither forgets nor counts twice."""


def decide(state: Health | None, lost: str | None, before: Recovery, allowed: str | None, now: datetime) -> Decision:
    """`lost`: why the slot is lost, None when it is not. `allowed`: a person's permission to take new snapshots again,
    any text; a text other than the one last obeyed resets the count."""
    allowed = allowed and allowed[:MOST_ALLOWED]
    if allowed is not None and allowed != before.allowed:
        before = Recovery(allowed=allowed, snapshotting=before.snapshotting)
    if before.snapshotting:
        return Decision(Action.SNAPSHOT, before)
    if lost is not None:
        if before.snapshots >= MOST_SNAPSHOTS:
            return Decision(Action.HALT, before)
        begun = {"snapshots": before.snapshots + 1, "snapshot_at": now, "snapshotting": True, "restarts": 0}
        return Decision(Action.SNAPSHOT, before.model_copy(update=begun))
    if state is not None and (state.failed or state.restarting):
        pause = timedelta(seconds=BACKOFF.after(before.restarts))
        if not state.failed:
            pause = max(pause, RESTART_LIMIT)
            if before.restarted_at is None:  # somebody else restarts it
                return Decision(Action.NONE, before.model_copy(update={"restarted_at": now}))
        if before.restarted_at is not None and now < before.restarted_at + pause:
            return Decision(Action.NONE, before)
        again = before.model_copy(update={"restarts": before.restarts + 1, "restarted_at": now})
        return Decision(Action.RESTART, again)
    if state is not None and state.running:
        if before.restarted_at is not None and now > before.restarted_at + HEALTHY_AFTER:
            before = before.model_copy(update={"restarts": 0, "restarted_at": None})
        if before.snapshot_at is not None and now > before.snapshot_at + KEPT_ITS_SLOT:
            before = before.model_copy(update={"snapshots": 0, "snapshot_at": None})
    return Decision(Action.NONE, before)

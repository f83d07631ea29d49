"""What to do about a connector that failed or lost its slot, and when to give up. Pure: the caller keeps `Recovery`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from cryptocdc_core.feed.base import Count
from cryptocdc_core.program.backoff import Backoff

MOST_SNAPSHOTS = 2
"""A slot that is lost repeatedly has a cause that a third snapshot would not remove."""
BACKOFF = Backoff(2.0, 300.0)
MOST_ALLOWED = 253
"""Number of characters of a permission that are stored and compared."""
HEALTHY_AFTER = timedelta(minutes=10)
"""The count of restarts is reset once a restarted connector has run this long."""
RESTART_LIMIT = timedelta(minutes=1)
"""A restart that has not ended after so long has failed without saying so."""
UNREAD_LIMIT = timedelta(minutes=1)
"""A slot that a running connector has not read for this long: its connection is dead without having been closed."""
KEPT_ITS_SLOT = timedelta(hours=1)
"""The count of snapshots is reset once the slot has been usable this long."""


class Recovery(BaseModel):
    """What was done about a failed connector. Reset once the connector has been healthy for a while."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True)

    restarts: Count = 0
    """How often it was restarted since it was last healthy."""
    restarted_at: AwareDatetime | None = None
    """When it was last restarted."""
    unread_since: AwareDatetime | None = None
    """Since when nothing has read the slot although the connector runs."""
    snapshots: Count = 0
    """How often it took a new snapshot because its replication slot was lost."""
    snapshot_at: AwareDatetime | None = None
    """When the last of them was started."""
    snapshotting: bool = False
    """Whether a snapshot is being prepared: the connector is stopped while slot and position are removed."""
    allowed: str | None = Field(None, max_length=MOST_ALLOWED)
    """The value of the annotation `cryptocdc.io/new-snapshot` that was last acted on."""


class Health(Protocol):
    """A connector as Connect reports it. It may be none of these, while it starts, is stopped or paused."""

    @property
    def running(self) -> bool:
        """Whether the connector and every task run."""

    @property
    def failed(self) -> bool:
        """Whether the connector or one of its tasks has failed."""

    @property
    def restarting(self) -> bool:
        """The connector or one of its tasks is being restarted, or its restart has failed."""


class Action(Enum):
    NONE = "none"
    RESTART = "restart"
    """Restart the connector and its tasks."""
    SNAPSHOT = "snapshot"
    """Stop the connector, remove slot and position, and start it, so that it takes a new snapshot. This may take
    several passes; the decision is the same in each until `snapshotting` is cleared."""
    HALT = "halt"
    """The slot is lost and no attempts are left: the connector stays stopped, so that nothing is skipped silently."""


@dataclass(frozen=True, slots=True)
class Decision:
    action: Action
    recovery: Recovery
    """To be stored before acting, so that a caller that is killed neither forgets nor counts twice."""


def decide(
    state: Health | None,
    lost: str | None,
    before: Recovery,
    allowed: str | None,
    now: datetime,
    *,
    unread: bool = False,
) -> Decision:
    """Return what to do now. `lost`: why the slot is lost, None if it is not. `allowed`: a user's permission to take
    new snapshots, any text; one that differs from the last permission resets the count. `unread`: nothing reads the
    slot, although no snapshot is being taken."""
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
    if state is not None and state.running and unread:
        # PostgreSQL frees the slot a minute after it last heard from a connector, which itself may wait forever.
        since = before.unread_since or now
        if now < since + UNREAD_LIMIT:
            return Decision(Action.NONE, before.model_copy(update={"unread_since": since}))
        hung = {"restarts": before.restarts + 1, "restarted_at": now, "unread_since": None}
        return Decision(Action.RESTART, before.model_copy(update=hung))
    if before.unread_since is not None:
        before = before.model_copy(update={"unread_since": None})
    if state is not None and state.running:
        if before.restarted_at is not None and now > before.restarted_at + HEALTHY_AFTER:
            before = before.model_copy(update={"restarts": 0, "restarted_at": None})
        if before.snapshot_at is not None and now > before.snapshot_at + KEPT_ITS_SLOT:
            before = before.model_copy(update={"snapshots": 0, "snapshot_at": None})
    return Decision(Action.NONE, before)

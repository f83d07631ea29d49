"""What to do about a connector that failed or lost its slot. Pure: what was done before stands in the feed's status."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from cryptocdc_adapters.connect import ConnectorState
from cryptocdc_operator.status import Recovery

MOST_SNAPSHOTS = 2
"""A slot that is lost again and again has a cause that a third snapshot would not remove either."""
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 10.0, 600.0
MOST_ALLOWED = 253
"""Characters of an annotation that are remembered, and so told apart."""
RAN_WELL = timedelta(minutes=10)
KEPT_ITS_SLOT = timedelta(hours=1)


class Action(Enum):
    NONE = "none"
    RESTART = "restart"
    """Restart the connector's failed parts."""
    SNAPSHOT = "snapshot"
    """Stop the connector, remove slot and position, and start it: it takes a new snapshot. Goes on over many passes."""
    HALT = "halt"
    """The slot is lost and enough was tried: the connector stays stopped, so that nothing is skipped in silence."""


@dataclass(frozen=True, slots=True)
class Decision:
    action: Action
    recovery: Recovery
    """To be kept before anything is done: an operator that dies then neither forgets nor counts twice."""


def decide(
    state: ConnectorState | None, lost: str | None, before: Recovery, allowed: str | None, now: datetime
) -> Decision:
    """`lost`: why the slot is lost, None when it is not. `allowed`: the feed's annotation that allows new snapshots."""
    allowed = allowed and allowed[:MOST_ALLOWED]
    if allowed is not None and allowed != before.allowed:
        before = Recovery(allowed=allowed, snapshotting=before.snapshotting)
    if before.snapshotting:
        return Decision(Action.SNAPSHOT, before)
    if lost is not None:
        if before.snapshots >= MOST_SNAPSHOTS:
            return Decision(Action.HALT, before)
        begun = before.model_copy(
            update={"snapshots": before.snapshots + 1, "snapshot_at": now, "snapshotting": True, "restarts": 0}
        )
        return Decision(Action.SNAPSHOT, begun)
    if state is not None and state.failed:
        if before.restarted_at is not None and now < before.restarted_at + backoff(before.restarts):
            return Decision(Action.NONE, before)
        again = before.model_copy(update={"restarts": before.restarts + 1, "restarted_at": now})
        return Decision(Action.RESTART, again)
    if state is not None and state.running:
        if before.restarted_at is not None and now > before.restarted_at + RAN_WELL:
            before = before.model_copy(update={"restarts": 0, "restarted_at": None})
        if before.snapshot_at is not None and now > before.snapshot_at + KEPT_ITS_SLOT:
            before = before.model_copy(update={"snapshots": 0, "snapshot_at": None})
    return Decision(Action.NONE, before)


def backoff(restarts: int) -> timedelta:
    """How long to wait after so many restarts."""
    return timedelta(seconds=min(FIRST_BACKOFF_S * 2 ** max(0, restarts - 1), LONGEST_BACKOFF_S))

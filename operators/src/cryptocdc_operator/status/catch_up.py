"""Determines whether an old proof is catching up. Pure: the previous observation is in the feed's status.

A recreated or backfilled feed is proven from its oldest row on, so its proof is old although nothing is wrong. It is
behind only if its distance to the present does not shrink.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptocdc_operator.status.model import CatchUp

STALE = timedelta(minutes=15)
"""A proof trails by one to two minutes."""
PATIENCE = timedelta(minutes=10)
"""A proof that gets no closer to the present for this long is behind. Proving a slice takes minutes at most."""
GAIN_S = 60
"""A proof advances by whole minutes: a smaller gain does not count."""


def track_catch_up(
    before: CatchUp | None, earlier: datetime | None, through: datetime, now: datetime
) -> CatchUp | None:
    """Return the state to keep for a proof up to `through`: None while that is recent.

    `earlier`: how far the proof reached at the last observation, None if there was none.
    """
    distance = int((now - through).total_seconds())
    if distance <= STALE.total_seconds():
        return None
    reference = CatchUp(distance_seconds=distance, since=now)
    if earlier is None or through < earlier:
        return reference.model_copy(update={"gaining": True})
    if before is None:
        return reference
    if distance <= before.distance_seconds - GAIN_S:
        return reference.model_copy(update={"gaining": True})
    return reference if now - before.since > PATIENCE else before

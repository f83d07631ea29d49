"""Whether a proof that is old is being made good. Pure: what was seen before is in the feed's status.

A feed that is made again, or filled with its past, is proven from its oldest row on: what is proven is old although
nothing is late. It is the present that is late when the distance to it does not get smaller.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptocdc_operator.status.model import CatchUp

STALE = timedelta(minutes=15)
"""A proof trails by one to two minutes."""
PATIENCE = timedelta(minutes=10)
"""A proof that gets no closer to the present for so long is late. One slice of it takes minutes at most."""
GAIN_S = 60
"""A proof moves on by whole minutes: a smaller gain is none."""


def track_catch_up(
    before: CatchUp | None, earlier: datetime | None, through: datetime, now: datetime
) -> CatchUp | None:
    """Return what to keep in the status about a proof that reaches as far as `through`: None while that is recent.

    `earlier`: how far it reached when it was last looked at, None when it never was.
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

"""Records in a feed's status what the verifier has proven. Pure."""

from __future__ import annotations

from datetime import datetime

from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.feed.repair import repair_line
from cryptocdc_exchanges.registry import completeness
from cryptocdc_operator.status import assess
from cryptocdc_operator.status.assess import Proof
from cryptocdc_operator.status.catch_up import track_catch_up
from cryptocdc_operator.status.conditions import Assessment
from cryptocdc_operator.status.model import Completeness, Status


def record_proof(
    status: Status, feed: CryptoFeed, proof: Proof | str | None, now: datetime, *, suspended: bool
) -> Assessment:
    """Record in `status` how far the feed is proven and how its completeness is known, and return the condition;
    `proof` as in `assess.proven`."""
    known = completeness(feed)
    status.completeness = [Completeness(table=table, by=how) for table, how in known.items()]
    if isinstance(proof, Proof):
        status.rows, status.repair = proof.rows, repair_line(proof.repaired, proof.left) or None
        if proof.through is not None:
            status.catch_up = track_catch_up(status.catch_up, status.proven_through, proof.through, now)
            status.proven_through = proof.through
    return assess.proven(proof, suspended, status.catch_up, now, {table: how.value for table, how in known.items()})


def repair_event(before: str | None, proof: Proof | str | None) -> tuple[str, str, str] | None:
    """Return the kind, reason and message of the event to post, None if nothing has changed since the status line
    `before`."""
    if not isinstance(proof, Proof):
        return None
    line = repair_line(proof.repaired, proof.left)
    if not line or line == before:
        return None
    return ("Warning", "NotAllRepaired", line) if proof.left else ("Normal", "Repaired", line)

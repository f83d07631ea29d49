"""Records in a feed's status what the verifier has proven. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.feed.repair import repair_line
from cryptocdc_exchanges.registry import completeness
from cryptocdc_operator.status import assess
from cryptocdc_operator.status.assess import Proof
from cryptocdc_operator.status.catch_up import track_catch_up
from cryptocdc_operator.status.conditions import Assessment, rfc3339
from cryptocdc_operator.status.document import catch_up_document, catch_up_of, moment


def record_proof(
    status: dict[str, Any], feed: CryptoFeed, proof: Proof | str | None, now: datetime, *, suspended: bool
) -> Assessment:
    """Record in `status` how far the feed is proven and how its completeness is known, and return the condition;
    `proof` as in `assess.proven`."""
    known = {table: how.value for table, how in completeness(feed).items()}
    status["completeness"] = [{"table": table, "by": word} for table, word in known.items()]
    catch_up = catch_up_of(status)
    if isinstance(proof, Proof) and proof.through is not None:
        catch_up = track_catch_up(catch_up, moment(status.get("provenThrough")), proof.through, now)
        status.pop("catchUp", None)
        if catch_up is not None:
            status["catchUp"] = catch_up_document(catch_up)
    if isinstance(proof, Proof):
        status["rows"] = proof.rows
        status.pop("repair", None)
        if line := repair_line(proof.repaired, proof.left):
            status["repair"] = line
        if proof.through is not None:
            status["provenThrough"] = rfc3339(proof.through)
    return assess.proven(proof, suspended, catch_up, now, known)


def repair_event(before: str | None, proof: Proof | str | None) -> tuple[str, str, str] | None:
    """Return the kind, reason and message of the event to post, None if nothing has changed since the status line
    `before`."""
    if not isinstance(proof, Proof):
        return None
    line = repair_line(proof.repaired, proof.left)
    if not line or line == before:
        return None
    return ("Warning", "NotAllRepaired", line) if proof.left else ("Normal", "Repaired", line)

"""Creates a feed's tables in both databases."""

from __future__ import annotations

from dataclasses import dataclass

from cryptocdc_core.planning.plan import Plan
from cryptocdc_operator.resources.workloads import digest
from cryptocdc_operator.servers.port import CASSANDRA, POSTGRES, Observed, Refused, ServerError, Servers
from cryptocdc_operator.status.conditions import Assessment


@dataclass(frozen=True, slots=True)
class Applied:
    assessment: Assessment
    made_from: str | None = None
    """A digest of the statements that were run, None if none were."""


def apply_tables(plan: Plan, servers: Servers, observed: Observed, *, before: str | None, always: bool) -> Applied:
    """Run the statements if they differ from the last ones (`before` is their digest), or a table is missing, or
    `always`; not otherwise, since they take locks."""
    if not observed.answers(POSTGRES, CASSANDRA):
        return Applied(Assessment("Unknown", "PlatformNotReady", "PostgreSQL or Cassandra does not answer"))
    made = Assessment("True", "Made", f"{len(plan.carried)} tables exist in both databases")
    made_from = digest([plan.postgres, plan.cassandra])
    if not (observed.missing_tables or always or before != made_from):
        return Applied(made)
    try:
        servers.apply_tables(plan)
    except Refused as error:
        reason = "TradesKindDiffers" if "recentTrades.kind" in str(error) else "Refused"
        return Applied(Assessment("False", reason, f"{error.server}: {error}"))
    except ServerError as error:
        return Applied(Assessment("False", "NotMade", f"{error.server}: {error}"))
    return Applied(made, made_from)

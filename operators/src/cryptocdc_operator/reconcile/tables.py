"""A feed's tables in both databases."""

from __future__ import annotations

from dataclasses import dataclass

from cryptocdc_core.plan import Plan
from cryptocdc_operator.resources.workloads import digest
from cryptocdc_operator.servers.port import CASSANDRA, POSTGRES, Observed, Refused, ServerError, Servers
from cryptocdc_operator.status.conditions import Assessment


@dataclass(frozen=True, slots=True)
class Applied:
    assessment: Assessment
    made_from: str | None = None
    """A digest of the statements that were run now, None when none were."""


def apply_tables(plan: Plan, servers: Servers, observed: Observed, *, before: str | None, always: bool) -> Applied:
    """Run the statements when they are others than those run last (`before`, their digest), or a table is missing, or
    `always`: they take locks."""
    if not observed.answers(POSTGRES, CASSANDRA):
        return Applied(Assessment("Unknown", "PlatformNotReady", "its databases do not answer"))
    made = Assessment("True", "Made", f"{len(plan.carried)} tables are in both databases")
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

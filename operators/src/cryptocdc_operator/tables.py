"""A feed's tables in both databases."""

from __future__ import annotations

from dataclasses import dataclass

from cryptocdc_core.plan import Plan
from cryptocdc_operator.edges import CASSANDRA, POSTGRES, Refused, Seen, ServerError, Servers
from cryptocdc_operator.judge import Verdict
from cryptocdc_operator.workloads import digest


@dataclass(frozen=True, slots=True)
class Applied:
    verdict: Verdict
    made_from: str | None = None
    """A digest of the statements that were run now, None when none were."""


def apply_tables(plan: Plan, servers: Servers, seen: Seen, *, before: str | None, always: bool) -> Applied:
    """Run the statements when they are others than those run last (`before`, their digest), or a table is missing, or
    `always`: they take locks."""
    if not seen.answers(POSTGRES, CASSANDRA):
        return Applied(Verdict("Unknown", "PlatformNotReady", "its databases do not answer"))
    made = Verdict("True", "Made", f"{len(plan.carried)} tables are in both databases")
    made_from = digest([plan.postgres, plan.cassandra])
    if not (seen.missing_tables or always or before != made_from):
        return Applied(made)
    try:
        servers.apply_tables(plan)
    except Refused as error:
        reason = "TradesKindDiffers" if "recentTrades.kind" in str(error) else "Refused"
        return Applied(Verdict("False", reason, f"{error.server}: {error}"))
    except ServerError as error:
        return Applied(Verdict("False", "NotMade", f"{error.server}: {error}"))
    return Applied(made, made_from)

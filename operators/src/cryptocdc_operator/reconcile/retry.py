"""When to retry a pass over a feed. Pure."""

from __future__ import annotations

from datetime import datetime

from cryptocdc_operator.context import Outcome
from cryptocdc_operator.status.conditions import COMING, PLATFORM, READY
from cryptocdc_operator.status.model import Condition

SOON_S, LATER_S, SELDOM_S = 3.0, 15.0, 30.0
"""When to retry: to continue what was started; to check whether a server is back; for slow changes."""
UNEXPECTED = "PassFailed"
"""The reason of a condition whose step raised an unexpected exception; its message is the exception's."""
AWAY = (
    "ExchangeSilent", "TaskFailed", "NotMade", "SymbolsNotWritten", "TopicRefused", "ConnectorRefused", UNEXPECTED,
)  # fmt: skip
"""Reasons that may resolve automatically, once what is unavailable is back."""


def outcome_of(written: list[Condition], now: datetime) -> Outcome:
    """Return when to retry: soon while something resolves automatically, the more seldom the longer it takes; later
    while a server or the exchange is away. A refusal waits for the feed to change."""
    by_type = {condition.type: condition for condition in written}
    ready = by_type[READY]
    if ready.status == "True":
        return Outcome(None)
    if by_type[PLATFORM].status == "False" or ready.reason in AWAY:
        return Outcome(LATER_S, ready.message)
    coming = [condition for condition in written if condition.reason in COMING]
    if coming:
        latest = max(condition.last_transition_time for condition in coming)
        return Outcome(min(max(SOON_S, (now - latest).total_seconds() / 10), SELDOM_S), ready.message)
    return Outcome(None)

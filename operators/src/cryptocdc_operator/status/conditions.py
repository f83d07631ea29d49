"""The conditions of a feed's status: their types, the summary `Ready`, and their transitions. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from cryptocdc_operator.resources.labels import ALERTER, ANALYZER, EXPORTER, SPARK
from cryptocdc_operator.status.model import Condition

READY, PLATFORM, TABLES, TOPICS, CONNECTOR, PRODUCERS, CONSUMERS, API, ALERTING, ANALYZERS, EXPORT, PROVEN, MARKETS = (
    "Ready", "PlatformReady", "TablesReady", "TopicsReady", "ConnectorReady", "ProducersReady", "ConsumersReady",
    "ApiReady", "AlerterReady", "AnalyzersReady", "ExportReady", "Proven", "MarketsTrading",
)  # fmt: skip
PARTS = (PLATFORM, TABLES, TOPICS, CONNECTOR, PRODUCERS, CONSUMERS, API, ALERTING, ANALYZERS, EXPORT, PROVEN)
"""The conditions that Ready summarizes, in the order in which to look for a cause; the markets come last."""

OF_PROGRAMS = {
    "producer": (PRODUCERS, "producers"), "consumer": (CONSUMERS, "consumers"), SPARK: (CONSUMERS, "Spark drivers"),
    "api": (API, "API servers"),
    ALERTER: (ALERTING, "alerters"), ANALYZER: (ANALYZERS, "analyzers"), EXPORTER: (EXPORT, "exporters"),
}  # fmt: skip
"""By component: the type of its condition, and the plural that messages use."""
LEFT_OUT = {
    "api": ("SwitchedOff", "disabled in the operator's settings"),
    ALERTER: ("NoAlerts", "there is no alert to watch"),
    ANALYZER: ("NoAnalytics", "there is nothing to compute"),
    EXPORTER: ("NoExport", "spec.export is not set"),
}
"""Why a feed lacks a component: reason and message."""

NOT_WRITING = "NotWriting"
COMING = ("Waiting", "Starting", "Changing", "Progressing", "SnapshotAgain")
"""Reasons that resolve automatically within seconds."""
MOST_MESSAGE = 1000
MOST_REASON = 64
_ONE_WORD = re.compile("[^A-Za-z0-9]")
"""Characters that a condition's reason can't contain; some reasons are the kubelet's."""


class Assessment(NamedTuple):
    """A condition's status, with the reason in one word for programs and as a message for people."""

    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str

    @property
    def holds(self) -> bool:
        return self.status == "True"


def ready(assessments: Mapping[str, Assessment], suspended: bool, nothing_trades: bool = False) -> Assessment:
    """Return the summary: the first part that is not True determines it. A missing proof does not prevent work, nor
    does a market that is not trading, unless none is (`nothing_trades`)."""
    for part in PARTS:
        assessment = assessments[part]
        if not (assessment.holds or (part == PROVEN and assessment.status == "Unknown")):
            return Assessment("False", assessment.reason, f"{part}: {assessment.message}")
    if suspended:
        return Assessment("True", "Suspended", "nothing is captured; rows in PostgreSQL are still replicated")
    trading = assessments.get(MARKETS)
    if trading is not None and trading.status == "False":
        return Assessment("False" if nothing_trades else "True", trading.reason, f"{MARKETS}: {trading.message}")
    return Assessment("True", "Capturing", "all parts work")


def merge(
    before: Sequence[Condition], assessments: Mapping[str, Assessment], generation: int, now: datetime
) -> list[Condition]:
    """Return the new conditions, `Ready` first. A type without an assessment stays as it was; a time of
    transition changes only with the status."""
    earlier = {condition.type: condition for condition in before}
    made = []
    for kind in (READY, *PARTS, MARKETS):
        then = earlier.get(kind)
        assessment = assessments.get(kind)
        if assessment is None:
            if then is not None:
                made.append(then)
                continue
            if kind == MARKETS:
                continue  # the exchange has not been queried yet
            assessment = Assessment("Unknown", "NotSeen", "not checked yet")
        same = then is not None and then.status == assessment.status
        made.append(
            Condition(
                type=kind,
                status=assessment.status,
                reason=_ONE_WORD.sub("", assessment.reason)[:MOST_REASON] or "Unspecified",
                message=message(assessment.message),
                last_transition_time=then.last_transition_time if then is not None and same else now,
                observed_generation=generation,
            )
        )
    return made


def changed(before: Sequence[Condition], after: Sequence[Condition]) -> list[Condition]:
    """Return the conditions of `after` that an event should report, because their status or reason is new. Not
    reported: what is still being created and never existed, what is Unknown, and a `Ready` that repeats a part's
    reason."""
    earlier = {condition.type: (condition.status, condition.reason) for condition in before}
    new = []
    for condition in after:
        then = earlier.get(condition.type, ("Unknown", ""))
        awaited = condition.reason in COMING and then[0] != "True"
        if not (then == (condition.status, condition.reason) or awaited or condition.status == "Unknown"):
            new.append(condition)
    reported = {condition.reason for condition in new if condition.type != READY}
    return [condition for condition in new if condition.type != READY or condition.reason not in reported]


def message(text: str) -> str:
    """Return `text` as a condition's message: on one line, bounded, and encodable in JSON."""
    return " ".join(text.encode(errors="replace").decode().split())[:MOST_MESSAGE]


def rfc3339(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"

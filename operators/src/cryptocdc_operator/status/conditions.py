"""The conditions of a feed's status: their types, `Ready` that sums them up, and how they change. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from cryptocdc_operator.resources.labels import ALERTER

READY, PLATFORM, TABLES, TOPICS, CONNECTOR, PRODUCERS, CONSUMERS, API, ALERTING, PROVEN, MARKETS = (
    "Ready", "PlatformReady", "TablesReady", "TopicsReady", "ConnectorReady", "ProducersReady", "ConsumersReady",
    "ApiReady", "AlerterReady", "Proven", "MarketsTrading",
)  # fmt: skip
PARTS = (PLATFORM, TABLES, TOPICS, CONNECTOR, PRODUCERS, CONSUMERS, API, ALERTING, PROVEN)
"""What Ready sums up, in the order in which one would look for a cause; then come the markets, which may wait."""

OF_PROGRAMS = {
    "producer": (PRODUCERS, "producers"), "consumer": (CONSUMERS, "consumers"), "api": (API, "API servers"),
    ALERTER: (ALERTING, "alerters"),
}  # fmt: skip
"""By component: the type of its condition, and what its pods are called."""
LEFT_OUT = {
    "api": ("SwitchedOff", "the operator's settings have none"),
    ALERTER: ("NoAlerts", "there is no alert to watch"),
}
"""Why a feed can do without a component, in one word and in more."""

NOT_WRITING = "NotWriting"
COMING = ("Waiting", "Starting", "Changing", "Progressing", "SnapshotAgain")
"""Reasons that resolve automatically within seconds."""
MOST_MESSAGE = 1000
MOST_REASON = 64
_ONE_WORD = re.compile("[^A-Za-z0-9]")
"""What a condition's reason can't hold; some reasons are the kubelet's."""


class Assessment(NamedTuple):
    """Whether something holds, why in one word, and why for people."""

    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str

    @property
    def holds(self) -> bool:
        return self.status == "True"


def ready(assessments: Mapping[str, Assessment], suspended: bool, nothing_trades: bool = False) -> Assessment:
    """The first part that does not hold says why. That nothing is proven yet keeps nothing from working, nor does a
    market that is waited for, unless there is no other (`nothing_trades`).
    """
    for part in PARTS:
        assessment = assessments[part]
        if not (assessment.holds or (part == PROVEN and assessment.status == "Unknown")):
            return Assessment("False", assessment.reason, f"{part}: {assessment.message}")
    if suspended:
        return Assessment("True", "Suspended", "nothing is captured; what is in PostgreSQL is carried on")
    trading = assessments.get(MARKETS)
    if trading is not None and trading.status == "False":
        return Assessment("False" if nothing_trades else "True", trading.reason, f"{MARKETS}: {trading.message}")
    return Assessment("True", "Capturing", "all parts work")


def merge(
    before: Sequence[Mapping[str, Any]], assessments: Mapping[str, Assessment], generation: int, now: datetime
) -> list[dict[str, Any]]:
    """Return the new conditions, `Ready` first. A type without an assessment stays as it was; a time of
    transition changes only with the status."""
    earlier = {condition["type"]: condition for condition in before}
    made = []
    for kind in (READY, *PARTS, MARKETS):
        then = earlier.get(kind)
        assessment = assessments.get(kind)
        if assessment is None:
            if then is not None:
                made.append(dict(then))
                continue
            if kind == MARKETS:
                continue  # nobody has asked the exchange yet
            assessment = Assessment("Unknown", "NotSeen", "not looked at yet")
        same = then is not None and then["status"] == assessment.status
        made.append(
            {
                "type": kind,
                "status": assessment.status,
                "reason": _ONE_WORD.sub("", assessment.reason)[:MOST_REASON] or "Unspecified",
                "message": message(assessment.message),
                "lastTransitionTime": then["lastTransitionTime"] if then is not None and same else rfc3339(now),
                "observedGeneration": generation,
            }
        )
    return made


def changed(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those conditions of `after` that an event should report: their status or reason is new. That something is yet to
    come is no news unless it was there, nor is what can't be known now; what a part has said `Ready` need not repeat.
    """
    earlier = {condition["type"]: condition for condition in before}
    new = []
    for condition in after:
        then = earlier.get(condition["type"], {"status": "Unknown", "reason": ""})
        same = (then["status"], then["reason"]) == (condition["status"], condition["reason"])
        awaited = condition["reason"] in COMING and then["status"] != "True"
        if not (same or awaited or condition["status"] == "Unknown"):
            new.append(condition)
    reported = {condition["reason"] for condition in new if condition["type"] != READY}
    return [condition for condition in new if condition["type"] != READY or condition["reason"] not in reported]


def message(text: str) -> str:
    """Return `text` as a condition can hold it: on one line, bounded, and of characters that JSON can carry."""
    return " ".join(text.encode(errors="replace").decode().split())[:MOST_MESSAGE]


def rfc3339(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"

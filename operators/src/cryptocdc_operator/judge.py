"""From what was seen to the conditions of a feed's status. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from cryptocdc_adapters.connect import ConnectorState
from cryptocdc_control.connector import MOST_SNAPSHOTS, Action, Recovery
from cryptocdc_operator.labels import ALERTER, NEW_SNAPSHOT
from cryptocdc_operator.settings import Object
from cryptocdc_operator.status import CatchUp

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
"""By component the condition that tells of it, and what its pods are called."""
LEFT_OUT = {
    "api": ("SwitchedOff", "the operator's settings have none"),
    ALERTER: ("NoAlerts", "there is no alert to watch"),
}
"""Why a feed can do without a component, in one word and in more."""

NOT_WRITING = "NotWriting"
COMING = ("Waiting", "Starting", "Changing", "Progressing", "SnapshotAgain")
"""Reasons that pass by themselves within seconds."""
MOST_MESSAGE = 1000
REFUSAL_LENGTH = 800
"""Of what is said about one topic, so that the number of the others still fits into a message."""
MOST_REASON = 64
_ONE_WORD = re.compile("[^A-Za-z0-9]")
"""What a condition's reason can't hold; some reasons are the kubelet's."""
_STARTING = ("ContainerCreating", "PodInitializing", "")


class Verdict(NamedTuple):
    """Whether something holds, why in one word, and why for people."""

    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str

    @property
    def holds(self) -> bool:
        return self.status == "True"


@dataclass(frozen=True, slots=True)
class Proof:
    """What the verifier says of a feed. `through`: up to when all tables are proven equal, None before the first."""

    differences: int
    rows: int
    through: datetime | None


def platform(
    missing_secrets: Sequence[str],
    missing_kinds: Sequence[str],
    unreachable: Mapping[str, str],
    restarting: Mapping[str, str] | None = None,
) -> Verdict:
    """`unreachable`: by server, what it said; `restarting`: by server that is, why its pods do not serve yet."""
    starts = restarting or {}
    problems = [f"missing secrets: {', '.join(missing_secrets)}"] if missing_secrets else []
    problems += [f"the API server has no kind {kind}: is its operator installed?" for kind in missing_kinds]
    problems += [
        f"{server} restarts: {starts[server]}" if server in starts else f"{server}: {problem}"
        for server, problem in unreachable.items()
    ]
    if not problems:
        return Verdict("True", "Answers", "PostgreSQL, Kafka, Connect and Cassandra answer")
    if missing_secrets or missing_kinds:
        reason = "SecretMissing" if missing_secrets else "KindMissing"
    else:
        first = next(iter(unreachable))
        reason = f"{first}Restarts" if first in starts else f"{first}Unreachable"
    return Verdict("False", reason, "; ".join(problems))


def not_serving(pods: Sequence[Object]) -> str | None:
    """Return why a server's pods do not serve yet, None when they should, or when there is none to say it."""
    return next(filter(None, map(_not_serving, pods)), None)


def _not_serving(pod: Object) -> str | None:
    metadata, status = pod["metadata"], pod.get("status") or {}
    name = metadata["name"]
    if "deletionTimestamp" in metadata:
        return f"pod {name} is ending"
    ready = any(
        (condition.get("type"), condition.get("status")) == ("Ready", "True")
        for condition in status.get("conditions") or []
    )
    if ready:
        return None
    trouble = _trouble(pod)
    if trouble is not None:
        return f"pod {trouble[1]}"
    restarts = sum(container.get("restartCount") or 0 for container in status.get("containerStatuses") or [])
    return f"pod {name} is not ready yet" + (f" (its containers were restarted {restarts} times)" if restarts else "")


def topics(wanted: Iterable[str], live: Mapping[str, Object], refused: Mapping[str, str] | None = None) -> Verdict:
    """`wanted`: names of KafkaTopics; `live`: those that are there; `refused`: by name, why the API server did not
    accept it."""
    names = sorted(wanted)
    problems = {name: strimzi_problem(live.get(name)) for name in names} | dict(refused or {})
    wrong = [f"KafkaTopic {name}: {problem}" for name, problem in problems.items() if problem]
    if wrong:
        others = f" (and {len(wrong) - 1} more of {len(names)} topics)" if len(wrong) > 1 else ""
        return Verdict("False", "TopicRefused", f"{wrong[0][:REFUSAL_LENGTH]}{others}")
    waiting = [name for name, problem in problems.items() if problem == ""]
    if waiting:
        return Verdict("False", "Waiting", f"{len(waiting)} of {len(names)} topics are yet to be made: {waiting[0]} …")
    return Verdict("True", "Made", f"{len(names)} topics are there")


def connector(
    live: Object | None,
    state: ConnectorState | None,
    *,
    current: bool,
    action: Action,
    lost: str | None,
    recovery: Recovery,
) -> Verdict:
    """`current`: Connect has the configuration that is wanted. The state is that of the tasks: a connector of its own
    says RUNNING, and its KafkaConnector Ready, long after its task has failed."""
    problem = strimzi_problem(live)
    if action is Action.HALT:
        return Verdict(
            "False", "SlotLost",
            f"the replication slot is lost: {lost}. Halted after {MOST_SNAPSHOTS} new snapshots; once the cause is"
            f" gone, a new value of the annotation {NEW_SNAPSHOT} allows more",
        )  # fmt: skip
    if action is Action.SNAPSHOT:
        why = f"the replication slot was lost{f': {lost}' if lost else ''}"
        which = f"new snapshot {recovery.snapshots} of at most {MOST_SNAPSHOTS}"
        return Verdict("False", "SnapshotAgain", f"{which} is prepared: {why}{f'; {problem}' if problem else ''}")
    if state is None:
        if problem:
            return Verdict("False", "ConnectorRefused", problem)
        return Verdict("False", "Starting", "Connect does not have the connector yet")
    if state.failed:
        trace = state.trace.splitlines()[0] if state.trace else "without a trace"
        return Verdict("False", "TaskFailed", f"{trace} (restarted {recovery.restarts} times)")
    if not current and problem:
        return Verdict("False", "ConnectorRefused", f"it runs with its last configuration; the new one: {problem}")
    if not current:
        return Verdict("False", "Changing", "Connect does not have the newest configuration yet")
    if not state.running:
        tasks = ", ".join(state.tasks) or "not there"
        return Verdict("False", "Starting", f"the connector is {state.state}, its task {tasks}")
    return Verdict("True", "Streaming", "its task runs and its replication slot is whole")


def program(
    what: str,
    wanted: int,
    suspended: bool,
    live: Object | None,
    pods: Sequence[Object],
    stalled: Sequence[str] = (),
) -> Verdict:
    """`what`: as in OF_PROGRAMS. `live`: the Deployment; `pods`: its pods; `stalled`: why some of them can't write."""
    if live is None:
        return Verdict("False", "Waiting", f"{what} are started once tables and connector are ready for them")
    status, generation = live.get("status") or {}, live["metadata"].get("generation", 0)
    ready, now = status.get("availableReplicas") or 0, status.get("replicas") or 0
    if stalled and wanted:
        return Verdict("False", NOT_WRITING, f"{len(stalled)} of {wanted} {what} can't write: {'; '.join(stalled)}")
    if (status.get("observedGeneration") or 0) >= generation and now == wanted:
        if wanted == 0:
            reason, why = ("Suspended", "the feed is suspended") if suspended else ("ScaledToZero", "none is asked for")
            return Verdict("True", reason, f"no {what} run: {why}")
        if ready == wanted and (status.get("updatedReplicas") or 0) == wanted:
            return Verdict("True", "Running", f"{ready} of {wanted} {what} run")
    trouble = next(filter(None, map(_trouble, pods)), None)
    if trouble is not None:
        reason, why = trouble
        return Verdict("False", reason, f"{ready} of {wanted} {what} run: {why}")
    return Verdict("False", "Progressing", f"{ready} of {wanted} {what} run")


def _trouble(pod: Object) -> tuple[str, str] | None:
    """Why a pod does not come up: in one word, and in the kubelet's or the scheduler's own."""
    status, name = pod.get("status") or {}, pod["metadata"]["name"]
    for container in status.get("containerStatuses") or []:
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason") or ""
        if reason not in _STARTING:
            return reason, f"{name}: {reason}: {waiting.get('message') or 'the kubelet gives no message'}"
        ended = (container.get("lastState") or {}).get("terminated")
        if ended and not container.get("ready"):
            return "Crashing", f"{name}: ended with exit code {ended.get('exitCode')}, is started again"
    for condition in status.get("conditions") or []:
        if (condition.get("type"), condition.get("status")) == ("PodScheduled", "False"):
            return "Unschedulable", f"{name}: {condition.get('message', '')}"
    return None


def proven(proof: Proof | str | None, suspended: bool, catch_up: CatchUp | None, now: datetime) -> Verdict:
    """`proof`: a text says why there is none, None that there is no verifier. `catch_up`: how an old one gets on."""
    if proof is None:
        return Verdict("Unknown", "NoVerifier", "no verifier is installed")
    if isinstance(proof, str):
        return Verdict("Unknown", "VerifierUnreachable", proof)
    if proof.differences:
        how = "`cryptocdc verify --explain` names them and the cause"
        return Verdict("False", "Different", f"{proof.differences} keys differ: {how}")
    if proof.through is None:
        return Verdict("Unknown", "NotYet", "nothing is proven yet")
    # A suspended feed gets no new rows, so that the last moment that there is to prove grows old.
    if not suspended and catch_up is not None:
        if catch_up.gaining:
            left = int((now - proof.through).total_seconds() // 60)
            why = f"proven up to {rfc3339(proof.through)} so far, the {left} minutes since then are being proven"
            return Verdict("Unknown", "CatchingUp", why)
        return Verdict("False", "Behind", f"nothing that is newer than {rfc3339(proof.through)} is proven")
    return Verdict("True", "Equal", "PostgreSQL and Cassandra are equal")


def markets(exchange: str, symbols: int, halted: Sequence[str], waiting: Sequence[str], suspect: str) -> Verdict:
    """Whether all of the feed's `symbols` trade, as the exchange lists them. `waiting`: a sentence for each symbol that
    is not listed; `suspect`: why the list was not believed.
    """
    if suspect:
        why = f"the list of markets of {exchange} is not believed, it is requested again: {suspect}"
        return Verdict("Unknown", "ListSuspect", why)
    paused = [f"paused, captured once they trade again: {', '.join(halted)}"] if halted else []
    if waiting or paused:
        return Verdict("False", "Waiting" if waiting else "Paused", "; ".join([*waiting, *paused]))
    return Verdict("True", "Trading", f"{symbols} markets trade")


def ready(verdicts: Mapping[str, Verdict], suspended: bool, nothing_trades: bool = False) -> Verdict:
    """The first part that does not hold says why. That nothing is proven yet keeps nothing from working, nor does a
    market that is waited for, unless there is no other (`nothing_trades`).
    """
    for part in PARTS:
        verdict = verdicts[part]
        if not (verdict.holds or (part == PROVEN and verdict.status == "Unknown")):
            return Verdict("False", verdict.reason, f"{part}: {verdict.message}")
    if suspended:
        return Verdict("True", "Suspended", "nothing is captured; what is in PostgreSQL is carried on")
    trading = verdicts.get(MARKETS)
    if trading is not None and trading.status == "False":
        return Verdict("False" if nothing_trades else "True", trading.reason, f"{MARKETS}: {trading.message}")
    return Verdict("True", "Capturing", "all parts work")


def conditions(
    before: Sequence[Mapping[str, Any]], verdicts: Mapping[str, Verdict], generation: int, now: datetime
) -> list[dict[str, Any]]:
    """The conditions as they shall stand, `Ready` first. What no verdict was given on stays as it was; a time of
    transition changes only with the status."""
    earlier = {condition["type"]: condition for condition in before}
    made = []
    for kind in (READY, *PARTS, MARKETS):
        then = earlier.get(kind)
        verdict = verdicts.get(kind)
        if verdict is None:
            if then is not None:
                made.append(dict(then))
                continue
            if kind == MARKETS:
                continue  # nobody has asked the exchange yet
            verdict = Verdict("Unknown", "NotSeen", "not looked at yet")
        same = then is not None and then["status"] == verdict.status
        made.append(
            {
                "type": kind,
                "status": verdict.status,
                "reason": _ONE_WORD.sub("", verdict.reason)[:MOST_REASON] or "Unspecified",
                "message": message(verdict.message),
                "lastTransitionTime": then["lastTransitionTime"] if then is not None and same else rfc3339(now),
                "observedGeneration": generation,
            }
        )
    return made


def changed(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those conditions of `after` that an event should tell of: their status or reason is new. That something is yet to
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
    told = {condition["reason"] for condition in new if condition["type"] != READY}
    return [condition for condition in new if condition["type"] != READY or condition["reason"] not in told]


def message(text: str) -> str:
    """Return `text` as a condition can hold it: on one line, bounded, and of characters that JSON can carry."""
    return " ".join(text.encode(errors="replace").decode().split())[:MOST_MESSAGE]


def rfc3339(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def strimzi_problem(live: Object | None) -> str | None:
    """Return None when Strimzi says that an object is ready as it is, "" when it has yet to say, else what is wrong.

    An error has two forms: the cluster operator writes `NotReady` with status True, the topic operator `Ready` with
    status False. Conditions of any other type, such as `Warning`, say nothing about it.
    """
    if live is None:
        return ""
    status = live.get("status") or {}
    if (status.get("observedGeneration") or 0) < live["metadata"].get("generation", 0):
        return ""
    for condition in status.get("conditions") or []:
        match condition.get("type"), condition.get("status"):
            case "Ready", "True":
                return None
            case ("NotReady", "True") | ("Ready", "False"):
                words = (condition.get("reason"), condition.get("message"))
                return ": ".join(word for word in words if word) or "Strimzi gives no reason"
            case "ReconciliationPaused", "True":
                return "reconciliation is paused by annotation"
    return ""

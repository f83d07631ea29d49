"""Derives the conditions of a feed's parts from what was observed: status, reason and message. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptocdc_adapters.replication.connect import ConnectorState
from cryptocdc_control.connector import MOST_SNAPSHOTS, Action, Recovery
from cryptocdc_core.names import Source
from cryptocdc_core.storage.shards import Shard
from cryptocdc_operator.resources.labels import NEW_SNAPSHOT
from cryptocdc_operator.settings import Object
from cryptocdc_operator.status.conditions import NOT_WRITING, Assessment, rfc3339
from cryptocdc_operator.status.model import CatchUp

REFUSAL_LENGTH = 800
"""Maximum length of a topic's problem, so that the number of the others still fits into a message."""
_STARTING = ("ContainerCreating", "PodInitializing", "")


@dataclass(frozen=True, slots=True)
class Proof:
    """What the verifier reports about a feed. `through`: time up to which all tables are proven equal, None if there is
    none yet. `repaired`: rows repaired since the verifier started, by cause; `left`: differing rows that repair has
    left, by reason."""

    differences: int
    rows: int
    through: datetime | None
    repaired: Mapping[str, int] = field(default_factory=dict)
    left: Mapping[str, int] = field(default_factory=dict)


def platform(
    missing_secrets: Sequence[str],
    missing_kinds: Sequence[str],
    unreachable: Mapping[str, str],
    restarting: Mapping[str, str] | None = None,
) -> Assessment:
    """Return the condition. `unreachable`: error messages by server; `restarting`: why the pods of a restarting server
    are not ready yet."""
    starts = restarting or {}
    problems = [f"missing secrets: {', '.join(missing_secrets)}"] if missing_secrets else []
    problems += [f"the API server has no kind {kind}: is its operator installed?" for kind in missing_kinds]
    problems += [
        f"{server} is restarting: {starts[server]}" if server in starts else f"{server}: {problem}"
        for server, problem in unreachable.items()
    ]
    if not problems:
        return Assessment("True", "Answers", "PostgreSQL, Kafka, Connect and Cassandra answer")
    if missing_secrets or missing_kinds:
        reason = "SecretMissing" if missing_secrets else "KindMissing"
    else:
        first = next(iter(unreachable))
        reason = f"{first}Restarts" if first in starts else f"{first}Unreachable"
    return Assessment("False", reason, "; ".join(problems))


def not_serving(pods: Sequence[Object]) -> str | None:
    """Return why a server's pods are not ready yet, None if they should be, or if there are no pods."""
    return next(filter(None, map(_not_serving, pods)), None)


def _not_serving(pod: Object) -> str | None:
    metadata, status = pod["metadata"], pod.get("status") or {}
    name = metadata["name"]
    if "deletionTimestamp" in metadata:
        return f"pod {name} is stopping"
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


def other_source(kept: Source, given: Source) -> Assessment:
    """Return `Ready` of a feed whose tables have rows of `kept`, while its endpoints are now `given`."""
    kept_data, given_data = ("simulated" if source == "simulated" else "real" for source in (kept, given))
    return Assessment(
        "False",
        "FeedRefused",
        f"spec.endpoints: they would bring {given_data} data into a feed of {kept_data} data;"
        f" accepted: endpoints of {kept_data} data, or another feed",
    )


def topics(wanted: Iterable[str], live: Mapping[str, Object], refused: Mapping[str, str] | None = None) -> Assessment:
    """Return the condition. `wanted`: names of KafkaTopics; `live`: those that exist; `refused`: why the API server did
    not accept some, by name."""
    names = sorted(wanted)
    problems = {name: strimzi_problem(live.get(name)) for name in names} | dict(refused or {})
    wrong = [f"KafkaTopic {name}: {problem}" for name, problem in problems.items() if problem]
    if wrong:
        others = f" (and {len(wrong) - 1} more of {len(names)} topics)" if len(wrong) > 1 else ""
        return Assessment("False", "TopicRefused", f"{wrong[0][:REFUSAL_LENGTH]}{others}")
    waiting = [name for name, problem in problems.items() if problem == ""]
    if waiting:
        return Assessment("False", "Waiting", f"{len(waiting)} of {len(names)} topics do not exist yet: {waiting[0]} …")
    return Assessment("True", "Made", f"{len(names)} topics exist")


def connector(
    live: Object | None,
    state: ConnectorState | None,
    *,
    current: bool,
    action: Action,
    lost: str | None,
    recovery: Recovery,
) -> Assessment:
    """Return the condition. `current`: Connect has the wanted configuration. `state` includes the tasks: a connector
    reports RUNNING, and its KafkaConnector Ready, long after its task has failed."""
    problem = strimzi_problem(live)
    if action is Action.HALT:
        return Assessment(
            "False", "SlotLost",
            f"the replication slot is lost: {lost}. Halted after {MOST_SNAPSHOTS} new snapshots; once the cause is"
            f" fixed, a new value of the annotation {NEW_SNAPSHOT} allows more",
        )  # fmt: skip
    if action is Action.SNAPSHOT:
        why = f"the replication slot was lost{f': {lost}' if lost else ''}"
        which = f"new snapshot {recovery.snapshots} of at most {MOST_SNAPSHOTS}"
        return Assessment("False", "SnapshotAgain", f"preparing {which}: {why}{f'; {problem}' if problem else ''}")
    if state is None:
        if problem:
            return Assessment("False", "ConnectorRefused", problem)
        return Assessment("False", "Starting", "Connect does not have the connector yet")
    if state.failed:
        trace = state.trace.splitlines()[0] if state.trace else "without a trace"
        return Assessment("False", "TaskFailed", f"{trace} (restarted {recovery.restarts} times)")
    if not current and problem:
        return Assessment("False", "ConnectorRefused", f"it runs with its last configuration; the new one: {problem}")
    if not current:
        return Assessment("False", "Changing", "Connect does not have the newest configuration yet")
    if not state.running:
        tasks = ", ".join(state.tasks) or "missing"
        restarted = f" (restarted {recovery.restarts} times)" if recovery.restarts else ""
        return Assessment("False", "Starting", f"the connector is {state.state}, its task {tasks}{restarted}")
    return Assessment("True", "Streaming", "the task is running and the replication slot is usable")


def connectors(found: Mapping[Shard, Assessment]) -> Assessment:
    """Return the condition of all connectors: the first that is not True determines it."""
    for shard, assessment in found.items():
        if not assessment.holds:
            which = f"{shard.connector}: " if shard.suffix else ""
            return Assessment(assessment.status, assessment.reason, f"{which}{assessment.message}")
    if len(found) == 1:
        return next(iter(found.values()))
    return Assessment(
        "True", "Streaming", f"all {len(found)} tasks are running, and their replication slots are usable"
    )


def sink_connector(live: Object, state: ConnectorState | None, *, current: bool, recovery: Recovery) -> Assessment:
    """Return the condition of the connector that writes into Cassandra; arguments as for `connector`."""
    made = connector(live, state, current=current, action=Action.NONE, lost=None, recovery=recovery)
    if made.holds and state is not None:
        return Assessment("True", "Running", f"the sink connector writes, with {len(state.tasks)} tasks")
    return Assessment(made.status, made.reason, f"sink connector: {made.message}")


def program(
    what: str,
    wanted: int,
    suspended: bool,
    live: Object | None,
    pods: Sequence[Object],
    stalled: Sequence[str] = (),
) -> Assessment:
    """Return the condition. `what`: as in OF_PROGRAMS; `live`: the Deployment; `pods`: its pods; `stalled`: why some of
    them can't write."""
    if live is None:
        return Assessment("False", "Waiting", f"{what} start once tables and connector are ready")
    status, generation = live.get("status") or {}, live["metadata"].get("generation", 0)
    ready, now = status.get("availableReplicas") or 0, status.get("replicas") or 0
    if stalled and wanted:
        return Assessment("False", NOT_WRITING, f"{len(stalled)} of {wanted} {what} can't write: {'; '.join(stalled)}")
    if (status.get("observedGeneration") or 0) >= generation and now == wanted:
        if wanted == 0:
            reason, why = ("Suspended", "the feed is suspended") if suspended else ("ScaledToZero", "scaled to zero")
            return Assessment("True", reason, f"no {what} run: {why}")
        if ready == wanted and (status.get("updatedReplicas") or 0) == wanted:
            return Assessment("True", "Running", f"{ready} of {wanted} {what} run")
    trouble = next(filter(None, map(_trouble, pods)), None)
    if trouble is not None:
        reason, why = trouble
        return Assessment("False", reason, f"{ready} of {wanted} {what} run: {why}")
    return Assessment("False", "Progressing", f"{ready} of {wanted} {what} run")


def executors(driver: Assessment, wanted: int, pods: Sequence[Object]) -> Assessment:
    """Return the condition of Spark's `driver`, which runs by its own, with its executors' pods."""
    running = sum((pod.get("status") or {}).get("phase") == "Running" for pod in pods)
    if driver.reason != "Running":
        return driver
    if running >= wanted:
        return Assessment("True", "Running", f"Spark's driver and {running} executors run")
    trouble = next(filter(None, map(_trouble, pods)), None)
    reason, why = trouble or ("Progressing", "")
    return Assessment("False", reason, f"{running} of {wanted} executors run{f': {why}' if why else ''}")


def spark_application(live: Object) -> Assessment:
    """Return what Spark's operator reports of a SparkApplication."""
    current = (live.get("status") or {}).get("currentState") or {}
    state, said = current.get("currentStateSummary") or "Submitted", current.get("message") or ""
    message = f"SparkApplication: {state}{f': {said}' if said else ''}"
    if state.startswith("Running"):
        return Assessment("True", "Running", message)
    if state in _SPARK_STARTS:
        return Assessment("False", "Starting", message)
    return Assessment("False", "Crashing", message)


_SPARK_STARTS = (
    "Submitted", "DriverRequested", "DriverStarted", "DriverReady", "InitializedBelowThresholdExecutors",
)  # fmt: skip
"""States of an application that has not failed; RunningHealthy and others follow."""


def _trouble(pod: Object) -> tuple[str, str] | None:
    """Return why a pod does not start: the reason in one word, and the kubelet's or the scheduler's message."""
    status, name = pod.get("status") or {}, pod["metadata"]["name"]
    for container in status.get("containerStatuses") or []:
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason") or ""
        if reason not in _STARTING:
            return reason, f"{name}: {reason}: {waiting.get('message') or 'no message from the kubelet'}"
        ended = (container.get("lastState") or {}).get("terminated")
        if ended and not container.get("ready"):
            return "Crashing", f"{name}: exited with code {ended.get('exitCode')}, restarting"
    for condition in status.get("conditions") or []:
        if (condition.get("type"), condition.get("status")) == ("PodScheduled", "False"):
            return "Unschedulable", f"{name}: {condition.get('message', '')}"
    return None


def proven(
    proof: Proof | str | None, suspended: bool, catch_up: CatchUp | None, now: datetime, completeness: Mapping[str, str]
) -> Assessment:
    """Return the condition. `proof`: a text says why there is none, None means no verifier. `catch_up`: the progress of
    an old proof. `completeness`: by table, in one word, how it is known whether all rows arrived."""
    if proof is None:
        return Assessment("Unknown", "NoVerifier", "no verifier is installed")
    if isinstance(proof, str):
        return Assessment("Unknown", "VerifierUnreachable", proof)
    if proof.differences:
        how = "`cryptocdc verify --explain` shows them and the cause"
        return Assessment("False", "Different", f"{proof.differences} keys differ: {how}")
    if proof.through is None:
        return Assessment("Unknown", "NotYet", "nothing is proven yet")
    # A suspended feed gets no new rows, so its newest provable time grows old.
    if not suspended and catch_up is not None:
        if catch_up.gaining:
            left = int((now - proof.through).total_seconds() // 60)
            why = f"proven up to {rfc3339(proof.through)}; catching up with the {left} minutes since then"
            return Assessment("Unknown", "CatchingUp", why)
        return Assessment("False", "Behind", f"nothing newer than {rfc3339(proof.through)} is proven")
    by = {word: [table for table, its in completeness.items() if its == word] for word in completeness.values()}
    known = "; ".join(f"{word}: {', '.join(tables)}" for word, tables in by.items())
    return Assessment("True", "Equal", f"PostgreSQL and Cassandra are equal; completeness is known by {known}")


def markets(exchange: str, symbols: int, halted: Sequence[str], waiting: Sequence[str], suspect: str) -> Assessment:
    """Return the condition: whether all of the feed's `symbols` are trading. `waiting`: a message for each symbol that
    is not listed; `suspect`: why the exchange's list is implausible."""
    if suspect:
        why = f"{exchange}'s list of markets is implausible and will be requested again: {suspect}"
        return Assessment("Unknown", "ListSuspect", why)
    paused = [f"paused, captured once trading resumes: {', '.join(halted)}"] if halted else []
    if waiting or paused:
        return Assessment("False", "Waiting" if waiting else "Paused", "; ".join([*waiting, *paused]))
    return Assessment("True", "Trading", f"{symbols} markets are trading")


def strimzi_problem(live: Object | None) -> str | None:
    """Return None if Strimzi reports the current generation of an object as ready, "" if it has not reported yet,
    otherwise the problem.

    There are two forms of errors: the cluster operator writes `NotReady` with status True, the topic operator `Ready`
    with status False. Conditions of other types, such as `Warning`, are irrelevant.
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

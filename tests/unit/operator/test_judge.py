"""Conditions: what is seen gives a verdict; verdicts become the status without a needless change."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from cryptocdc_adapters.connect import ConnectorState
from cryptocdc_control.connector import Action, Recovery
from cryptocdc_operator import judge
from cryptocdc_operator.judge import PARTS, PROVEN, READY, Proof, Verdict
from cryptocdc_operator.status import CatchUp, Status
from cryptocdc_operator.statuses import merge_patch, recovery_document, recovery_of

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ALL_WELL = {part: Verdict("True", "Well", "well") for part in PARTS}
RUNNING = ConnectorState("RUNNING", ("RUNNING",), "")


def strimzi(*conditions, generation=2, observed=2):
    return {
        "metadata": {"generation": generation},
        "status": {"observedGeneration": observed, "conditions": [{"type": t, "status": "True"} for t in conditions]},
    }


def test_all_that_is_missing_is_named_and_the_first_is_the_reason():
    verdict = judge.platform(["pg"], ["KafkaTopic"], {"Kafka": "refused", "Cassandra": "no host"})
    assert verdict.reason == "SecretMissing"
    for named in ("pg", "KafkaTopic", "Kafka: refused", "Cassandra: no host"):
        assert named in verdict.message
    assert judge.platform([], [], {"Kafka": "refused", "Cassandra": ""}).reason == "KafkaUnreachable"


@pytest.mark.parametrize(
    ("live", "said"),
    [
        ({"a": strimzi("Ready")}, ("True", "Made")),
        ({}, ("False", "Waiting")),
        ({"a": strimzi()}, ("False", "Waiting")),
        ({"a": strimzi("Ready", observed=1)}, ("False", "Waiting")),
        ({"a": strimzi("NotReady")}, ("False", "TopicRefused")),
        ({"a": strimzi("ReconciliationPaused")}, ("False", "TopicRefused")),
        ({"a": strimzi("Warning")}, ("False", "Waiting")),
        ({"a": strimzi("Warning", "Ready")}, ("True", "Made")),
        ({"a": {"metadata": {"generation": 1}, "status": None}}, ("False", "Waiting")),
        ({"a": {"metadata": {}, "status": {"conditions": None}}}, ("False", "Waiting")),
        ({"a": {"metadata": {}, "status": {"conditions": [{"type": "Ready"}]}}}, ("False", "Waiting")),
    ],
)
def test_topics(live, said):
    assert judge.topics(["a"], live)[:2] == said


@pytest.mark.parametrize(
    "condition",
    [
        {"type": "Ready", "status": "False", "reason": "NotSupported", "message": "Replication factor change"},
        {"type": "NotReady", "status": "True", "reason": "NotSupported", "message": "Replication factor change"},
    ],
    ids=["topic operator", "cluster operator"],
)
def test_an_error_is_read_in_both_of_strimzis_forms(condition):
    live = {"metadata": {"generation": 2}, "status": {"observedGeneration": 2, "conditions": [condition]}}
    assert judge.topics(["a"], {"a": live}) == (
        "False", "TopicRefused", "KafkaTopic a: NotSupported: Replication factor change",
    )  # fmt: skip
    refused = judge.connector(live, None, current=True, action=Action.NONE, lost=None, recovery=Recovery())
    assert refused == ("False", "ConnectorRefused", "NotSupported: Replication factor change")


@pytest.mark.parametrize(
    ("state", "more", "said"),
    [
        (RUNNING, {}, ("True", "Streaming")),
        (RUNNING, {"current": False}, ("False", "Changing")),
        (RUNNING, {"current": False, "live": strimzi("NotReady")}, ("False", "ConnectorRefused")),
        (RUNNING, {"live": strimzi("NotReady")}, ("True", "Streaming")),  # Strimzi looks again every two minutes
        (None, {}, ("False", "Starting")),
        (None, {"live": strimzi("NotReady")}, ("False", "ConnectorRefused")),
        (ConnectorState("RUNNING", (), ""), {}, ("False", "Starting")),
        (ConnectorState("RUNNING", ("FAILED",), "why\nat"), {}, ("False", "TaskFailed")),
        (RUNNING, {"action": Action.SNAPSHOT, "lost": "gone"}, ("False", "SnapshotAgain")),
        (RUNNING, {"action": Action.HALT, "lost": "gone"}, ("False", "SlotLost")),
    ],
)
def test_the_connector_is_as_its_tasks_are(state, more, said):
    given = {"live": strimzi("Ready"), "current": True, "action": Action.NONE, "lost": None, "recovery": Recovery()}
    given |= more
    assert judge.connector(given.pop("live"), state, **given)[:2] == said


def deployment(generation=1, observed=1, replicas=2, available=2, updated=2):
    counted = {"replicas": replicas, "availableReplicas": available, "updatedReplicas": updated}
    return {"metadata": {"generation": generation}, "status": {"observedGeneration": observed, **counted}}


def pod(waiting=None, ended=None, unscheduled=None):
    status = {"state": {"waiting": waiting} if waiting else {}, "ready": False}
    if ended is not None:
        status["lastState"] = {"terminated": {"exitCode": ended}}
    conditions = [{"type": "PodScheduled", "status": "False", "message": unscheduled}] if unscheduled else []
    return {"metadata": {"name": "p"}, "status": {"containerStatuses": [status], "conditions": conditions}}


@pytest.mark.parametrize(
    ("live", "pods", "said"),
    [
        (deployment(), [], ("True", "Running")),
        (None, [], ("False", "Waiting")),
        (deployment(available=1), [], ("False", "Progressing")),
        (deployment(updated=1), [], ("False", "Progressing")),
        (deployment(generation=2), [], ("False", "Progressing")),
        (deployment(available=1), [pod({"reason": "ContainerCreating"})], ("False", "Progressing")),
        (deployment(available=1), [pod({"reason": "ErrImagePull", "message": "m"})], ("False", "ErrImagePull")),
        (deployment(available=1), [pod(ended=2)], ("False", "Crashing")),
        (deployment(available=1), [pod(unscheduled="0/3 nodes")], ("False", "Unschedulable")),
        ({"metadata": {}, "status": None}, [{"metadata": {"name": "p"}, "status": None}], ("False", "Progressing")),
        (
            deployment(available=1),
            [{"metadata": {"name": "p"}, "status": {"containerStatuses": None, "conditions": None}}],
            ("False", "Progressing"),
        ),
        (
            deployment(available=1),
            [{"metadata": {"name": "p"}, "status": {"containerStatuses": [{"state": None, "lastState": None}]}}],
            ("False", "Progressing"),
        ),
    ],
)  # fmt: skip
def test_programs(live, pods, said):
    assert judge.program("producers", 2, False, live, pods)[:2] == said


def test_a_consumer_that_can_not_write_is_not_ready_whatever_its_deployment_says():
    for live in (deployment(), deployment(available=1)):
        said = judge.program("consumers", 2, False, live, [], ["c-0: Cassandra has acknowledged nothing for 6 s"])
        assert said[:2] == ("False", "NotWriting")
        assert said.message == "1 of 2 consumers can't write: c-0: Cassandra has acknowledged nothing for 6 s"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"conditions": [{"type": "Ready", "status": "True"}]}, None),
        ({"conditions": [{"type": "Ready", "status": "False"}]}, "pod p is not ready yet"),
        (None, "pod p is not ready yet"),
        (
            {"containerStatuses": [{"restartCount": 3}]},
            "pod p is not ready yet (its containers were restarted 3 times)",
        ),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]}, "ErrImagePull"),
    ],
)
def test_why_a_server_does_not_serve(status, said):
    found = judge.not_serving([{"metadata": {"name": "p"}, "status": status}])
    assert found == said if said is None else said in found


def test_a_server_without_pods_or_whose_pod_ends():
    assert judge.not_serving([]) is None
    assert judge.not_serving([{"metadata": {"name": "p", "deletionTimestamp": "now"}}]) == "pod p is ending"


@pytest.mark.parametrize(("suspended", "reason"), [(True, "Suspended"), (False, "ScaledToZero")])
def test_no_program_where_none_is_wanted(suspended, reason):
    none = deployment(replicas=0, available=0, updated=0)
    assert judge.program("producers", 0, suspended, none, [])[:2] == ("True", reason)
    assert judge.program("producers", 0, suspended, deployment(), [])[:2] == ("False", "Progressing")


@pytest.mark.parametrize(
    ("proof", "said"),
    [
        (None, ("Unknown", "NoVerifier")),
        ("refused", ("Unknown", "VerifierUnreachable")),
        (Proof(0, 0, None), ("Unknown", "NotYet")),
        (Proof(0, 5, NOW - timedelta(minutes=2)), ("True", "Equal")),
        (Proof(3, 5, NOW), ("False", "Different")),
    ],
)
def test_proofs(proof, said):
    assert judge.proven(proof, False, None, NOW)[:2] == said


@pytest.mark.parametrize(
    ("gaining", "suspended", "said"),
    [
        (False, False, ("False", "Behind")),
        (True, False, ("Unknown", "CatchingUp")),
        (False, True, ("True", "Equal")),
    ],
)
def test_an_old_proof_is_behind_only_when_it_gets_no_closer(gaining, suspended, said):
    state = CatchUp(distance_seconds=3600, since=NOW, gaining=gaining)
    assert judge.proven(Proof(0, 5, NOW - timedelta(hours=1)), suspended, state, NOW)[:2] == said
    different = judge.proven(Proof(1, 5, NOW - timedelta(hours=1)), suspended, state, NOW)
    assert different.reason == "Different", "whatever else holds"


@pytest.mark.parametrize("part", PARTS)
def test_ready_says_what_the_first_broken_part_says(part):
    broken = {**ALL_WELL, part: Verdict("False", "Broken", "why")}
    assert judge.ready(broken, False) == ("False", "Broken", f"{part}: why")


def test_what_is_not_proven_yet_keeps_nothing_from_being_ready():
    assert judge.ready(ALL_WELL | {PROVEN: Verdict("Unknown", "NotYet", "")}, False)[:2] == ("True", "Capturing")
    assert judge.ready(ALL_WELL, True)[:2] == ("True", "Suspended")


def test_a_transition_is_dated_only_when_the_status_changes():
    first = judge.conditions([], {READY: Verdict("False", "A", "a")}, 1, NOW)
    later = judge.conditions(first, {READY: Verdict("False", "B", "b")}, 2, NOW + timedelta(1))
    assert later[0] == {
        "type": READY, "status": "False", "reason": "B", "message": "b", "observedGeneration": 2,
        "lastTransitionTime": "2026-11-21T12:00:00Z",
    }  # fmt: skip
    last = judge.conditions(later, {READY: Verdict("True", "C", "c")}, 2, NOW + timedelta(1))
    assert last[0]["lastTransitionTime"] == "2026-11-22T12:00:00Z"


def test_all_conditions_are_there_once_and_what_was_not_looked_at_stays():
    first = judge.conditions([], {PARTS[0]: Verdict("True", "A", "a")}, 1, NOW)
    assert [condition["type"] for condition in first] == [READY, *PARTS]
    assert judge.conditions(first, {}, 5, NOW + timedelta(1)) == first


def test_only_news_are_told():
    def told(before, after):
        return [(c["type"], c["reason"]) for c in judge.changed(before, after)]

    first = judge.conditions([], ALL_WELL | {PARTS[1]: Verdict("False", "Waiting", "")}, 1, NOW)
    assert told([], first) == [(part, "Well") for part in PARTS if part != PARTS[1]]
    again = judge.conditions(first, ALL_WELL | {PARTS[1]: Verdict("False", "Waiting", "other words")}, 1, NOW)
    assert told(first, again) == []
    broken = {PARTS[1]: Verdict("False", "Refused", ""), READY: Verdict("False", "Refused", "")}
    assert told(first, judge.conditions(first, broken, 1, NOW)) == [(PARTS[1], "Refused")]
    silent = judge.conditions(first, {PARTS[0]: Verdict("Unknown", "PlatformNotReady", "")}, 1, NOW)
    assert told(first, silent) == []
    gone = judge.conditions(first, {PARTS[0]: Verdict("False", "Progressing", "")}, 1, NOW)
    assert told(first, gone) == [(PARTS[0], "Progressing")]


def test_the_status_is_what_the_schema_takes():
    verdicts = {
        **ALL_WELL,
        READY: Verdict("False", "A", "x" * 9000),
        PARTS[0]: Verdict("False", "Create Container: Error/" * 9, "a\n\tb \udce3 \x00"),
        PARTS[1]: Verdict("False", "", ""),
    }
    made = judge.conditions([], verdicts, 1, NOW)
    Status.model_validate({"conditions": made})
    json.dumps(made, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("before", "after", "patch"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1, "b": 2}, {"a": 3}, {"a": 3, "b": None}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": None}}),
        ({"a": {"b": 1}}, {"a": {"b": 1}}, {}),
        ({"a": [1, 2]}, {"a": [2]}, {"a": [2]}),
        ({}, {"a": {}}, {"a": {}}),
    ],
)
def test_a_patch_says_no_more_than_what_changed(before, after, patch):
    assert merge_patch(before, after) == patch


def test_a_connector_that_never_failed_leaves_no_trace():
    assert recovery_document(Recovery()) == {}
    kept = Recovery(restarts=1, restarted_at=NOW, snapshotting=True, allowed="x")
    assert recovery_of({"recovery": recovery_document(kept)}) == kept

"""Conditions: each part is assessed from what was observed; assessments change the status only where needed."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from cryptocdc_adapters.replication.connect import ConnectorState
from cryptocdc_control.connector import Action, Recovery
from cryptocdc_core.names import Names
from cryptocdc_core.storage.shards import shards
from cryptocdc_operator.status import assess, conditions
from cryptocdc_operator.status.assess import Proof
from cryptocdc_operator.status.conditions import PARTS, PROVEN, READY, Assessment
from cryptocdc_operator.status.document import merge_patch, read_status, recovery_of, set_recovery, status_patch
from cryptocdc_operator.status.model import CatchUp, Condition, Status

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KNOWN = {"recent_trades": "ids", "klines": "ids", "order_book": "sequence", "latest_prices": "arrival"}
ALL_WELL = {part: Assessment("True", "Well", "well") for part in PARTS}
RUNNING = ConnectorState("RUNNING", ("RUNNING",), "")


def strimzi(*conditions, generation=2, observed=2):
    return {
        "metadata": {"generation": generation},
        "status": {"observedGeneration": observed, "conditions": [{"type": t, "status": "True"} for t in conditions]},
    }


def test_everything_missing_is_named_and_the_first_is_the_reason():
    assessment = assess.platform(["pg"], ["KafkaTopic"], {"Kafka": "refused", "Cassandra": "no host"})
    assert assessment.reason == "SecretMissing"
    for named in ("pg", "KafkaTopic", "Kafka: refused", "Cassandra: no host"):
        assert named in assessment.message
    assert assess.platform([], [], {"Kafka": "refused", "Cassandra": ""}).reason == "KafkaUnreachable"


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
def test_the_topics_condition_for_each_state_of_the_topics(live, said):
    assert assess.topics(["a"], live)[:2] == said


@pytest.mark.parametrize(
    "condition",
    [
        {"type": "Ready", "status": "False", "reason": "NotSupported", "message": "Replication factor change"},
        {"type": "NotReady", "status": "True", "reason": "NotSupported", "message": "Replication factor change"},
    ],
    ids=["topic operator", "cluster operator"],
)
def test_errors_are_recognized_in_both_of_strimzis_forms(condition):
    live = {"metadata": {"generation": 2}, "status": {"observedGeneration": 2, "conditions": [condition]}}
    assert assess.topics(["a"], {"a": live}) == (
        "False", "TopicRefused", "KafkaTopic a: NotSupported: Replication factor change",
    )  # fmt: skip
    refused = assess.connector(live, None, current=True, action=Action.NONE, lost=None, recovery=Recovery())
    assert refused == ("False", "ConnectorRefused", "NotSupported: Replication factor change")


@pytest.mark.parametrize(
    ("state", "more", "said"),
    [
        (RUNNING, {}, ("True", "Streaming")),
        (RUNNING, {"current": False}, ("False", "Changing")),
        (RUNNING, {"current": False, "live": strimzi("NotReady")}, ("False", "ConnectorRefused")),
        (RUNNING, {"live": strimzi("NotReady")}, ("True", "Streaming")),  # Strimzi checks again every two minutes
        (None, {}, ("False", "Starting")),
        (None, {"live": strimzi("NotReady")}, ("False", "ConnectorRefused")),
        (ConnectorState("RUNNING", (), ""), {}, ("False", "Starting")),
        (ConnectorState("RUNNING", ("FAILED",), "why\nat"), {}, ("False", "TaskFailed")),
        (RUNNING, {"action": Action.SNAPSHOT, "lost": "gone"}, ("False", "SnapshotAgain")),
        (RUNNING, {"action": Action.HALT, "lost": "gone"}, ("False", "SlotLost")),
    ],
)
def test_the_connector_condition_for_each_state_of_its_tasks(state, more, said):
    given = {"live": strimzi("Ready"), "current": True, "action": Action.NONE, "lost": None, "recovery": Recovery()}
    given |= more
    assert assess.connector(given.pop("live"), state, **given)[:2] == said


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
def test_a_program_condition_for_each_state_of_its_deployment_and_pods(live, pods, said):
    assert assess.program("producers", 2, False, live, pods)[:2] == said


def test_a_consumer_that_can_not_write_is_not_ready_although_its_deployment_is():
    for live in (deployment(), deployment(available=1)):
        said = assess.program("consumers", 2, False, live, [], ["c-0: Cassandra has acknowledged nothing for 6 s"])
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
def test_the_reason_why_a_server_is_not_ready_is_read_from_its_pods(status, said):
    found = assess.not_serving([{"metadata": {"name": "p"}, "status": status}])
    assert found == said if said is None else said in (found or "")


def test_a_server_without_pods_has_no_reason_and_a_terminating_pod_is_named():
    assert assess.not_serving([]) is None
    assert assess.not_serving([{"metadata": {"name": "p", "deletionTimestamp": "now"}}]) == "pod p is stopping"


@pytest.mark.parametrize(("suspended", "reason"), [(True, "Suspended"), (False, "ScaledToZero")])
def test_a_program_scaled_to_zero_is_ready_once_it_has_no_replicas(suspended, reason):
    none = deployment(replicas=0, available=0, updated=0)
    assert assess.program("producers", 0, suspended, none, [])[:2] == ("True", reason)
    assert assess.program("producers", 0, suspended, deployment(), [])[:2] == ("False", "Progressing")


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
def test_the_proven_condition_for_each_proof(proof, said):
    assert assess.proven(proof, False, None, NOW, KNOWN)[:2] == said


def test_the_equal_message_states_how_completeness_is_known():
    assert assess.proven(Proof(0, 5, NOW), False, None, NOW, KNOWN).message == (
        "PostgreSQL and Cassandra are equal; completeness is known by ids: recent_trades, klines; sequence: order_book;"
        " arrival: latest_prices"
    )


@pytest.mark.parametrize(
    ("gaining", "suspended", "said"),
    [
        (False, False, ("False", "Behind")),
        (True, False, ("Unknown", "CatchingUp")),
        (False, True, ("True", "Equal")),
    ],
)
def test_an_old_proof_is_behind_only_if_it_does_not_catch_up(gaining, suspended, said):
    state = CatchUp(distance_seconds=3600, since=NOW, gaining=gaining)
    assert assess.proven(Proof(0, 5, NOW - timedelta(hours=1)), suspended, state, NOW, KNOWN)[:2] == said
    different = assess.proven(Proof(1, 5, NOW - timedelta(hours=1)), suspended, state, NOW, KNOWN)
    assert different.reason == "Different", "regardless of everything else"


@pytest.mark.parametrize("part", PARTS)
def test_ready_repeats_the_reason_of_the_first_broken_part(part):
    broken = {**ALL_WELL, part: Assessment("False", "Broken", "why")}
    assert conditions.ready(broken, False) == ("False", "Broken", f"{part}: why")


def test_a_missing_proof_does_not_prevent_ready():
    assert conditions.ready(ALL_WELL | {PROVEN: Assessment("Unknown", "NotYet", "")}, False)[:2] == (
        "True",
        "Capturing",
    )
    assert conditions.ready(ALL_WELL, True)[:2] == ("True", "Suspended")


def test_a_transition_is_dated_only_when_the_status_changes():
    first = conditions.merge([], {READY: Assessment("False", "A", "a")}, 1, NOW)
    later = conditions.merge(first, {READY: Assessment("False", "B", "b")}, 2, NOW + timedelta(1))
    assert later[0] == Condition(
        type=READY, status="False", reason="B", message="b", observed_generation=2, last_transition_time=NOW
    )
    last = conditions.merge(later, {READY: Assessment("True", "C", "c")}, 2, NOW + timedelta(1))
    assert last[0].last_transition_time == NOW + timedelta(1)


def test_every_condition_exists_once_and_unassessed_ones_stay():
    first = conditions.merge([], {PARTS[0]: Assessment("True", "A", "a")}, 1, NOW)
    assert [condition.type for condition in first] == [READY, *PARTS]
    assert conditions.merge(first, {}, 5, NOW + timedelta(1)) == first


def test_only_changed_conditions_are_reported():
    def reported(before, after):
        return [(c.type, c.reason) for c in conditions.changed(before, after)]

    first = conditions.merge([], ALL_WELL | {PARTS[1]: Assessment("False", "Waiting", "")}, 1, NOW)
    assert reported([], first) == [(part, "Well") for part in PARTS if part != PARTS[1]]
    again = conditions.merge(first, ALL_WELL | {PARTS[1]: Assessment("False", "Waiting", "other words")}, 1, NOW)
    assert reported(first, again) == []
    broken = {PARTS[1]: Assessment("False", "Refused", ""), READY: Assessment("False", "Refused", "")}
    assert reported(first, conditions.merge(first, broken, 1, NOW)) == [(PARTS[1], "Refused")]
    silent = conditions.merge(first, {PARTS[0]: Assessment("Unknown", "PlatformNotReady", "")}, 1, NOW)
    assert reported(first, silent) == []
    gone = conditions.merge(first, {PARTS[0]: Assessment("False", "Progressing", "")}, 1, NOW)
    assert reported(first, gone) == [(PARTS[0], "Progressing")]


def test_the_status_is_valid_by_the_schema():
    assessments = {
        **ALL_WELL,
        READY: Assessment("False", "A", "x" * 9000),
        PARTS[0]: Assessment("False", "Create Container: Error/" * 9, "a\n\tb \udce3 \x00"),
        PARTS[1]: Assessment("False", "", ""),
    }
    made = status_patch(Status(), Status(conditions=conditions.merge([], assessments, 1, NOW)))
    assert json.loads(json.dumps(made, ensure_ascii=False).encode()) == made
    assert status_patch(Status(), read_status({"status": made})) == made


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
def test_a_patch_contains_only_changes(before, after, patch):
    assert merge_patch(before, after) == patch


def test_a_status_is_written_with_what_is_set_by_the_names_of_the_schema():
    status = Status(symbol_names=["A"], resolved_at=NOW + timedelta(microseconds=5), suspect_list=None, lag=0)
    patch = {"symbolNames": ["A"], "resolvedAt": "2026-11-21T12:00:00Z", "lag": 0}
    assert status_patch(Status(), status) == patch
    assert status_patch(read_status({"status": patch}), status) == {}
    assert status_patch(status, Status(lag=0)) == {"symbolNames": None, "resolvedAt": None}


def test_what_another_version_wrote_in_another_form_stays_until_it_is_set():
    written = {"identity": "majors", "symbols": 2, "added": {"later": 1}, "history": {"phase": "Resting"}}
    status = read_status({"status": written})
    assert (status.identity, status.symbols, status.history) == ("majors", 2, None)
    assert status_patch(status, status.model_copy(update={"symbols": 3})) == {"symbols": 3}
    assert read_status({}) == read_status({"status": None}) == Status()


@pytest.mark.parametrize(
    "shard", [*shards(Names("majors"), 1), *shards(Names("majors"), 2)], ids=["the only", "1 of 2", "2 of 2"]
)
def test_the_recovery_of_a_connector_that_never_failed_is_not_stored(shard):
    status = Status()
    kept = Recovery(restarts=1, restarted_at=NOW, snapshotting=True, allowed="x")
    set_recovery(status, shard, kept)
    assert recovery_of(read_status({"status": status_patch(Status(), status)}), shard) == kept
    set_recovery(status, shard, Recovery())
    assert status == Status()
    assert recovery_of(status, shard) == Recovery()

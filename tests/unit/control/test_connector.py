"""A failed connector is restarted with back-off, a lost slot gets at most two new snapshots: a table of decisions."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from cryptocdc_control.connector import Action, Decision, Recovery, decide

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
LOST = "it is gone"


@dataclass(frozen=True)
class State:
    running: bool = False
    failed: bool = False
    restarting: bool = False


RUNNING, FAILED, STARTING = State(running=True), State(failed=True), State()
RESTARTING = State(restarting=True)


def ago(**age):
    return NOW - timedelta(**age)


@pytest.mark.parametrize(
    ("state", "lost", "before", "action", "after"),
    [
        (RUNNING, None, {}, Action.NONE, {}),
        (None, None, {}, Action.NONE, {}),
        (STARTING, None, {}, Action.NONE, {}),
        # A failure is restarted at once, then with back-off, and counted until it has run for ten minutes.
        (FAILED, None, {}, Action.RESTART, {"restarts": 1, "restarted_at": NOW}),
        (FAILED, None, {"restarts": 1, "restarted_at": ago(seconds=1)}, Action.NONE, None),
        (
            FAILED,
            None,
            {"restarts": 1, "restarted_at": ago(seconds=3)},
            Action.RESTART,
            {"restarts": 2, "restarted_at": NOW},
        ),
        (FAILED, None, {"restarts": 3, "restarted_at": ago(seconds=7)}, Action.NONE, None),
        # Connect reports RESTARTING forever where the restart could not read the configuration.
        (RESTARTING, None, {}, Action.NONE, {"restarted_at": NOW}),
        (RESTARTING, None, {"restarts": 1, "restarted_at": ago(seconds=59)}, Action.NONE, None),
        (
            RESTARTING,
            None,
            {"restarts": 1, "restarted_at": ago(seconds=61)},
            Action.RESTART,
            {"restarts": 2, "restarted_at": NOW},
        ),
        (RESTARTING, None, {"restarts": 9, "restarted_at": ago(seconds=61)}, Action.NONE, None),
        (RUNNING, None, {"restarts": 3, "restarted_at": ago(minutes=9)}, Action.NONE, None),
        (RUNNING, None, {"restarts": 3, "restarted_at": ago(minutes=11)}, Action.NONE, {}),
        # A lost slot takes precedence over a failure, which it usually causes.
        (FAILED, LOST, {"restarts": 2}, Action.SNAPSHOT, {"snapshots": 1, "snapshot_at": NOW, "snapshotting": True}),
        (
            RUNNING,
            LOST,
            {"snapshots": 1, "snapshot_at": ago(minutes=5)},
            Action.SNAPSHOT,
            {"snapshots": 2, "snapshot_at": NOW, "snapshotting": True},
        ),
        (RUNNING, LOST, {"snapshots": 2, "snapshot_at": ago(minutes=5)}, Action.HALT, None),
        (FAILED, LOST, {"snapshots": 2, "snapshot_at": ago(minutes=5)}, Action.HALT, None),
        (RUNNING, None, {"snapshots": 2, "snapshot_at": ago(minutes=59)}, Action.NONE, None),
        (RUNNING, None, {"snapshots": 2, "snapshot_at": ago(minutes=61)}, Action.NONE, {}),
        # A started snapshot is completed, whatever is observed meanwhile.
        (RUNNING, None, {"snapshots": 1, "snapshotting": True}, Action.SNAPSHOT, None),
        (None, LOST, {"snapshots": 2, "snapshotting": True}, Action.SNAPSHOT, None),
    ],
)
def test_the_action_for_each_state_of_a_connector(state, lost, before, action, after):
    kept = Recovery(**before)
    decision = decide(state, lost, kept, None, NOW)
    assert decision.action is action
    assert decision.recovery == (kept if after is None else Recovery(**after))


def test_each_permission_allows_new_snapshots_once():
    halted = Recovery(snapshots=2)
    allowed = decide(RUNNING, LOST, halted, "monday", NOW)
    assert allowed.action is Action.SNAPSHOT
    assert allowed.recovery == Recovery(snapshots=1, snapshot_at=NOW, snapshotting=True, allowed="monday")
    again = Recovery(snapshots=2, allowed="monday")
    assert decide(RUNNING, LOST, again, "monday", NOW).action is Action.HALT
    assert decide(RUNNING, LOST, again, "tuesday", NOW).action is Action.SNAPSHOT


def test_a_long_permission_is_not_used_twice():
    permission = "x" * 300
    first = decide(RUNNING, LOST, Recovery(snapshots=2), permission, NOW).recovery
    assert (
        decide(RUNNING, LOST, first.model_copy(update={"snapshots": 2, "snapshotting": False}), permission, NOW).action
        is Action.HALT
    )


def test_a_connector_that_runs_but_has_left_its_slot_unread_for_a_minute_is_restarted():
    first = decide(RUNNING, None, Recovery(), None, NOW, unread=True)
    assert (first.action, first.recovery.unread_since) == (Action.NONE, NOW)
    soon = decide(RUNNING, None, first.recovery, None, NOW + timedelta(seconds=59), unread=True)
    assert soon.action is Action.NONE
    later = NOW + timedelta(seconds=60)
    hung = decide(RUNNING, None, soon.recovery, None, later, unread=True)
    assert hung == Decision(Action.RESTART, Recovery(restarts=1, restarted_at=later))


def test_a_slot_that_is_read_again_or_whose_connector_starts_is_not_counted_as_unread():
    unread = Recovery(unread_since=ago(seconds=59))
    assert decide(RUNNING, None, unread, None, NOW).recovery == Recovery()
    assert decide(STARTING, None, unread, None, NOW, unread=True).recovery == Recovery()

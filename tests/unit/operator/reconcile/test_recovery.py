"""A failed connector is restarted with back-off; a lost slot leads to at most two new snapshots, then to a halt."""

import itertools
from datetime import timedelta

import pytest
from tests.unit.operator.world import World

from cryptocdc_adapters.replication.connect import Position
from cryptocdc_adapters.replication.slots import Slot, lost
from cryptocdc_operator.resources.labels import NEW_SNAPSHOT
from cryptocdc_operator.status.assess import Proof


@pytest.fixture
def world():
    made = World(streams={"klines": {}})
    made.run()
    assert made.snapshots == 1
    return made


def passes(world, count=8):
    for _ in range(count):
        world.reconcile()
        world.others()


def later(world, **more):
    world.at += timedelta(**more)
    world.proof = Proof(0, 10, world.at)


SLOT = Slot("majors_slot", 100, True, "reserved", 0)


@pytest.mark.parametrize(
    ("slot", "position", "why"),
    [
        (SLOT, 100, None),
        (SLOT, 120, None),  # committed, and not yet confirmed to the slot
        (SLOT, None, None),  # a new connector has lost nothing
        (None, None, None),
        (SLOT, 0, None),  # a position without an LSN
        (None, 100, "gone"),
        (Slot("majors_slot", 100, False, "lost", 0), 100, "removed log"),
        (Slot("majors_slot", 101, False, "reserved", 0), 100, "not the one"),
    ],
)
def test_the_conditions_under_which_a_slot_is_lost(slot, position, why):
    reported = lost(slot, None if position is None else Position(position, given=False))
    assert (reported is None) == (why is None)
    assert (why or "") in (reported or "")


@pytest.mark.parametrize(
    "breaks",
    [
        lambda world: world.lose_slot(),
        lambda world: world.slots.update(majors_slot=Slot("majors_slot", 100, False, "lost", 0)),
        lambda world: world.slots.update(majors_slot=Slot("majors_slot", 500, False, "reserved", 0)),
    ],
    ids=["gone", "invalidated", "another one"],
)
def test_a_lost_slot_is_recovered_by_a_new_snapshot(world, breaks):
    breaks(world)
    world.reconcile()
    assert world.said("ConnectorReady") == ("False", "SnapshotAgain")
    assert world.said("Ready") == ("False", "SnapshotAgain")
    passes(world)
    assert world.said("ConnectorReady") == ("True", "Streaming")
    assert world.snapshots == 2
    assert world.feed()["status"]["recovery"]["snapshots"] == 1
    assert [reason for _, reason, _ in world.events].count("SlotLost") == 1
    assert [reason for _, reason, _ in world.events].count("SnapshotBegun") == 1


def test_a_third_loss_halts_the_connector_until_permission_is_given(world):
    for _ in range(3):
        world.lose_slot()
        passes(world)
    assert world.snapshots == 3, "the first and two new ones"
    assert world.said("ConnectorReady") == ("False", "SlotLost")
    assert NEW_SNAPSHOT in world.condition("ConnectorReady")["message"]
    assert world.objects["KafkaConnector", "majors"]["spec"]["state"] == "stopped"
    passes(world, 20)
    assert world.snapshots == 3
    assert [reason for _, reason, _ in world.events].count("SlotLost") == 3, "two recovered, one halted: reported once"
    world.unreachable = {"PostgreSQL": "connection refused"}
    passes(world)
    assert world.objects["KafkaConnector", "majors"]["spec"]["state"] == "stopped", "not known to be complete again"
    world.unreachable = {}
    world.feed()["metadata"]["annotations"][NEW_SNAPSHOT] = "now"
    passes(world)
    assert world.said("ConnectorReady") == ("True", "Streaming")
    assert world.snapshots == 4


def test_the_count_of_losses_is_reset_after_an_hour_without_loss(world):
    world.lose_slot()
    passes(world)
    later(world, minutes=59)
    world.reconcile()
    assert world.feed()["status"]["recovery"]["snapshots"] == 1
    later(world, minutes=2)
    world.reconcile()
    assert "recovery" not in world.feed()["status"]


def test_no_slot_counts_as_lost_while_postgres_does_not_respond(world):
    world.unreachable = {"PostgreSQL": "connection refused"}
    world.lose_slot()
    passes(world, 3)
    assert world.said("ConnectorReady") == ("Unknown", "PlatformNotReady")
    assert world.objects["KafkaConnector", "majors"]["spec"]["state"] == "running"
    assert world.snapshots == 1


def test_an_interrupted_snapshot_continues_when_postgres_is_back(world):
    world.lose_slot()
    world.reconcile()
    world.unreachable = {"PostgreSQL": "connection refused"}
    passes(world, 3)
    assert world.objects["KafkaConnector", "majors"]["spec"]["state"] == "stopped"
    world.unreachable = {}
    passes(world)
    assert world.said("ConnectorReady") == ("True", "Streaming")
    assert world.snapshots == 2


def test_a_slot_is_recovered_while_the_feeds_last_edit_is_refused(world):
    world.held_kind["majors"] = "aggregate"
    world.edit(streams={"klines": {}, "recentTrades": {"kind": "trade"}})
    world.lose_slot()
    passes(world)
    assert world.said("TablesReady") == ("False", "TradesKindDiffers")
    assert world.snapshots == 2
    assert world.connectors["majors"]["tasks"] == ("RUNNING",)
    assert world.connectors["majors"]["config"]["table.include.list"] == "majors.klines"


@pytest.mark.parametrize("suspend", [False, True])
def test_a_lost_slot_of_a_failed_connector_is_recovered(world, suspend):
    """Strimzi does not stop it, whatever state its KafkaConnector requests."""
    world.edit(suspend=suspend)
    world.run()
    world.fail_connector()
    world.lose_slot()
    passes(world)
    assert world.said("ConnectorReady") == ("True", "Streaming")
    assert world.snapshots == 2


def test_a_halted_connector_that_has_failed_is_stopped_too(world):
    """Connect would start it at its own next start, and skip what the lost slot had."""
    for _ in range(2):
        world.lose_slot()
        passes(world)
    world.fail_connector()
    world.lose_slot()
    passes(world)
    assert world.said("ConnectorReady") == ("False", "SlotLost")
    assert world.connectors["majors"]["stopped"]


def test_a_failed_task_is_restarted_and_seen_before_strimzi_says_so(world):
    world.fail_task()
    assert world.reconcile().retry_after_s is not None
    assert world.said("ConnectorReady") == ("False", "TaskFailed")
    assert "connection refused" in world.condition("ConnectorReady")["message"]
    world.reconcile()
    assert world.said("ConnectorReady") == ("True", "Streaming")
    assert world.restarts == 1


def test_a_repeatedly_failing_task_is_restarted_with_back_off(world):
    restarted = []
    for _ in range(600):
        world.fail_task()
        before = world.restarts
        world.reconcile()
        if world.restarts > before:
            restarted.append(world.at)
        later(world, seconds=3)
    waits = [(b - a).total_seconds() for a, b in itertools.pairwise(restarted)]
    assert waits == sorted(waits)
    assert waits[0] <= 15
    assert waits[-1] >= 300
    assert world.feed()["status"]["recovery"]["restarts"] == len(restarted)


def test_a_connector_that_runs_but_no_longer_reads_its_slot_is_restarted_after_a_minute(world):
    passes(world)
    world.unread = True
    passes(world)
    assert world.restarts == 0
    later(world, seconds=61)
    world.reconcile()
    assert world.restarts == 1
    world.unread = False
    passes(world)
    assert world.restarts == 1


def test_restarts_are_reset_once_the_task_keeps_running(world):
    world.fail_task()
    passes(world, 2)
    later(world, minutes=11)
    world.reconcile()
    assert "recovery" not in world.feed()["status"]


def test_a_connector_whose_restart_hangs_is_restarted_again_after_a_minute(world):
    world.fail_connector()
    passes(world, 1)
    world.hang_restart()
    passes(world)
    assert world.restarts == 1
    assert world.said("ConnectorReady") == ("False", "Starting")
    assert "RESTARTING" in world.condition("ConnectorReady")["message"]
    later(world, seconds=61)
    passes(world)
    assert world.restarts == 2
    assert world.said("ConnectorReady") == ("True", "Streaming")

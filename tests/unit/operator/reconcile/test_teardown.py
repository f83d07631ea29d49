"""A feed that is deleted leaves no slot behind; its data only as its policy says."""

import pytest
from tests.unit.operator.world import Killed, World

POLICIES = ("Retain", "Delete")


def made(policy):
    world = World(streams={"recentTrades": {}, "klines": {}}, deletionPolicy=policy)
    world.run()
    return world


@pytest.mark.parametrize("policy", POLICIES)
def test_connector_position_and_slot_are_always_removed(policy):
    world = made(policy)
    assert world.delete()
    assert not world.slots
    assert not world.positions
    assert not world.connectors
    assert not world.shared
    assert [kind for kind, _ in world.objects if kind != "KafkaTopic"] == []
    assert [reason for _, reason, _ in world.events].count("Deleted") == 1


def test_a_waiting_deletion_is_not_ready_and_a_deleted_feed_has_no_metrics():
    world = made("Retain")
    world.reconcile()
    assert ready(world) == 1
    world.unreachable = {"Connect": "refused"}
    assert not world.delete()
    assert ready(world) == 0
    world.unreachable = {}
    assert world.delete()
    assert ready(world) is None


def ready(world):
    of = {"feed": "majors", "type": "Ready"}
    return world.metrics.registry.get_sample_value("cryptocdc_operator_condition", of)


def test_retain_keeps_the_data():
    world = made("Retain")
    tables, topics = set(world.tables), world.names("KafkaTopic")
    world.delete()
    assert (world.tables, world.names("KafkaTopic")) == (tables, topics)
    assert world.keyspaces == {"majors"}
    assert world.symbols == {"majors": {}}, "no longer captured"


def test_delete_removes_the_data_of_streams_that_left_as_well():
    world = made("Delete")
    world.edit(streams={"recentTrades": None, "klines": {}})
    world.run()
    assert "majors.majors.recent-trades" in world.names("KafkaTopic")
    world.delete()
    assert not world.tables
    assert not world.keyspaces
    assert world.names("KafkaTopic") == []


@pytest.mark.parametrize(("first", "then", "kept"), [("Delete", "Retain", True), ("Retain", "Delete", False)])
def test_the_deletion_policy_at_the_time_of_deletion_applies(first, then, kept):
    world = made(first)
    world.edit(deletionPolicy=then)
    world.delete()
    assert bool(world.names("KafkaTopic")) is kept
    assert bool(world.tables) is kept


def test_retained_data_is_adopted_by_a_feed_of_the_same_name():
    world = made("Retain")
    world.delete()
    world.make_feed("majors", streams={"recentTrades": {}, "klines": {}})
    world.run()
    assert world.said("Ready")[0] == "True"
    assert world.snapshots == 2, "it starts over: a snapshot replicates what PostgreSQL kept"
    assert "recovery" not in world.feed()["status"]


def test_a_feed_that_created_nothing_is_deleted_immediately():
    world = World()
    world.secrets = {}
    world.reconcile()
    assert world.delete(passes=1)


def test_deletion_waits_for_an_unreachable_platform_and_names_it():
    world = made("Delete")
    world.unreachable = {"PostgreSQL": "connection refused"}
    assert not world.delete()
    assert world.said("Ready") == ("False", "Deleting")
    assert "PostgreSQL" in world.condition("Ready")["message"]
    assert "majors_slot" in world.slots
    world.unreachable = {}
    assert world.delete()
    assert not world.slots


FAILURES = {
    "its task": lambda world: world.fail_task(),
    "the connector": lambda world: world.fail_connector(),
    "the connector, whose restart hangs": lambda world: world.hang_restart(),
    "the connector, whose restart hangs and whose position Connect keeps": lambda world: (
        world.hang_restart(), world.keeps_positions.add("majors"),
    ),
    "the connector, whose position Connect keeps": lambda world: (
        world.fail_connector(), world.keeps_positions.add("majors"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("suspended", [False, True], ids=["capturing", "suspended"])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_feed_with_a_failed_connector_is_deleted_with_its_slot(failure, suspended):
    world = made("Retain")
    world.edit(suspend=suspended)
    world.run()
    FAILURES[failure](world)
    world.others()
    assert world.delete(), world.condition("Ready")
    assert not world.slots
    assert not world.connectors
    assert not world.names("KafkaConnector")
    assert world.positions == ({"majors": 100} if world.keeps_positions else {})
    if world.keeps_positions:
        assert "PositionKept" in [reason for _, reason, _ in world.events]
        world.keeps_positions.clear()
        world.make_feed("majors", streams={"recentTrades": {}, "klines": {}})
        world.run(passes=20)
        assert world.said("ConnectorReady") == ("True", "Streaming")
        assert world.snapshots == 2, "the old position is not mistaken for the new slot's"


def test_a_connector_that_strimzi_leaves_behind_is_removed_from_connect(monkeypatch):
    """This happens while Strimzi's operator is down."""
    world = made("Retain")

    def without_strimzi(self):
        self.connect()
        for key in [key for key in self.objects if key[0] == "Pod"]:
            del self.objects[key]

    monkeypatch.setattr(World, "others", without_strimzi)
    assert world.delete()
    assert not world.connectors
    assert not world.slots


@pytest.mark.parametrize("policy", POLICIES)
def test_nothing_is_reconciled_while_it_is_deleted(policy):
    world = made(policy)
    world.feed()["metadata"]["deletionTimestamp"] = "now"
    before = world.steps
    assert world.reconcile().retry_after_s is None
    assert world.steps == before + 1, "only reads, no changes"


@pytest.mark.parametrize("failed", [False, True], ids=["running", "failed"])
@pytest.mark.parametrize("policy", POLICIES)
def test_an_operator_killed_at_any_step_completes_the_deletion(policy, failed):
    begun = made(policy)
    if failed:
        begun.fail_connector()
    begun.steps = 0
    smooth = begun.copied()
    assert smooth.delete()
    wanted, steps = smooth.state(), smooth.steps
    assert steps > 20
    for kill_at in range(1, steps + 1):
        world = begun.copied()
        world.kill_at = kill_at
        with pytest.raises(Killed):
            world.delete()
        world.kill_at = None
        world.others()
        assert world.delete()
        assert world.state() == wanted, f"killed at step {kill_at}"

"""A feed's number of connectors changes: drained, then moved, whatever fails meanwhile."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.operator.world import World

from cryptocdc_adapters.replication.slots import Slot
from cryptocdc_core.planning.connector import CONVERTER


@pytest.fixture
def world():
    made = World(streams={"klines": {}})
    made.run()
    return made


def scaled(world, connectors):
    world.edit(scaling={"connectors": connectors})


def passes(world, count=12):
    for _ in range(count):
        world.reconcile()
        world.others()


def until(world, done, limit=20):
    for _ in range(limit):
        if done():
            return
        world.reconcile()
        world.others()
    raise AssertionError(world.condition("ConnectorReady"))


def prepared(world):
    """Two connectors are prepared, and the old one has not passed their slots yet."""
    scaled(world, 2)
    until(world, lambda: "majors.2of2" in world.connectors)
    world.slots["majors_slot"] = replace(world.slots["majors_slot"], confirmed=100)
    world.positions["majors"] = 100


NAMES = {1: ["majors"], 2: ["majors.1of2", "majors.2of2"], 3: ["majors.1of3", "majors.2of3", "majors.3of3"]}


def assert_only(world, connectors):
    wanted = NAMES[connectors]
    suffixes = [name.partition(".")[2] for name in wanted]
    assert sorted(world.connectors) == wanted
    assert world.names("KafkaConnector") == wanted
    assert sorted(world.slots) == [f"majors_slot_{suffix}" if suffix else "majors_slot" for suffix in suffixes]
    assert sorted(world.publications) == [f"majors_pub_{suffix}" if suffix else "majors_pub" for suffix in suffixes]
    assert world.said("ConnectorReady") == ("True", "Streaming")
    assert world.said("Ready") == ("True", "Capturing")


def test_a_feed_may_begin_with_several_connectors(world):
    several = World(streams={"klines": {}}, scaling={"connectors": 2})
    several.run()
    assert_only(several, 2)
    assert several.snapshots == 2, "each takes one of its rows"
    assert "2 tasks" in several.condition("ConnectorReady")["message"]


@pytest.mark.parametrize("numbers", [[2], [2, 1], [2, 3, 1], [3, 2]])
def test_the_number_changes_without_a_snapshot(world, numbers):
    for number in numbers:
        scaled(world, number)
        passes(world)
        assert_only(world, number)
    assert world.snapshots == 1
    assert [reason for _, reason, _ in world.events].count("ConnectorsMoved") == len(numbers)


def test_the_old_connector_reads_until_it_has_passed_the_new_slots_and_stops_before_they_are_read(world):
    prepared(world)
    newest = max(slot.confirmed for slot in world.slots.values())
    world.reconcile()
    assert world.said("ConnectorReady") == ("False", "Changing")
    assert world.connectors["majors"]["tasks"] == ("RUNNING",)
    assert not world.connectors["majors.1of2"]["tasks"]
    until(world, lambda: world.connectors["majors.1of2"]["tasks"])
    assert not world.connectors["majors"]["tasks"]
    assert world.positions["majors"] == newest
    passes(world)
    assert_only(world, 2)


def converters(world):
    live = {name: found["spec"]["config"] for (kind, name), found in world.objects.items() if kind == "KafkaConnector"}
    return {name: config["value.converter"] for name, config in live.items()}


@pytest.mark.parametrize(
    "plugins", [{CONVERTER}, set()], ids=["with the converter", "with a Connect that has only Debezium"]
)
def test_old_and_new_connectors_have_the_converter_that_connect_has(world, plugins):
    world.plugins = plugins
    converter = CONVERTER if plugins else "org.apache.kafka.connect.json.JsonConverter"
    passes(world)
    prepared(world)
    world.reconcile()
    assert converters(world) == dict.fromkeys(("majors", *NAMES[2]), converter)
    passes(world)
    assert_only(world, 2)
    assert converters(world) == dict.fromkeys(NAMES[2], converter)
    assert {found["config"]["value.converter"] for found in world.connectors.values()} == {converter}
    assert world.snapshots == 1


@pytest.mark.parametrize("missing", [set(), {CONVERTER}], ids=["with the converter", "without"])
def test_every_connectors_converter_stays_while_connect_does_not_answer(world, missing):
    world.plugins -= missing
    scaled(world, 2)
    passes(world)
    before = converters(world)
    world.unreachable = {"Connect": "refused"}
    passes(world, 2)
    assert converters(world) == before


def test_an_old_connector_that_fails_is_restarted_for_the_change_to_go_on(world):
    prepared(world)
    world.fail_task()
    passes(world)
    assert world.restarts == 1
    assert_only(world, 2)


def test_an_old_connector_that_is_deleted_is_created_again_and_drained(world):
    prepared(world)
    world.objects.pop(("KafkaConnector", "majors"))
    world.connectors.pop("majors")
    passes(world, 15)
    assert_only(world, 2)
    assert world.snapshots == 1


def test_old_connectors_that_lost_changes_are_replaced_by_new_ones_that_take_a_snapshot_each(world):
    prepared(world)
    world.lose_slot()
    passes(world, 20)
    assert_only(world, 2)
    assert world.snapshots == 3
    assert [reason for _, reason, _ in world.events].count("ConnectorsReplaced") == 1


def test_a_new_connector_that_strimzi_lets_read_too_early_is_prepared_again(world):
    prepared(world)
    world.connectors["majors.1of2"] |= {"state": "STOPPED", "tasks": (), "stopped": True}
    world.given.discard("majors.1of2")
    world.positions["majors.1of2"] += 10
    world.reconcile()
    assert world.connectors["majors"]["tasks"] == ("RUNNING",), "it carries until the new ones are prepared"
    assert world.feed()["status"]["connectors"] == 1
    passes(world)
    assert_only(world, 2)
    assert world.feed()["status"]["connectors"] == 2
    assert world.snapshots == 1


def test_a_change_that_is_taken_back_before_the_move_removes_what_was_prepared(world):
    scaled(world, 2)
    until(world, lambda: "majors.2of2" in world.connectors)
    scaled(world, 1)
    passes(world)
    assert_only(world, 1)
    assert world.snapshots == 1


@pytest.mark.parametrize("after", range(1, 10))
def test_the_number_may_change_again_at_any_point(world, after):
    scaled(world, 2)
    passes(world, after)
    scaled(world, 3)
    passes(world, after)
    scaled(world, 1)
    passes(world, 20)
    assert_only(world, 1)
    assert world.snapshots == 1


def test_one_of_several_connectors_that_loses_its_slot_takes_a_snapshot_and_the_others_go_on(world):
    scaled(world, 2)
    passes(world)
    del world.slots["majors_slot_2of2"]
    world.reconcile()
    assert world.said("ConnectorReady") == ("False", "SnapshotAgain")
    assert world.condition("ConnectorReady")["message"].startswith("majors.2of2: ")
    (kept,) = world.feed()["status"]["shardRecoveries"]
    assert (kept["shard"], kept["recovery"]["snapshots"]) == ("2of2", 1)
    assert world.connectors["majors.1of2"]["tasks"] == ("RUNNING",)
    passes(world)
    assert_only(world, 2)
    assert world.snapshots == 2
    world.at += timedelta(hours=2)
    passes(world, 2)
    assert "shardRecoveries" not in world.feed()["status"]


def test_recoveries_of_connectors_that_were_replaced_are_forgotten(world):
    world.fail_task()
    passes(world, 2)
    assert world.feed()["status"]["recovery"]["restarts"] == 1
    scaled(world, 2)
    passes(world)
    assert "recovery" not in world.feed()["status"]


def test_nothing_changes_while_a_server_does_not_answer(world):
    scaled(world, 2)
    until(world, lambda: "majors.2of2" in world.connectors)
    world.unreachable = {"PostgreSQL": "connection refused"}
    before = world.copied()
    passes(world, 3)
    assert (sorted(world.connectors), world.connectors["majors"]["tasks"]) == (sorted(before.connectors), ("RUNNING",))
    world.unreachable = {}
    passes(world)
    assert_only(world, 2)


def test_an_added_stream_is_captured_only_once_the_new_connectors_read(world):
    world.edit(scaling={"connectors": 2}, streams={"klines": {}, "recentTrades": {}})
    producer = world.objects["Deployment", "majors-producer"]["spec"]["template"]

    def captured():
        return world.objects["Deployment", "majors-producer"]["spec"]["template"] != producer

    for _ in range(12):
        world.reconcile()
        if captured():
            break
        world.others()
    assert {"majors_slot_1of2", "majors_slot_2of2"} <= world.slots.keys(), "its rows would be skipped"


@pytest.mark.parametrize("connectors", [1, 2])
@pytest.mark.parametrize("after", [0, 2, 4])
def test_a_deleted_feed_leaves_no_connector_and_no_slot_even_in_the_middle_of_a_change(world, connectors, after):
    scaled(world, 2)
    passes(world, 12)
    scaled(world, connectors)
    passes(world, after)
    assert world.delete(passes=20)
    assert (world.connectors, world.slots) == ({}, {})


def test_a_slot_that_was_left_without_connector_is_created_again(world):
    world.slots["majors_slot_1of2"] = Slot("majors_slot_1of2", 7, False, "reserved", 0)
    scaled(world, 2)
    until(world, lambda: "majors.2of2" in world.connectors)
    assert world.positions["majors.1of2"] > 7
    passes(world)
    assert_only(world, 2)

"""A feed's sink engine on a cluster in memory: one at a time, changed both ways, recovered, and removed."""

from datetime import timedelta
from typing import Any

import pytest
from tests.unit.operator.world import World

STREAMS: dict[str, Any] = {"recentTrades": {}, "klines": {}}
CONNECT = {"engine": "connect"}
SINK = "majors.sink"


@pytest.fixture
def world():
    made = World(streams=STREAMS, sink=CONNECT, scaling={"consumers": 2})
    made.run()
    return made


def ready(world):
    world.run()
    assert world.said("Ready")[0] == "True", world.condition("Ready")


def test_a_feed_that_connect_writes_has_a_second_connector_and_no_consumers(world):
    assert world.said("Ready") == ("True", "Capturing")
    assert world.said("ConsumersReady") == ("True", "Running")
    assert world.condition("ConsumersReady")["message"] == "the sink connector writes, with 2 tasks"
    assert world.names("KafkaConnector") == ["majors", SINK]
    assert world.names("Deployment") == ["majors-api", "majors-producer"]
    assert "majors-consumer" not in world.names("Service") + world.names("NetworkPolicy")
    made = world.objects["KafkaConnector", SINK]["spec"]
    assert (made["class"], made["tasksMax"]) == ("io.cryptocdc.connect.cassandra.CassandraSinkConnector", 2)
    assert made["config"]["consumer.override.group.id"] == "majors-consumer"
    assert world.feed()["status"]["replicas"] == 2


def test_a_pass_over_an_up_to_date_sink_connector_changes_nothing(world):
    before = world.state()
    assert world.reconcile().retry_after_s is None
    assert world.state() == before


def test_switching_to_connect_stops_the_consumers_first(world):
    world.edit(sink={"engine": "consumer"})
    ready(world)
    pod = world.objects["Pod", "majors-consumer-0"]
    world.edit(sink=CONNECT)
    world.reconcile()
    assert ("Deployment", "majors-consumer") not in world.objects
    assert world.names("KafkaConnector") == ["majors"]
    assert world.said("ConsumersReady") == ("False", "Changing")
    assert world.condition("ConsumersReady")["message"] == "the consumers must stop first"
    world.others()
    assert pod not in world.objects.values()
    ready(world)
    assert world.names("KafkaConnector") == ["majors", SINK]


@pytest.mark.parametrize(
    ("obstacle", "said", "message"),
    [
        ("image", ("False", "ConnectorRefused"), "Connect's image lacks the plugin io.cryptocdc.connect.cassandra."),
        ("connect", ("Unknown", "PlatformNotReady"), "Connect does not answer"),
    ],
)
def test_consumers_keep_writing_until_connect_can_run_the_connector(world, obstacle, said, message):
    world.edit(sink={"engine": "consumer"})
    ready(world)
    if obstacle == "image":
        plugins, world.plugins = world.plugins, set()
    else:
        world.unreachable["Connect"] = "no route"
    consumers = [found for found in world.objects if found[1].startswith("majors-consumer")]
    world.edit(sink=CONNECT)
    world.run(passes=3)
    assert [found for found in world.objects if found[1].startswith("majors-consumer")] == consumers
    assert world.names("KafkaConnector") == ["majors"]
    assert world.said("ConsumersReady") == said
    assert world.condition("ConsumersReady")["message"].startswith(message)
    if obstacle == "image":
        world.plugins = plugins
    else:
        world.unreachable.clear()
    ready(world)
    assert world.names("KafkaConnector") == ["majors", SINK]
    assert not [found for found in world.objects if found[1].startswith("majors-consumer")]


def test_consumers_keep_writing_while_postgresql_is_down(world):
    world.edit(sink={"engine": "consumer"})
    ready(world)
    world.unreachable["PostgreSQL"] = "no route"
    world.edit(sink=CONNECT)
    world.reconcile()
    assert "majors-consumer" in world.names("Deployment")
    world.unreachable.clear()
    ready(world)
    assert "majors-consumer" not in world.names("Deployment")
    assert world.names("KafkaConnector") == ["majors", SINK]


@pytest.mark.parametrize(
    ("pod", "starts"),
    [
        ({"status": {"phase": "Failed"}}, True),
        ({"status": {"phase": "Succeeded"}}, True),
        ({"status": {"phase": "Running"}}, False),
        ({"status": {"phase": "Running"}, "ends": timedelta(seconds=-30)}, False),
        ({"status": {"phase": "Running"}, "ends": timedelta(minutes=-2)}, True),
    ],
)
def test_a_consumers_pod_that_ended_or_is_lost_with_its_node_does_not_block_the_connector(world, pod, starts):
    world.edit(sink={"engine": "consumer"})
    ready(world)
    left = world.objects["Pod", "majors-consumer-0"]
    world.edit(sink=CONNECT)
    world.reconcile()
    world.others()
    ends = {"deletionTimestamp": (world.at + pod["ends"]).isoformat().replace("+00:00", "Z")} if "ends" in pod else {}
    world.objects["Pod", "majors-consumer-0"] = {
        "metadata": {**left["metadata"], **ends}, "status": pod["status"],
    }  # fmt: skip
    world.reconcile()
    assert (SINK in world.names("KafkaConnector")) is starts


def test_switching_to_consumers_removes_the_connector_first(world):
    world.edit(sink={"engine": "consumer"})
    world.reconcile()
    assert world.names("KafkaConnector") == ["majors"]
    assert "majors-consumer" not in world.names("Deployment")
    assert world.said("ConsumersReady") == ("False", "Changing")
    ready(world)
    assert "majors-consumer" in world.names("Deployment")
    assert SINK not in world.connectors


def test_switching_engines_twice_restores_the_same_state(world):
    def made() -> dict[str, Any]:
        return {f"{kind}/{name}": found.get("spec") for (kind, name), found in world.objects.items() if kind != "Pod"}

    before = made()
    world.edit(sink={"engine": "consumer"})
    ready(world)
    assert made() != before
    world.edit(sink=CONNECT)
    ready(world)
    assert made() == before


def test_a_connector_left_in_connect_without_its_resource_is_removed_before_consumers_start(world):
    left = world.connectors[SINK]
    world.edit(sink={"engine": "consumer"})
    world.reconcile()
    world.connectors[SINK] = left
    world.reconcile()
    assert SINK not in world.connectors
    ready(world)


def test_a_failed_task_is_restarted_and_counted_apart_from_the_source_connectors(world):
    world.connectors[SINK] |= {"tasks": ("FAILED", "RUNNING"), "trace": "Cassandra refuses the password\nat …"}
    world.reconcile()
    assert world.said("ConsumersReady") == ("False", "TaskFailed")
    assert "Cassandra refuses the password" in world.condition("ConsumersReady")["message"]
    assert world.said("ConnectorReady")[0] == "True"
    assert world.restarts == 1
    status = world.feed()["status"]
    assert status["sinkRecovery"]["restarts"] == 1
    assert "recovery" not in status
    world.at += timedelta(minutes=11)
    ready(world)
    assert world.said("ConsumersReady") == ("True", "Running")


def test_scaling_to_zero_removes_the_sink_connector(world):
    world.edit(scaling={"consumers": 0})
    ready(world)
    assert world.names("KafkaConnector") == ["majors"]
    assert world.said("ConsumersReady") == ("True", "ScaledToZero")


def test_changing_tasks_changes_only_the_connector(world):
    world.edit(scaling={"consumers": 3})
    ready(world)
    assert len(world.connectors[SINK]["tasks"]) == 3
    assert world.feed()["status"]["replicas"] == 3


def test_a_removed_computed_stream_is_written_while_its_table_exists(world):
    world.edit(analytics={"bars": ["5s"]})
    ready(world)
    topics = world.connectors[SINK]["config"]["topics"]
    assert "majors.majors.bars" in topics.split(",")
    del world.feed()["spec"]["analytics"]
    world.edit()
    ready(world)
    assert world.connectors[SINK]["config"]["topics"] == topics


def test_a_deleted_feed_leaves_no_sink_connector(world):
    assert world.delete()
    assert world.connectors == {}
    assert world.names("KafkaConnector") == []

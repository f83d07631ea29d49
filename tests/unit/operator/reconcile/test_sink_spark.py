"""Spark as a feed's sink engine on a cluster in memory: what it consists of, one engine at a time, and its end."""

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.operator.world import SETTINGS, World

STREAMS: dict[str, Any] = {"recentTrades": {}, "klines": {}}
SPARK, CONSUMER, CONNECT = ({"engine": engine} for engine in ("spark", "consumer", "connect"))
DRIVER, CLAIM, POLICY = "majors-spark", "PersistentVolumeClaim", "NetworkPolicy"
MODES = ("executors", "local", "operator")


def made(mode="executors", **spec):
    world = World(streams=STREAMS, **({"sink": SPARK, "scaling": {"consumers": 2}} | spec))
    world.settings = SETTINGS.model_copy(update={"spark_mode": mode})
    world.run()
    return world


@pytest.fixture
def world():
    return made()


def ready(world):
    world.run()
    assert world.said("Ready")[0] == "True", world.condition("Ready")


def driver(mode):
    return ("SparkApplication" if mode == "operator" else "Deployment", DRIVER)


def executors(world):
    return [name for name in world.names("Pod") if "-exec-" in name]


def of_spark(world):
    return sorted(key for key in world.objects if "spark" in key[1])


def test_a_feed_that_spark_writes_has_a_driver_with_executors_and_a_checkpoint_and_no_consumers(world):
    ready(world)
    assert world.names("Deployment") == ["majors-api", "majors-producer", DRIVER]
    assert world.objects["Deployment", DRIVER]["spec"]["replicas"] == 1
    assert len(executors(world)) == 2
    assert world.names(CLAIM) == [DRIVER]
    assert {DRIVER, "majors-spark-executor"} <= set(world.names(POLICY))
    assert "majors-consumer" not in world.names("Service") + world.names(POLICY)
    assert world.said("ConsumersReady") == ("True", "Running")
    assert world.condition("ConsumersReady")["message"] == "Spark's driver and 2 executors run"
    status = world.feed()["status"]
    assert (status["replicas"], status["selector"].split("=")[-1]) == (2, "spark-executor")


@pytest.mark.parametrize("mode", MODES)
def test_a_pass_over_spark_as_it_should_be_changes_nothing(mode):
    world = made(mode)
    ready(world)
    before = world.state()
    assert world.reconcile().retry_after_s is None
    assert world.state() == before


def test_in_one_pod_there_are_no_executors_and_nothing_for_them():
    world = made("local")
    ready(world)
    assert of_spark(world) == [
        ("Deployment", DRIVER), (POLICY, DRIVER), (CLAIM, DRIVER), ("Pod", f"{DRIVER}-0"), ("Service", DRIVER),
    ]  # fmt: skip
    assert world.condition("ConsumersReady")["message"] == "1 of 1 Spark drivers run"


def test_where_sparks_operator_is_installed_it_runs_a_spark_application():
    world = made("operator")
    ready(world)
    assert ("Deployment", DRIVER) not in world.objects
    assert world.names("SparkApplication") == [DRIVER]
    assert len(executors(world)) == 2
    assert world.said("ConsumersReady") == ("True", "Running")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("other", [CONSUMER, CONNECT])
def test_spark_starts_when_the_other_engine_has_stopped(mode, other):
    world = made(mode, sink=other)
    ready(world)
    world.edit(sink=SPARK)
    world.reconcile()
    assert driver(mode) not in world.objects
    assert world.said("ConsumersReady") == ("False", "Changing")
    assert world.condition("ConsumersReady")["message"].endswith("must stop first")
    ready(world)
    assert driver(mode) in world.objects
    assert "majors-consumer" not in world.names("Deployment")
    assert world.names("KafkaConnector") == ["majors"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("other", [CONSUMER, CONNECT])
def test_the_other_engine_starts_when_driver_and_executors_have_stopped_and_nothing_of_spark_is_left(mode, other):
    world = made(mode)
    ready(world)
    world.edit(sink=other)
    for _ in range(12):
        world.reconcile()
        left = [name for name in world.names("Pod") if "spark" in name]
        if not left:
            break
        assert world.said("ConsumersReady") == ("False", "Changing")
        assert "majors-consumer" not in world.names("Deployment")
        assert world.names("KafkaConnector") == ["majors"]
        world.others()
    ready(world)
    assert of_spark(world) == []
    assert "spark-defaults.conf" not in world.objects["ConfigMap", "majors-feed"]["data"]


def test_an_executor_that_still_runs_holds_up_the_next_engine(world):
    ready(world)
    left = executors(world)[0]
    pod = world.objects["Pod", left]
    world.edit(sink=CONSUMER)
    world.reconcile()
    world.others()
    world.others()
    world.objects["Pod", left] = pod
    world.reconcile()
    assert "majors-consumer" not in world.names("Deployment")
    pod["metadata"]["deletionTimestamp"] = (world.at - timedelta(minutes=2)).isoformat()
    world.reconcile()
    assert "majors-consumer" in world.names("Deployment"), "its node is lost"


def test_back_to_spark_waits_until_the_last_checkpoint_is_gone(world):
    ready(world)
    world.edit(sink=CONSUMER)
    world.reconcile()
    assert "deletionTimestamp" in world.objects[CLAIM, DRIVER]["metadata"], "a pod uses it"
    world.edit(sink=SPARK)
    del world.objects["Pod", f"{DRIVER}-0"]
    for name in executors(world):
        del world.objects["Pod", name]
    world.reconcile()
    assert ("Deployment", DRIVER) not in world.objects
    assert world.condition("ConsumersReady")["message"] == "the volume of the last checkpoint must be removed first"
    ready(world)
    assert "deletionTimestamp" not in world.objects[CLAIM, DRIVER]["metadata"]


@pytest.mark.parametrize(("before", "after"), [("executors", "operator"), ("operator", "executors"),
                                               ("operator", "local"), ("executors", "local")])  # fmt: skip
def test_with_another_mode_there_are_never_two_drivers_at_the_same_time(before, after):
    world = made(before)
    ready(world)
    world.settings = SETTINGS.model_copy(update={"spark_mode": after})
    for at in range(12):
        outcome = world.reconcile(everything=at == 0)  # the operator has restarted with another setting
        assert len([key for key in world.objects if key in (driver("operator"), driver("local"))]) <= 1
        if driver(before) != driver(after) and driver(after) in world.objects:
            assert not [name for name in world.names("Pod") if "spark" in name]
            break
        world.others()
        if outcome.retry_after_s is None:
            break
    ready(world)
    assert driver(after) in world.objects
    assert len(executors(world)) == (0 if after == "local" else 2)


@pytest.mark.parametrize("mode", MODES)
def test_scaled_to_zero_nothing_writes_and_the_checkpoint_stays(mode):
    world = made(mode)
    world.edit(scaling={"consumers": 0})
    ready(world)
    assert world.said("ConsumersReady") == ("True", "ScaledToZero")
    assert not [name for name in world.names("Pod") if "spark" in name]
    assert world.names(CLAIM) == [DRIVER]
    world.edit(scaling={"consumers": 1})
    ready(world)
    assert world.said("ConsumersReady") == ("True", "Running")


@pytest.mark.parametrize("mode", ["executors", "operator"])
def test_another_number_of_executors_restarts_the_driver_which_reads_it_once(mode):
    world = made(mode)

    def digest():
        found = world.objects[driver(mode)]
        at = found if mode == "operator" else found["spec"]["template"]
        return at["metadata"]["annotations"]["cryptocdc.io/feed-digest"]

    before = digest()
    world.edit(scaling={"consumers": 3})
    ready(world)
    assert digest() != before
    assert len(executors(world)) == 3
    assert world.feed()["status"]["replicas"] == 3


@pytest.mark.parametrize("mode", MODES)
def test_symbols_restart_nothing(mode):
    world = made(mode)
    before = json.dumps(world.objects[driver(mode)]["spec"])
    world.edit(symbols={"names": ["SOLUSDT"]})
    ready(world)
    assert json.dumps(world.objects[driver(mode)]["spec"]) == before


def test_an_application_that_its_operator_has_given_up_is_made_again():
    world = made("operator")
    world.objects["SparkApplication", DRIVER]["status"]["currentState"]["currentStateSummary"] = "ResourceReleased"
    world.reconcile()
    assert world.names("SparkApplication") == []
    assert world.said("ConsumersReady") == ("False", "Changing")
    ready(world)
    assert world.names("SparkApplication") == [DRIVER]


@pytest.mark.parametrize(
    ("state", "message", "said"),
    [
        ("DriverRequested", "", ("False", "Starting")),
        ("Failed", "exit code 1", ("False", "Crashing")),
        ("ScheduledToRestart", "", ("False", "Crashing")),
        ("RunningWithBelowThresholdExecutors", "", ("True", "Running")),
    ],
)
def test_what_sparks_operator_reports_becomes_the_condition(state, message, said):
    world = made("operator")
    current = {"currentStateSummary": state, "message": message}
    world.objects["SparkApplication", DRIVER]["status"]["currentState"] = current
    world.reconcile()
    assert world.said("ConsumersReady") == said
    assert said[0] == "True" or message in world.condition("ConsumersReady")["message"]


@pytest.mark.parametrize("mode", ["executors", "operator"])
def test_a_missing_executor_is_reported_with_what_kubernetes_says(world, mode):
    world = made(mode)
    lost = executors(world)[0]
    world.objects["Pod", lost]["status"] = {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "False", "message": "insufficient memory"}],
    }
    world.reconcile()
    assert world.said("ConsumersReady") == ("False", "Unschedulable")
    assert "1 of 2 executors run" in world.condition("ConsumersReady")["message"]
    del world.objects["Pod", lost]
    world.reconcile()
    assert world.said("ConsumersReady") == ("False", "Progressing")


def test_a_driver_that_can_not_write_says_why(world):
    world.obstacles[f"{DRIVER}-0"] = "Cassandra does not answer"
    world.reconcile()
    assert world.said("ConsumersReady") == ("False", "NotWriting")


@pytest.mark.parametrize("obstacle", ["image", "kind"])
def test_consumers_write_on_where_spark_can_not_run(obstacle):
    world = made(sink=CONSUMER)
    ready(world)
    consumers = [found for found in world.objects if found[1].startswith("majors-consumer")]
    if obstacle == "image":
        world.settings = SETTINGS.model_copy(update={"spark_image": None})
        said = "SparkRefused"
    else:
        world.settings = SETTINGS.model_copy(update={"spark_mode": "operator"})
        world.kinds_missing = ["SparkApplication"]
        said = "KindMissing"
    world.edit(sink=SPARK)
    world.run(passes=3)
    assert [found for found in world.objects if found[1].startswith("majors-consumer")] == consumers
    assert world.said("ConsumersReady") == ("False", said)
    assert driver("operator") not in world.objects
    assert driver("local") not in world.objects
    world.settings, world.kinds_missing = SETTINGS, []
    ready(world)
    assert "majors-consumer" not in world.names("Deployment")


@pytest.mark.parametrize("mode", MODES)
def test_spark_writes_on_with_all_that_it_reads_where_connect_can_not_run_the_connector(mode):
    world = made(mode)
    ready(world)
    before, files = of_spark(world), world.objects["ConfigMap", "majors-feed"]["data"].keys()
    world.plugins = set()
    world.edit(sink=CONNECT)
    world.run(passes=3)
    assert world.said("ConsumersReady") == ("False", "ConnectorRefused")
    assert of_spark(world) == before
    assert world.objects["ConfigMap", "majors-feed"]["data"].keys() == files
    assert "deletionTimestamp" not in world.objects[CLAIM, DRIVER]["metadata"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("before", "after", "writes"),
    [
        (CONSUMER, SPARK, lambda mode: ("Deployment", "majors-consumer")),
        (CONNECT, SPARK, lambda mode: ("KafkaConnector", "majors.sink")),
        (SPARK, CONNECT, driver),
    ],
    ids=["consumer to spark", "connect to spark", "spark to connect"],
)
def test_what_writes_goes_on_while_postgresql_is_away(mode, before, after, writes):
    world = made(mode, sink=before)
    ready(world)
    world.unreachable["PostgreSQL"] = "no route"
    world.edit(sink=after)
    world.run(passes=3)
    assert writes(mode) in world.objects
    assert world.said("ConsumersReady") == ("False", "Waiting")
    world.unreachable.clear()
    ready(world)
    assert writes(mode) not in world.objects


def test_the_claim_is_never_changed_since_kubernetes_would_refuse_it(world):
    before = world.objects[CLAIM, DRIVER]
    world.settings = SETTINGS.model_copy(update={"spark_checkpoint_size": "2Gi", "spark_storage_class": "fast"})
    ready(world)
    assert world.objects[CLAIM, DRIVER] == before


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("policy", ["Retain", "Delete"])
def test_a_deleted_feed_leaves_nothing_of_spark(mode, policy):
    world = made(mode, deletionPolicy=policy)
    ready(world)
    assert world.delete()
    world.others()
    assert of_spark(world) == []

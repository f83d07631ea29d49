"""Topics as Strimzi's topic operator treats them: its refusals are reported with its message and stop nothing else."""

from typing import Any

import pytest
from tests.unit.operator.world import SETTINGS, World

from cryptocdc_operator.reconcile.topics import kept_replicas

STREAMS: dict[str, Any] = {"recentTrades": {}, "klines": {}}
KLINES = "majors.majors.klines"


@pytest.fixture
def world():
    made = World(streams=STREAMS)
    made.run()
    return made


def replicas(world):
    return {topic["spec"]["replicas"] for (kind, _), topic in world.objects.items() if kind == "KafkaTopic"}


def with_replication(world, number):
    world.settings = SETTINGS.model_copy(update={"topic_replication": number})


def test_more_replicas_than_brokers_are_refused_with_strimzis_message():
    world = World(streams=STREAMS)
    world.brokers = 1
    with_replication(world, 3)
    world.run()
    assert world.said("TopicsReady") == ("False", "TopicRefused")
    said = world.condition("TopicsReady")["message"]
    assert "KafkaError: InvalidReplicationFactorException: only 1 broker(s) are registered" in said
    assert "and 6 more of 7 topics" in said
    assert "TopicRefused" in [reason for kind, reason, _ in world.events if kind == "Warning"]
    with_replication(world, 1)
    world.run()
    assert world.said("Ready") == ("True", "Capturing")
    assert replicas(world) == {1}


def test_a_changed_setting_keeps_the_replicas_of_existing_topics(world):
    with_replication(world, 3)
    world.run()
    assert world.said("Ready") == ("True", "Capturing")
    assert replicas(world) == {1}
    world.edit(streams={**STREAMS, "latestPrices": {}})
    world.run()
    assert world.objects["KafkaTopic", "majors.majors.latest-prices"]["spec"]["replicas"] == 3
    assert world.objects["KafkaTopic", KLINES]["spec"]["replicas"] == 1


def test_a_topic_refused_for_its_replicas_is_corrected(world):
    """An earlier version of the operator left such topics."""
    world.objects["KafkaTopic", KLINES]["spec"]["replicas"] = 3
    world.objects["KafkaTopic", KLINES]["metadata"]["generation"] += 1
    world.others()
    world.run()
    assert world.said("TopicsReady") == ("True", "Made")
    assert world.objects["KafkaTopic", KLINES]["spec"]["replicas"] == 1


def test_a_refused_topic_does_not_stop_other_steps(world):
    world.bad_topics["majors.majors.klines"] = "InvalidConfigurationException: retention.ms"
    world.edit(symbols={"names": ["ETHUSDT", "SOLUSDT"]}, scaling={"producers": 2})
    assert world.reconcile().retry_after_s is not None
    world.run()
    assert world.said("TopicsReady") == ("False", "TopicRefused")
    assert world.said("Ready") == ("False", "TopicRefused")
    assert sorted(world.symbols["majors"]) == ["ETHUSDT", "SOLUSDT"]
    assert world.objects["Deployment", "majors-producer"]["spec"]["replicas"] == 2
    world.bad_topics = {}
    world.run()
    assert world.said("Ready") == ("True", "Capturing")


def test_a_topic_refused_by_the_api_server_is_named_and_stops_nothing(world):
    world.not_accepted[KLINES] = "spec.partitions: Invalid value"
    world.edit(symbols={"names": ["SOLUSDT"]})
    world.reconcile()
    assert world.said("TopicsReady") == ("False", "TopicRefused")
    assert "spec.partitions: Invalid value" in world.condition("TopicsReady")["message"]
    assert sorted(world.symbols["majors"]) == ["SOLUSDT"]


def test_symbols_are_not_written_before_their_topic_exists():
    world = World(streams=STREAMS)
    world.bad_topics["majors.symbols"] = "PolicyViolationException"
    world.run()
    assert "majors" not in world.symbols
    assert world.said("TopicsReady") == ("False", "TopicRefused")


def topic(name, count, problem=None):
    said = {"type": "Ready", "status": "False", "message": problem} if problem else {"type": "Ready", "status": "True"}
    return {
        "metadata": {"generation": 1},
        "spec": {"topicName": name, "replicas": count},
        "status": {"observedGeneration": 1, "conditions": [said]},
    }


@pytest.mark.parametrize(
    ("before", "actual", "kept"),
    [
        ([], {}, {}),
        ([topic("t", 3)], {"t": 1}, {"t": 3}),  # Cruise Control is working on it
        ([topic("t", 3, "NotSupported")], {"t": 1}, {"t": 1}),
        ([topic("t", 3, "InvalidReplicationFactor")], {}, {}),
        ([topic("t", 2, "TimeoutException")], None, {"t": 2}),  # Kafka does not answer
        ([], {"t": 2}, {"t": 2}),  # the KafkaTopic was removed, the topic kept
        ([topic("other", 2)], {}, {}),
    ],
)
def test_the_actual_replicas_of_existing_topics_are_kept(before, actual, kept):
    assert kept_replicas(["t"], before, actual) == kept

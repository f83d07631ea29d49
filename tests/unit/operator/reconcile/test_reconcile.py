"""A feed on a cluster in memory: from nothing to ready and through every edit."""

import copy
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.operator.world import SETTINGS, World

from cryptocdc_core.planning.connector import CONVERTER
from cryptocdc_exchanges.registry import VENUES
from cryptocdc_operator.status.assess import Proof
from cryptocdc_operator.status.conditions import PARTS

STREAMS: dict[str, Any] = {"recentTrades": {}, "klines": {}}


@pytest.fixture
def world():
    made = World(streams=STREAMS)
    made.run()
    return made


def deployment(world, component="producer", name="majors"):
    return world.objects["Deployment", f"{name}-{component}"]


def reconciled(world):
    world.run()
    assert world.said("Ready")[0] == "True", world.condition("Ready")


def test_a_new_feed_becomes_ready(world):
    assert world.said("Ready") == ("True", "Capturing")
    assert all(world.said(part)[0] == "True" for part in PARTS)
    assert world.names("KafkaTopic") == [
        "majors.alerts",
        "majors.dlq",
        "majors.heartbeat",
        "majors.majors.klines",
        "majors.majors.recent-trades",
        "majors.rejected",
        "majors.symbols",
    ]
    assert world.names("KafkaConnector") == ["majors"]
    assert world.names("Deployment") == ["majors-api", "majors-consumer", "majors-producer"]
    assert world.names("Service") == ["majors-api", "majors-consumer", "majors-producer"]
    assert world.names("NetworkPolicy") == ["majors-api", "majors-consumer", "majors-producer"]
    assert world.names("PodMonitor") == ["majors"]
    assert world.names("PodDisruptionBudget") == []
    assert sorted(world.symbols["majors"]) == ["BTCUSDT", "ETHUSDT"]
    assert "majors" in world.shared
    status = world.feed()["status"]
    assert status | dict.fromkeys(("conditions", "resolvedAt", "resolvedFrom", "tablesFrom")) == {
        "observedGeneration": 1, "identity": "majors", "symbols": 2, "symbolNames": ["BTCUSDT", "ETHUSDT"],
        "haltedNames": [], "waitingNames": [], "waitingNotes": [],
        "tradesKind": "aggregate", "lag": 7, "rows": 10, "replicas": 1, "connectors": 1,
        "provenThrough": "2026-11-21T12:00:00Z", "tables": ["klines", "recent_trades"],
        "completeness": [{"table": "recent_trades", "by": "ids"}, {"table": "klines", "by": "ids"}],
        "conditions": None, "resolvedAt": None, "resolvedFrom": None, "tablesFrom": None,
        "selector": "app.kubernetes.io/name=cryptocdc,app.kubernetes.io/instance=majors,"
        "app.kubernetes.io/component=consumer",
    }  # fmt: skip


def test_alerts_add_and_remove_an_alerter_and_restart_nothing_else(world):
    assert world.said("AlerterReady") == ("True", "NoAlerts")
    before = {name: json.dumps(world.objects["Deployment", name]["spec"]) for name in world.names("Deployment")}
    world.edit(streams={**STREAMS, "orderBook": None}, alerts=[{"symbol": "BTCUSDT", "above": 1}])
    reconciled(world)
    assert world.said("AlerterReady") == ("True", "Running")
    assert world.names("Deployment") == sorted([*before, "majors-alerter"])
    assert "majors-alerter" in world.names("NetworkPolicy")
    assert {name: json.dumps(world.objects["Deployment", name]["spec"]) for name in before} == before
    world.edit(alerts=[])
    reconciled(world)
    assert world.said("AlerterReady") == ("True", "NoAlerts")
    assert world.names("Deployment") == sorted(before)
    assert "majors-alerter" not in world.names("NetworkPolicy")


def test_feeds_without_analytics_run_without_the_analyzers_login():
    """A platform from before the analyzers: `helm upgrade` does not apply its manifests."""
    world = World(streams=STREAMS)
    world.secrets.pop("cryptocdc-analyzer", None)
    reconciled(world)


def test_analytics_add_and_remove_analyzers(world):
    assert world.said("AnalyzersReady") == ("True", "NoAnalytics")
    streams = {**STREAMS, "recentTrades": {}, "orderBook": None}
    world.edit(streams=streams, analytics={"bars": ["5s"]})
    reconciled(world)
    assert world.said("AnalyzersReady") == ("True", "Running")
    assert "majors-analyzer" in world.names("NetworkPolicy")
    world.edit(streams=streams, analytics=None)
    reconciled(world)
    assert world.said("AnalyzersReady") == ("True", "NoAnalytics")
    assert "majors-analyzer" not in world.names("Deployment")


def test_a_pass_over_an_up_to_date_feed_changes_nothing(world):
    before, runs, events = world.state(), world.schema_runs, len(world.events)
    assert world.reconcile().retry_after_s is None
    assert (world.state(), world.schema_runs, len(world.events)) == (before, runs, events)


def test_a_starting_operator_runs_the_statements_of_its_version(world):
    runs = world.schema_runs
    world.reconcile(everything=True)
    assert world.schema_runs == runs + 1


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("Deployment", "majors-producer"),
        ("Deployment", "majors-consumer"),
        ("Deployment", "majors-api"),
        ("Service", "majors-api"),
        ("KafkaTopic", "majors.majors.klines"),
        ("KafkaConnector", "majors"),
        ("ConfigMap", "majors-feed"),
        ("NetworkPolicy", "majors-producer"),
        ("PodMonitor", "majors"),
    ],
)
def test_removed_objects_are_recreated(world, kind, name):
    before = world.state()
    del world.objects[kind, name]
    reconciled(world)
    reconciled(world)
    assert world.state() == before


def test_manual_changes_are_reverted(world):
    deployment(world)["spec"]["replicas"] = 5
    world.objects["KafkaConnector", "majors"]["spec"]["config"]["slot.name"] = "mine"
    reconciled(world)
    assert deployment(world)["spec"]["replicas"] == 1
    assert world.objects["KafkaConnector", "majors"]["spec"]["config"]["slot.name"] == "majors_slot"


def test_statements_are_run_once_even_if_another_step_keeps_failing(world):
    world.edit(symbols={"top": {"count": 1, "quote": "NOSUCH"}}, retention={"cassandra": "5d"})
    world.reconcile()
    runs = world.schema_runs
    for _ in range(5):
        world.reconcile()
    assert world.said("Ready") == ("False", "UnknownSymbol")
    assert world.schema_runs == runs


def test_objects_of_disabled_settings_are_removed(world):
    """A setting changes with a new operator, which checks everything once."""
    world.settings = world.settings.model_copy(update={"network_policies": False, "pod_monitors": False})
    reconciled(world)
    world.reconcile(everything=True)
    assert world.names("NetworkPolicy") == []
    assert world.names("PodMonitor") == []


def test_a_dropped_table_is_recreated(world):
    world.tables.discard("majors.klines")
    reconciled(world)
    assert "majors.klines" in world.tables
    assert ("Warning", "TablesMadeAgain", "missing: majors.klines") in world.events


def test_suspend_stops_the_capture_and_keeps_everything(world):
    world.edit(suspend=True)
    reconciled(world)
    assert world.said("Ready") == ("True", "Suspended")
    assert world.said("ProducersReady") == ("True", "Suspended")
    assert deployment(world)["spec"]["replicas"] == 0
    assert deployment(world, "consumer")["spec"]["replicas"] == 1
    assert deployment(world, "api")["spec"]["replicas"] == 1
    assert world.objects["KafkaConnector", "majors"]["spec"]["state"] == "running"
    assert sorted(world.symbols["majors"]) == ["BTCUSDT", "ETHUSDT"]
    assert "suspend: false" in world.objects["ConfigMap", "majors-feed"]["data"]["feed.yaml"]
    world.at += timedelta(days=2)
    assert world.said("Ready")[0] == "True", "no new rows: the proof may grow old"
    world.edit(suspend=False)
    world.proof = Proof(0, 10, world.at)
    reconciled(world)
    assert deployment(world)["spec"]["replicas"] == 1


def test_what_was_repaired_is_in_the_status_and_in_one_event(world):
    line = "3 rows repaired (never_sent 1, update_lost 2)"
    world.proof = Proof(0, 10, world.at, {"never_sent": 1, "update_lost": 2})
    reconciled(world)
    reconciled(world)
    assert world.feed()["status"]["repair"] == line
    assert world.events.count(("Normal", "Repaired", line)) == 1

    left = "3 rows repaired (never_sent 1, update_lost 2); 5 rows left (extra 1, limit 4)"
    world.proof = Proof(5, 10, world.at, {"never_sent": 1, "update_lost": 2}, {"extra": 1, "limit": 4})
    world.reconcile()
    assert world.feed()["status"]["repair"] == left
    assert ("Warning", "NotAllRepaired", left) in world.events

    world.proof = "the verifier does not answer"
    world.reconcile()
    assert world.feed()["status"]["repair"] == left
    world.proof = Proof(0, 10, world.at)
    reconciled(world)
    assert "repair" not in world.feed()["status"]


def test_a_feed_can_be_suspended_while_connect_is_down(world):
    world.unreachable = {"Connect": "connection refused"}
    world.edit(suspend=True)
    assert world.reconcile().retry_after_s == 15
    assert world.said("PlatformReady") == ("False", "ConnectUnreachable")
    assert deployment(world)["spec"]["replicas"] == 0


def test_scaling_changes_only_replicas(world):
    template = json.dumps(deployment(world)["spec"]["template"])
    world.edit(scaling={"producers": 3, "consumers": 2})
    reconciled(world)
    assert deployment(world)["spec"]["replicas"] == 3
    assert world.feed()["status"]["replicas"] == 2
    assert json.dumps(deployment(world)["spec"]["template"]) == template
    assert world.names("PodDisruptionBudget") == ["majors-consumer", "majors-producer"]
    world.edit(scaling={"producers": 1, "consumers": 1})
    reconciled(world)
    assert world.names("PodDisruptionBudget") == []


def test_retention_changes_topics_and_consumers_but_not_producers(world):
    producers = json.dumps(deployment(world)["spec"])
    consumers = json.dumps(deployment(world, "consumer")["spec"])
    world.edit(retention={"kafka": "2h", "postgres": "5d"})
    reconciled(world)
    assert world.objects["KafkaTopic", "majors.majors.klines"]["spec"]["config"] == {"retention.ms": "7200000"}
    assert "postgres: 5d" in world.shared["majors"]
    assert json.dumps(deployment(world, "consumer")["spec"]) == consumers
    world.edit(retention={"cassandra": "5d"})
    reconciled(world)
    assert json.dumps(deployment(world, "consumer")["spec"]) != consumers
    assert json.dumps(deployment(world)["spec"]) == producers


def test_a_new_stream_is_captured_only_once_the_connector_carries_it(world):
    template = json.dumps(deployment(world)["spec"]["template"])
    world.edit(streams={**STREAMS, "latestPrices": {}})
    assert world.reconcile().retry_after_s == 3
    assert world.said("ConnectorReady") == ("False", "Changing")
    assert "majors.latest_prices" in world.tables
    assert json.dumps(deployment(world)["spec"]["template"]) == template
    world.others()
    reconciled(world)
    assert json.dumps(deployment(world)["spec"]["template"]) != template


def test_a_removed_stream_is_still_carried(world):
    """Its producers write until they are replaced; it may come back."""
    config, consumers = carried(world), json.dumps(deployment(world, "consumer")["spec"])
    producers = json.dumps(deployment(world)["spec"])
    world.edit(streams={"recentTrades": None, "klines": {}})
    reconciled(world)
    assert "majors.recent_trades" in world.tables
    assert "majors.majors.recent-trades" in world.names("KafkaTopic")
    assert carried(world) == config
    assert "majors.recent_trades" in config
    assert json.dumps(deployment(world, "consumer")["spec"]) == consumers
    assert json.dumps(deployment(world)["spec"]) != producers
    assert world.feed()["status"]["tradesKind"] == "aggregate"


def test_a_removed_stream_is_still_carried_while_postgres_is_down(world):
    config = carried(world)
    world.edit(streams={"recentTrades": None, "klines": {}})
    reconciled(world)
    world.unreachable = {"PostgreSQL": "refused"}
    world.run()
    assert carried(world) == config


def carried(world):
    return world.objects["KafkaConnector", "majors"]["spec"]["config"]["table.include.list"].split(",")


def converter(world):
    return world.objects["KafkaConnector", "majors"]["spec"]["config"]["value.converter"]


def test_a_connect_without_our_converter_writes_the_same_records_with_debeziums_transform(world):
    assert converter(world) == CONVERTER
    world.plugins.remove(CONVERTER)
    reconciled(world)
    assert converter(world) == "org.apache.kafka.connect.json.JsonConverter"
    assert world.objects["KafkaConnector", "majors"]["spec"]["config"]["transforms"] == "unwrap"
    world.plugins.add(CONVERTER)
    reconciled(world)
    assert converter(world) == CONVERTER
    assert "transforms" not in world.objects["KafkaConnector", "majors"]["spec"]["config"]
    assert world.said("ConnectorReady")[0] == "True"


@pytest.mark.parametrize("has_it", [True, False])
def test_the_connectors_converter_stays_while_connect_does_not_answer(world, has_it):
    if not has_it:
        world.plugins.remove(CONVERTER)
        reconciled(world)
    before = converter(world)
    world.unreachable = {"Connect": "refused"}
    world.run(passes=2)
    assert converter(world) == before


def test_trades_of_another_kind_are_refused_with_the_databases_message(world):
    world.held_kind["majors"] = "aggregate"
    world.edit(streams={"recentTrades": {"kind": "trade"}})
    world.reconcile()
    assert world.said("TablesReady") == ("False", "TradesKindDiffers")
    assert world.said("Ready") == ("False", "TradesKindDiffers")
    assert world.feed()["status"]["tradesKind"] == "aggregate"


@pytest.mark.parametrize(
    ("missing", "reason", "named"),
    [
        (lambda w: w.secrets.pop("cryptocdc-postgres-app"), "SecretMissing", "cryptocdc-postgres-app"),
        (lambda w: w.kinds_missing.append("KafkaTopic"), "KindMissing", "KafkaTopic"),
        (lambda w: w.unreachable.update({"Cassandra": "refused"}), "CassandraUnreachable", "refused"),
    ],
)
def test_a_missing_platform_is_named_and_waited_for(missing, reason, named):
    world = World()
    before = copy.deepcopy(world.secrets)
    missing(world)
    assert world.reconcile().retry_after_s is not None
    assert world.said("PlatformReady") == ("False", reason)
    assert world.said("Ready") == ("False", reason)
    assert named in world.condition("Ready")["message"]
    assert world.names("Deployment") == []
    assert world.names("KafkaConnector") == []
    world.secrets, world.kinds_missing, world.unreachable = before, [], {}
    reconciled(world)


def test_feeds_do_not_affect_each_other(world):
    before = world.state()
    world.make_feed("others", streams={"klines": {}})
    world.run("others")
    assert world.said("Ready", "others")[0] == "True"
    assert set(world.slots) == {"majors_slot", "others_slot"}
    assert set(world.shared) == {"majors", "others"}
    assert world.delete("others")
    assert json.loads(world.state())["objects"].keys() == json.loads(before)["objects"].keys() | {
        f"KafkaTopic/{name}" for name in world.names("KafkaTopic") if name.startswith("others")
    }
    assert set(world.slots) == {"majors_slot"}


def test_a_simulated_feed_has_an_identity_of_its_own():
    world = World(exchange="simulated", streams={"klines": {}})
    world.run()
    environment = {e["name"]: e["value"] for e in deployment(world)["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert environment["CRYPTOCDC_SOURCE"] == "simulated"
    assert environment["CRYPTOCDC_REST_URL"] == SETTINGS.simulator_rest_url
    assert world.names("Deployment") == ["majors-api", "majors-consumer", "majors-producer"]


def test_a_stream_that_the_venue_lacks_is_refused_at_any_time(world, monkeypatch):
    offers = {table: offer for table, offer in VENUES["binance"].offers.items() if table != "order_book"}
    monkeypatch.setitem(VENUES, "binance", replace(VENUES["binance"], offers=offers))
    world.edit(streams={"klines": {}, "orderBook": {}})
    world.reconcile()
    assert world.said("Ready") == ("False", "FeedRefused")
    assert "spec.streams.orderBook: binance does not have it" in world.condition("Ready")["message"]


def test_disabling_the_api_removes_all_of_its_objects(world):
    world.settings = SETTINGS.model_copy(update={"api_replicas": 2})
    reconciled(world)
    assert world.names("PodDisruptionBudget") == ["majors-api"]
    world.settings = SETTINGS.model_copy(update={"api_image": None})
    reconciled(world)
    assert not [name for _, name in world.objects if "api" in name]
    assert world.said("ApiReady") == ("True", "SwitchedOff")
    world.settings = SETTINGS
    reconciled(world)
    assert world.said("ApiReady") == ("True", "Running")


def test_an_api_that_does_not_start_is_reported_without_affecting_others(world):
    symbols = {"names": ["ETHUSDT", "SOLUSDT"]}
    world.objects["Deployment", "majors-api"]["status"]["availableReplicas"] = 0
    world.edit(symbols=symbols)
    world.reconcile()
    assert world.said("ApiReady") == ("False", "Progressing")
    assert world.said("Ready") == ("False", "Progressing")
    assert sorted(world.symbols["majors"]) == symbols["names"]
    assert world.feed()["status"]["observedGeneration"] == 2

"""The supporting objects of a feed's programs: services, the monitor, network policies, disruption budgets."""

import pytest
from tests.unit.core.feeds import feed
from tests.unit.operator.made import FEEDS, OWNER, PROGRAMS, STREAMS, everything, one
from tests.unit.operator.world import SETTINGS

from cryptocdc_core.names import Names
from cryptocdc_operator.resources import supporting_objects as supporting
from cryptocdc_operator.settings import OperatorSettings


def test_every_program_is_found_by_its_service_and_only_an_api_at_one_address():
    for component in PROGRAMS:
        service = one("Service", f"my-feed-{component}", streams=STREAMS)["spec"]
        pod = one("Deployment", f"my-feed-{component}", streams=STREAMS)["spec"]["template"]
        assert service["selector"].items() <= pod["metadata"]["labels"].items()
        ports = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
        assert {port["targetPort"] for port in service["ports"]} <= ports
        assert service.get("clusterIP") == (None if component == "api" else "None")
    (port,) = one("Service", "my-feed-api", streams=STREAMS)["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (80, "http")


def test_a_pod_monitor_has_the_configured_labels():
    found = OperatorSettings.from_env(
        {
            "CRYPTOCDC_OPERATOR_NAMESPACE": "cdc",
            "CRYPTOCDC_OPERATOR_PRODUCER_IMAGE": "p",
            "CRYPTOCDC_OPERATOR_CONSUMER_IMAGE": "c",
            "CRYPTOCDC_OPERATOR_ALERTER_IMAGE": "a",
            "CRYPTOCDC_OPERATOR_ANALYZER_IMAGE": "n",
            "CRYPTOCDC_OPERATOR_EXPORTER_IMAGE": "e",
            "CRYPTOCDC_OPERATOR_POD_MONITOR_LABELS": '{"release": "kps", "cryptocdc.io/feed": "other"}',
        }
    )
    made = supporting.pod_monitor((), feed("my-feed"), Names("my_feed"), found.pod_monitor_labels, OWNER)
    assert made["metadata"]["labels"]["release"] == "kps"
    assert made["metadata"]["labels"]["cryptocdc.io/feed"] == "my-feed", "the operator's own label stays"


def test_prometheus_finds_every_program():
    (expression,) = one("PodMonitor", "my-feed", streams=STREAMS)["spec"]["selector"]["matchExpressions"]
    assert expression["values"] == list(PROGRAMS)


WITH_WEBHOOK = {"streams": STREAMS, "alerts": [{"symbol": "BTCUSDT", "above": 1}]}


@pytest.mark.parametrize(
    ("name", "spec", "near", "far"),
    [
        ("my-feed-alerter", WITH_WEBHOOK, {9093}, set()),
        ("my-feed-alerter", WITH_WEBHOOK | {"alertWebhook": {"url": "http://am:9099/x"}}, {9093, 9099}, set()),
        ("my-feed-alerter", WITH_WEBHOOK | {"alertWebhook": {"url": "https://a.example/x"}}, {9093}, {443}),
        ("my-feed-alerter", WITH_WEBHOOK | {"alertWebhook": {"secretRef": "pager"}}, {9093}, {80, 443}),
        ("my-feed-producer", {}, {5432, 9093}, {443}),
        ("my-feed-producer", FEEDS["with a key, elsewhere"], {5432, 9093, 80}, {9000}),
        ("my-feed-producer", FEEDS["simulated"], {5432, 9093, 8090}, set()),
        ("my-feed-consumer", {}, {9042, 9093}, set()),
        ("my-feed-api", {}, {9042, 9093, 9090}, set()),
    ],
)
def test_programs_reach_their_servers_and_nothing_else(name, spec, near, far):
    policy = one("NetworkPolicy", name, **({"streams": STREAMS} | spec))["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    let_in = [9090, 8000] if name.endswith("api") else [9090]
    assert policy["ingress"] == [{"ports": [{"protocol": "TCP", "port": port} for port in let_in]}]
    _, *out = policy["egress"]
    found = {("near" if "to" in rule else "far"): {port["port"] for port in rule["ports"]} for rule in out}
    assert (found.get("near", set()), found.get("far", set())) == (near, far)


def test_an_api_reaches_its_redis_wherever_it_is():
    settings = SETTINGS.model_copy(update={"api_redis_secret": "cache", "api_redis_port": 6380})
    *_, far = one("NetworkPolicy", "my-feed-api", settings, streams=STREAMS)["spec"]["egress"]
    assert far == {"ports": [{"protocol": "TCP", "port": 6380}]}


def test_a_single_pod_has_no_disruption_budget():
    assert not [o for o in everything(streams=STREAMS) if o["kind"] == "PodDisruptionBudget"]
    budgets = [o for o in everything(**FEEDS["scaled"]) if o["kind"] == "PodDisruptionBudget"]
    assert [budget["spec"]["maxUnavailable"] for budget in budgets] == [1, 1]


def test_pods_that_are_not_ready_do_not_block_a_drain():
    budgets = [o for o in everything(**FEEDS["scaled"]) if o["kind"] == "PodDisruptionBudget"]
    assert {budget["spec"]["unhealthyPodEvictionPolicy"] for budget in budgets} == {"AlwaysAllow"}

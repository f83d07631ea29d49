"""A feed's objects in Kubernetes: exact where others rely on them, and all valid by the real schemas."""

import json
from typing import Any

import pytest
import yaml
from tests.unit.kubernetes_schemas import problems
from tests.unit.operator.made import FEEDS, OWNER, PROGRAMS, STREAMS, environment, everything, one, planned
from tests.unit.operator.world import SETTINGS

from cryptocdc_core.feed.model import parse
from cryptocdc_core.program.settings import ApiSettings, CassandraSettings, KafkaSettings, ProgramSettings
from cryptocdc_operator.resources import feed_map
from cryptocdc_operator.settings import OperatorSettings

COMMON = ("CRYPTOCDC_FEED", "CRYPTOCDC_SOURCE", "CRYPTOCDC_METRICS_PORT", "CRYPTOCDC_LOG_FORMAT")
LABELS = {
    "app.kubernetes.io/name": "cryptocdc",
    "app.kubernetes.io/instance": "my-feed",
    "app.kubernetes.io/part-of": "cryptocdc",
    "app.kubernetes.io/managed-by": "cryptocdc-operator",
    "cryptocdc.io/feed": "my-feed",
}


@pytest.mark.parametrize("name", FEEDS)
@pytest.mark.parametrize(
    "settings",
    [
        SETTINGS,
        OperatorSettings(
            namespace="cdc", producer_image="p", consumer_image="c", api_image="a", alerter_image="w",
            analyzer_image="n", exporter_image="e", image_pull_secrets="one, two", kafka_alerter_secret="none",
            kafka_secret="none", kafka_producer_secret="none", kafka_consumer_secret="none", kafka_api_secret="none",
            kafka_ca_secret="none", postgres_ca_secret="none", cassandra_ca_secret="ca", network_policies=False,
            api_replicas=3, api_token_secret="token", api_redis_secret="redis", verifier_url="none",
        ),
    ],
    ids=["usual", "other"],
)  # fmt: skip
def test_every_object_is_valid_by_its_schema(name, settings):
    for made in everything(settings, **FEEDS[name]):
        assert problems(made) == [], made["metadata"]["name"]


@pytest.mark.parametrize("name", FEEDS)
def test_every_object_has_the_feeds_labels_and_owner(name):
    for made in everything(**FEEDS[name]):
        assert made["metadata"]["labels"].items() >= LABELS.items()
        owners = made["metadata"].get("ownerReferences")
        if made["kind"] == "KafkaTopic" and FEEDS[name].get("deletionPolicy") != "Delete":
            assert owners is None, "who removes the feed, however, must not remove its records"
        else:
            assert owners == [OWNER.reference]


def test_every_topic_of_the_plan_becomes_a_kafka_topic():
    made = {t["metadata"]["name"]: t["spec"] for t in everything(streams=STREAMS) if t["kind"] == "KafkaTopic"}
    assert {name: spec["topicName"] for name, spec in made.items()} == {
        "my-feed.my-feed.recent-trades": "my_feed.my_feed.recent_trades",
        "my-feed.my-feed.klines": "my_feed.my_feed.klines",
        "my-feed.my-feed.crypto-24h-stats": "my_feed.my_feed.crypto_24h_stats",
        "my-feed.my-feed.latest-prices": "my_feed.my_feed.latest_prices",
        "my-feed.my-feed.order-book": "my_feed.my_feed.order_book",
        "my-feed.symbols": "my_feed.symbols",
        "my-feed.dlq": "my_feed.dlq",
        "my-feed.alerts": "my_feed.alerts",
        "my-feed.rejected": "my_feed.rejected",
        "my-feed.heartbeat": "__debezium-heartbeat.my_feed",
    }
    assert made["my-feed.symbols"] == {
        "topicName": "my_feed.symbols",
        "partitions": 12,
        "replicas": 1,
        "config": {"cleanup.policy": "compact", "segment.ms": "3600000"},
    }


def test_the_connector_resource_has_strimzis_form():
    made = one("KafkaConnector", "my-feed", streams={"klines": {}})
    assert made["metadata"]["labels"]["strimzi.io/cluster"] == "cryptocdc"
    spec = made["spec"]
    assert (spec["class"], spec["tasksMax"], spec["state"]) == (
        "io.debezium.connector.postgresql.PostgresConnector", 1, "running",
    )  # fmt: skip
    assert not {"connector.class", "tasks.max", "name"} & set(spec["config"]), "Strimzi refuses them"
    assert spec["config"]["database.password"] == "${secrets:cdc/cryptocdc-replication:password}"
    assert spec["config"]["database.sslmode"] == "require"
    assert one("KafkaConnector", "my-feed-sim", **FEEDS["simulated"])["spec"]["config"]["topic.prefix"] == "my_feed_sim"


def test_a_producer_has_the_expected_environment():
    assert environment(one("Deployment", "my-feed-producer", streams=STREAMS)) == {
        "CRYPTOCDC_FEED": "/etc/cryptocdc/feed.yaml",
        "CRYPTOCDC_SOURCE": "exchange",
        "CRYPTOCDC_METRICS_PORT": "9090",
        "CRYPTOCDC_LOG_FORMAT": "json",
        "CRYPTOCDC_POSTGRES_HOST": "cryptocdc-postgres-rw",
        "CRYPTOCDC_POSTGRES_PORT": "5432",
        "CRYPTOCDC_POSTGRES_SSLMODE": "verify-full",
        "CRYPTOCDC_POSTGRES_USER_FILE": "/var/run/secrets/cryptocdc/cryptocdc-postgres-app/username",
        "CRYPTOCDC_POSTGRES_PASSWORD_FILE": "/var/run/secrets/cryptocdc/cryptocdc-postgres-app/password",
        "CRYPTOCDC_POSTGRES_CA_FILE": "/var/run/secrets/cryptocdc/cryptocdc-postgres-ca/ca.crt",
        "CRYPTOCDC_KAFKA_BOOTSTRAP": "cryptocdc-kafka-bootstrap:9093",
        "CRYPTOCDC_KAFKA_MECHANISM": "SCRAM-SHA-512",
        "CRYPTOCDC_KAFKA_USERNAME": "cryptocdc-producer",
        "CRYPTOCDC_KAFKA_PASSWORD_FILE": "/var/run/secrets/cryptocdc/cryptocdc-producer/password",
        "CRYPTOCDC_KAFKA_CA_FILE": "/var/run/secrets/cryptocdc/cryptocdc-cluster-ca-cert/ca.crt",
    }


def test_a_consumer_gets_no_postgres_settings_and_a_producer_no_cassandra_settings():
    made = {c: environment(one("Deployment", f"my-feed-{c}", streams=STREAMS)) for c in PROGRAMS}
    assert not any("POSTGRES" in name for name in made["consumer"])
    assert not any("CASSANDRA" in name for name in made["producer"])
    assert made["consumer"]["CRYPTOCDC_CASSANDRA_DATACENTER"] == "dc1"


def test_an_api_has_the_expected_environment():
    settings = SETTINGS.model_copy(
        update={"api_token_secret": "visitors", "api_redis_secret": "cache", "api_requests_per_s": 20.0}
    )
    assert environment(one("Deployment", "my-feed-api", settings, streams=STREAMS)) == {
        "CRYPTOCDC_FEED": "/etc/cryptocdc/feed.yaml",
        "CRYPTOCDC_SOURCE": "exchange",
        "CRYPTOCDC_METRICS_PORT": "9090",
        "CRYPTOCDC_LOG_FORMAT": "json",
        "CRYPTOCDC_API_PORT": "8000",
        "CRYPTOCDC_API_REQUESTS_PER_S": "20.0",
        "CRYPTOCDC_API_TARGETS": "my-feed-producer:9090,my-feed-consumer:9090,my-feed-alerter:9090,"
        "cryptocdc-verifier:9090",
        "CRYPTOCDC_API_TOKEN_FILE": "/var/run/secrets/cryptocdc/visitors/token",
        "CRYPTOCDC_API_REDIS_URL_FILE": "/var/run/secrets/cryptocdc/cache/url",
        "CRYPTOCDC_KAFKA_BOOTSTRAP": "cryptocdc-kafka-bootstrap:9093",
        "CRYPTOCDC_KAFKA_MECHANISM": "SCRAM-SHA-512",
        "CRYPTOCDC_KAFKA_USERNAME": "cryptocdc-api",
        "CRYPTOCDC_KAFKA_PASSWORD_FILE": "/var/run/secrets/cryptocdc/cryptocdc-api/password",
        "CRYPTOCDC_KAFKA_CA_FILE": "/var/run/secrets/cryptocdc/cryptocdc-cluster-ca-cert/ca.crt",
        "CRYPTOCDC_CASSANDRA_HOSTS": "cryptocdc-dc1-service",
        "CRYPTOCDC_CASSANDRA_PORT": "9042",
        "CRYPTOCDC_CASSANDRA_DATACENTER": "dc1",
        "CRYPTOCDC_CASSANDRA_USERNAME_FILE": "/var/run/secrets/cryptocdc/cryptocdc-reader/username",
        "CRYPTOCDC_CASSANDRA_PASSWORD_FILE": "/var/run/secrets/cryptocdc/cryptocdc-reader/password",
        "FORWARDED_ALLOW_IPS": "127.0.0.1",
    }


def test_an_api_gets_only_variables_that_it_reads():
    given = environment(one("Deployment", "my-feed-api", streams=STREAMS))
    read = {
        group.variable(field)
        for group in (ProgramSettings, ApiSettings, KafkaSettings, CassandraSettings)
        for field in group.model_fields
    }
    assert set(given) - read - {f"{variable}_FILE" for variable in read} == {"FORWARDED_ALLOW_IPS"}


def test_an_api_uses_the_read_only_cassandra_login():
    pods = {c: one("Deployment", f"my-feed-{c}", streams=STREAMS)["spec"]["template"]["spec"] for c in PROGRAMS}
    given = {
        component: {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
        for component, pod in pods.items()
    }
    assert given["api"] == {"cryptocdc-api", "cryptocdc-cluster-ca-cert", "cryptocdc-reader"}
    assert SETTINGS.reader_secret not in given["producer"] | given["consumer"]


def test_a_consumer_uses_the_writers_cassandra_login():
    pod = one("Deployment", "my-feed-consumer", streams=STREAMS)["spec"]["template"]["spec"]
    given = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    assert given == {"cryptocdc-consumer", "cryptocdc-cluster-ca-cert", "cryptocdc-writer"}


def test_an_api_has_its_own_readiness_and_the_common_liveness_probe():
    (container,) = one("Deployment", "my-feed-api", streams=STREAMS)["spec"]["template"]["spec"]["containers"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/health", "port": "http"}
    for probe in ("startupProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": "metrics"}
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {"metrics": 9090, "http": 8000}


def test_an_api_key_is_mounted_in_producers_as_a_file():
    made = one("Deployment", "my-feed-producer", **FEEDS["with a key, elsewhere"])
    assert environment(made)["CRYPTOCDC_API_KEY_FILE"] == "/var/run/secrets/cryptocdc/binance-key/api-key"
    mounted = {v["secret"]["secretName"] for v in made["spec"]["template"]["spec"]["volumes"] if "secret" in v}
    assert "binance-key" in mounted


def test_only_secret_keys_that_are_read_are_mounted():
    for component in PROGRAMS:
        pod = one("Deployment", f"my-feed-{component}", streams=STREAMS)["spec"]["template"]["spec"]
        read = {value for name, value in environment(one("Deployment", f"my-feed-{component}", streams=STREAMS)).items()
                if name.endswith("_FILE")}  # fmt: skip
        mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
        given = {
            f"{mounts[volume['name']]}/{item['path']}"
            for volume in pod["volumes"]
            if "secret" in volume
            for item in volume["secret"]["items"]
        }
        assert given == read


def test_pods_are_restricted():
    for component in PROGRAMS:
        pod = one("Deployment", f"my-feed-{component}", streams=STREAMS)["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["containers"][0]["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


CHANGES: dict[str, tuple[Any, set[str]]] = {
    "symbols": ({"symbols": {"names": ["XRPUSDT"]}}, set()),
    "top": ({"symbols": {"top": {"count": 3}}}, set()),
    "scaling": ({"scaling": {"producers": 3, "consumers": 4}}, set()),
    "suspend": ({"suspend": True}, set()),
    "deletionPolicy": ({"deletionPolicy": "Delete"}, set()),
    "retention of PostgreSQL and Kafka": ({"retention": {"postgres": "9d", "kafka": "9d"}}, set()),
    "retention of Cassandra": ({"retention": {"cassandra": "9d"}}, {"consumer", "api"}),
    "a stream": ({"streams": {**STREAMS, "orderBook": None}}, {"producer", "consumer", "api"}),
    "candles' intervals": ({"streams": {**STREAMS, "klines": {"intervals": ["5m"]}}}, {"producer", "api"}),
    "a stream's settings": ({"streams": {**STREAMS, "orderBook": {"depth": 5}}}, {"producer"}),
    "endpoints": ({"endpoints": {"rest": "http://mock"}}, {"producer"}),
    "a transform": ({"transform": "transform:without_dust"}, {"consumer"}),
    "a key": ({"credentialsSecretRef": "key"}, {"producer"}),
    "alerts": ({"alerts": [{"symbol": "BTCUSDT", "above": 2}]}, {"alerter"}),
    "the webhook": ({"alertWebhook": {"url": "http://other"}}, {"alerter"}),
    "no alerts": ({"alerts": []}, {"alerter"}),
    "analytics": ({"analytics": {"bars": ["5s"]}}, {"consumer", "api"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_restarts_only_the_programs_it_affects(change):
    spec, restarted = CHANGES[change]
    before = {"streams": STREAMS, "alerts": [{"symbol": "BTCUSDT", "above": 1}], "alertWebhook": {"url": "http://hook"}}
    if "symbols" in spec:
        before["alerts"] = []  # they must be of captured symbols
    templates = [
        {made["metadata"]["name"]: json.dumps(made["spec"]["template"])
         for made in everything(**given) if made["kind"] == "Deployment"}
        for given in (before, before | spec)
    ]  # fmt: skip
    changed = {name for name in templates[0] if templates[0][name] != templates[1].get(name)}
    assert changed == {f"my-feed-{component}" for component in restarted}


def test_a_feeds_file_is_a_feed_that_is_not_suspended_with_what_the_symbols_mean():
    made = planned(streams=STREAMS, symbols={"top": {"count": 2}}, suspend=True, retention={"cassandra": "5d"})
    again = parse(yaml.safe_load(feed_map.feed_text(made)))
    assert again.spec.symbols.names == ["BTCUSDT", "ETHUSDT"]
    assert not again.spec.suspend
    assert again.spec.model_dump(exclude={"symbols", "suspend"}) == made.feed.spec.model_dump(
        exclude={"symbols", "suspend"}
    )


def test_an_alerter_runs_only_for_alerts_and_reads_kafka_alone():
    assert "my-feed-alerter" not in [made["metadata"]["name"] for made in everything(streams=STREAMS)]
    made = one("Deployment", "my-feed-alerter", **FEEDS["with alerts"])
    assert made["spec"]["replicas"] == 1
    assert {name for name in environment(made) if name not in COMMON} == {
        "CRYPTOCDC_KAFKA_BOOTSTRAP", "CRYPTOCDC_KAFKA_MECHANISM", "CRYPTOCDC_KAFKA_USERNAME",
        "CRYPTOCDC_KAFKA_PASSWORD_FILE", "CRYPTOCDC_KAFKA_CA_FILE", "CRYPTOCDC_ALERTER_WEBHOOK_URL_FILE",
    }  # fmt: skip
    assert environment(made)["CRYPTOCDC_ALERTER_WEBHOOK_URL_FILE"] == "/var/run/secrets/cryptocdc/pager/url"


def test_analyzers_run_only_for_analytics_and_read_cassandra_with_the_read_only_login():
    assert "my-feed-analyzer" not in [made["metadata"]["name"] for made in everything(streams=STREAMS)]
    spec = {"streams": STREAMS, "analytics": {"bars": ["5s"]}, "scaling": {"analyzers": 3}}
    made = one("Deployment", "my-feed-analyzer", **spec)
    assert made["spec"]["replicas"] == 3
    assert (
        environment(made)["CRYPTOCDC_CASSANDRA_USERNAME_FILE"] == "/var/run/secrets/cryptocdc/cryptocdc-reader/username"
    )
    assert not [name for name in environment(made) if "POSTGRES" in name]


def test_the_feeds_file_holds_the_alerts_of_captured_symbols_as_they_were_written():
    made = planned(
        streams=STREAMS, symbols={"top": {"count": 2}}, alerts=[*FEEDS["with alerts"]["alerts"],
                                                                {"symbol": "XRPUSDT", "below": 1}],
    )  # fmt: skip
    assert parse(yaml.safe_load(feed_map.feed_text(made))).spec.alerts == list(made.alerts)
    assert [alert.symbol for alert in made.alerts] == ["ETHUSDT", "BTCUSDT"]

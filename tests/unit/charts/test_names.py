"""Names that the platform's operators own: no object of the chart, the manifests or the operator may have one.
Helm refuses to import an object that somebody else made; an operator overwrites or deletes one that was there."""

import pytest
from pydantic import ValidationError
from tests.unit.charts.render import FILES, rendered
from tests.unit.kubernetes_schemas import find, the
from tests.unit.manifests.build import overlay

from cryptocdc_core.feed.model import CryptoFeed

OWNED: dict[str, dict[str, tuple[str, ...]]] = {
    # Strimzi 1.2: KafkaResources.java, KafkaConnectResources.java and what was seen on a cluster.
    "Kafka": {
        "ConfigMap": ("{}-kafka-config", "{}-entity-topic-operator-config", "{}-entity-user-operator-config"),
        "Deployment": ("{}-entity-operator", "{}-kafka-exporter", "{}-cruise-control"),
        "NetworkPolicy": ("{}-network-policy-kafka", "{}-entity-operator", "{}-kafka-exporter", "{}-cruise-control"),
        "PodDisruptionBudget": ("{}-kafka",),
        "Role": ("{}-entity-operator",),
        "RoleBinding": ("{}-entity-topic-operator-role", "{}-entity-user-operator-role"),
        "Secret": (
            "{}-cluster-ca", "{}-cluster-ca-cert", "{}-clients-ca", "{}-clients-ca-cert", "{}-cluster-operator-certs",
            "{}-kafka-brokers", "{}-kafka-jmx", "{}-kafka-exporter-certs", "{}-entity-topic-operator-certs",
            "{}-entity-user-operator-certs", "{}-entity-topic-operator-cc-api", "{}-cruise-control-certs",
        ),
        "Service": ("{}-kafka-bootstrap", "{}-kafka-brokers", "{}-cruise-control"),
        "ServiceAccount": ("{}-kafka", "{}-entity-operator", "{}-kafka-exporter", "{}-cruise-control"),
    },
    "KafkaConnect": {
        "ConfigMap": ("{}-connect-config", "{}-connect-dockerfile", "{}-connect-0"),
        "NetworkPolicy": ("{}-connect",),
        "PodDisruptionBudget": ("{}-connect",),
        "Role": ("{}-connect",),
        "RoleBinding": ("{}-connect-role",),
        "Secret": ("{}-connect-tls-trusted-certs", "{}-kafka-connect-jmx"),
        "Service": ("{}-connect-api", "{}-connect"),
        "ServiceAccount": ("{}-connect", "{}-connect-build"),
    },
    "KafkaUser": {"Secret": ("{}",)},
    # CloudNativePG 1.30.
    "Cluster": {
        "ConfigMap": ("{}-monitoring",),
        "PodDisruptionBudget": ("{}", "{}-primary"),
        "PodMonitor": ("{}",),
        "Role": ("{}",),
        "RoleBinding": ("{}",),
        "Secret": ("{}-app", "{}-superuser", "{}-ca", "{}-server", "{}-replication", "{}-pull"),
        "Service": ("{}-rw", "{}-ro", "{}-r", "{}-any"),
        "ServiceAccount": ("{}",),
    },
    # K8ssandra and cass-operator 1.32, of a datacenter dc1.
    "K8ssandraCluster": {
        "ConfigMap": ("{}-dc1-metrics-agent-config", "{}-dc1-cass-per-node-config", "{}-dc1-cass-vector"),
        "Deployment": ("{}-dc1-reaper",),
        "PodDisruptionBudget": ("dc1-pdb",),
        "Secret": ("{}-superuser", "{}-reaper", "{}-reaper-ui", "{}-dc1-config", "dc1-config"),
        "Service": (
            "{}-dc1-service", "{}-dc1-all-pods-service", "{}-dc1-additional-seed-service", "{}-seed-service",
            "{}-dc1-node-port-service", "{}-dc1-reaper-service",
        ),
        "StatefulSet": ("{}-dc1-default-sts", "{}-dc1-rack1-sts", "{}-dc1-rack2-sts", "{}-dc1-rack3-sts"),
    },
    # cert-manager.
    "Certificate": {"Secret": ("{}-tls", "{}")},
}  # fmt: skip
"""By the kind of a resource of ours and the kind of what its operator makes for it, names; `{}` is the resource's."""
OF_FEED = {
    "ConfigMap": ("feed",),
    "Deployment": ("producer", "consumer", "spark", "api", "alerter", "analyzer", "exporter"),
    "Service": ("producer", "consumer", "spark", "api", "alerter", "analyzer", "exporter"),
    "NetworkPolicy": (
        "producer",
        "consumer",
        "spark",
        "spark-executor",
        "api",
        "alerter",
        "analyzer",
        "exporter",
        "history",
    ),
    "PodDisruptionBudget": ("producer", "consumer", "api", "alerter", "analyzer"),
    "PersistentVolumeClaim": ("spark",),
    "SparkApplication": ("spark",),
    "Job": ("history",),
}
"""What the operator puts behind a feed's name."""


def owned_by_operators(manifests):
    return {
        (kind, name.format(resource["metadata"]["name"]))
        for resource in manifests
        for kind, names in OWNED.get(resource["kind"], {}).items()
        for name in names
    }


def made_here(documents):
    return {(d["kind"], d["metadata"]["name"]) for d in documents}


@pytest.mark.parametrize("platform", ["kind", "production"])
def test_strimzi_creates_a_role_for_each_kafkaconnect(platform):
    """The table is read correctly: `helm install` failed because of these two."""
    owned = owned_by_operators(overlay(platform))
    assert {("Role", "cryptocdc-connect"), ("RoleBinding", "cryptocdc-connect-role")} <= owned


@pytest.mark.parametrize("platform", ["kind", "production"])
@pytest.mark.parametrize("values", [name for name in sorted(FILES) if name != "everything"])
def test_no_object_of_the_chart_has_a_name_owned_by_an_operator(values, platform):
    assert made_here(rendered(values)) & owned_by_operators(overlay(platform)) == set()


def test_names_do_not_collide_when_release_and_platform_share_a_name():
    chart = rendered("everything", "platform.connect.cluster=market", "platform.kafka.cluster=market")
    platform = [{"kind": kind, "metadata": {"name": "market"}} for kind in OWNED if kind != "Cluster"]
    assert made_here(chart) & owned_by_operators(platform) == set()


@pytest.mark.parametrize("platform", ["kind", "production"])
def test_no_object_of_the_manifests_has_a_name_owned_by_an_operator(platform):
    assert made_here(overlay(platform)) & owned_by_operators(overlay(platform)) == set()


@pytest.mark.parametrize("platform", ["kind", "production"])
def test_feed_names_whose_objects_would_collide_are_refused(platform):
    others = owned_by_operators(overlay(platform)) | made_here(overlay(platform)) | made_here(rendered("default"))
    feeds = {
        name.removesuffix(f"-{suffix}")
        for kind, name in others
        for suffix in OF_FEED.get(kind, ())
        if name.endswith(f"-{suffix}")
    } | {name for kind, name in others if kind in ("PodMonitor", "KafkaConnector")}
    assert "cryptocdc-connect" in feeds, "its API's Service would have the name of Connect's"
    for name in feeds:
        with pytest.raises(ValidationError, match="any other is accepted"):
            CryptoFeed.model_validate(
                {
                    "apiVersion": "cryptocdc.io/v1alpha1", "kind": "CryptoFeed", "metadata": {"name": name},
                    "spec": {
                        "exchange": "binance", "symbols": {"names": ["BTCUSDT"]}, "streams": {"latestPrices": {}},
                    },
                }
            )  # fmt: skip


def test_connect_is_bound_to_the_role_for_the_replication_secret():
    chart = rendered("default")
    (binding,) = [
        it for it in find(chart, "RoleBinding") if any(s["name"] == "cryptocdc-connect" for s in it["subjects"])
    ]
    assert the(chart, "Role", binding["roleRef"]["name"])["rules"][0]["resourceNames"][0] == "cryptocdc-replication"

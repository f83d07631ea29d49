"""What is made for a feed that Spark writes: the driver, what its executors are made from, and what both may reach."""

import json
from typing import Any

import pytest
from tests.unit.kubernetes_schemas import breaks_restricted, has_definition, problems
from tests.unit.operator.made import FEEDS, environment, everything, one
from tests.unit.operator.world import SETTINGS

FEED: dict[str, Any] = FEEDS["by Spark"]
TLS = SETTINGS.model_copy(update={"cassandra_ca_secret": "nodes", "image_pull_secrets": "login"})


def with_mode(mode, settings=SETTINGS):
    return settings.model_copy(update={"spark_mode": mode})


def files(settings=SETTINGS):
    return one("ConfigMap", "my-feed-feed", settings, **FEED)["data"]


def properties(settings=SETTINGS):
    return dict(line.split(" ", 1) for line in files(settings)["spark-defaults.conf"].splitlines())


def template(settings=SETTINGS):
    return json.loads(files(settings)["executor.json"])


def test_the_drivers_environment_is_a_consumers_and_what_spark_needs():
    consumer = environment(one("Deployment", "my-feed-consumer", streams=FEED["streams"]))
    driver = one("Deployment", "my-feed-spark", **FEED)["spec"]["template"]["spec"]["containers"][0]["env"]
    assert driver[0] == {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    given = {it["name"]: it["value"] for it in driver[1:]}
    assert given.items() >= consumer.items()
    assert {name: given[name] for name in given.keys() - consumer.keys()} == {
        "CRYPTOCDC_CHECKPOINT": "/var/lib/cryptocdc",
        "CRYPTOCDC_SPARK_MASTER": "k8s://https://kubernetes.default.svc",
        "CRYPTOCDC_SPARK_MEMORY": "512m",
        "SPARK_CONF_DIR": "/etc/cryptocdc",
        "PYSPARK_SUBMIT_ARGS": "--conf spark.kubernetes.driver.pod.name=$(POD_NAME) pyspark-shell",
    }


def test_there_is_one_driver_at_a_time_with_a_token_and_its_checkpoint_on_the_volume():
    spec = one("Deployment", "my-feed-spark", **FEED)["spec"]
    assert spec["strategy"] == {"type": "Recreate"}
    pod = spec["template"]["spec"]
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("cryptocdc-spark", True)
    assert breaks_restricted(pod) == []
    (mount,) = [it for it in pod["containers"][0]["volumeMounts"] if it["mountPath"] == "/var/lib/cryptocdc"]
    (volume,) = [it for it in pod["volumes"] if it["name"] == mount["name"]]
    claim = one("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"], **FEED)["spec"]
    assert claim == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    fast = SETTINGS.model_copy(update={"spark_storage_class": "fast"})
    assert one("PersistentVolumeClaim", "my-feed-spark", fast, **FEED)["spec"]["storageClassName"] == "fast"


def test_a_driver_in_one_pod_has_neither_token_nor_ports_for_others():
    settings = with_mode("local")
    made = one("Deployment", "my-feed-spark", settings, **FEED)
    pod = made["spec"]["template"]["spec"]
    assert "serviceAccountName" not in pod
    assert pod["automountServiceAccountToken"] is False
    assert environment(made)["CRYPTOCDC_SPARK_MASTER"] == "local[2]"
    assert [port["name"] for port in pod["containers"][0]["ports"]] == ["metrics"]
    assert properties(settings) == {"spark.driver.memory": "512m", "spark.ui.enabled": "false"}
    assert "executor.json" not in files(settings)


def test_the_driver_creates_as_many_executors_as_the_feed_has_consumers_and_is_reached_by_its_service():
    made = properties()
    assert made["spark.executor.instances"] == "2"
    assert made["spark.kubernetes.container.image"] == "cryptocdc/spark:1"
    assert made["spark.driver.host"] == "my-feed-spark.cdc.svc"
    service = one("Service", "my-feed-spark", **FEED)["spec"]
    assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)
    assert {port["port"] for port in service["ports"]} == {
        9090, int(made["spark.driver.port"]), int(made["spark.blockManager.port"]),
    }  # fmt: skip
    assert made["spark.kubernetes.executor.podTemplateFile"] == "/etc/cryptocdc/executor.json"


@pytest.mark.parametrize("settings", [SETTINGS, TLS], ids=["usual", "TLS to Cassandra"])
def test_an_executors_pod_has_the_drivers_secrets_and_no_token(settings):
    made = template(settings)
    assert problems(made | {"metadata": made["metadata"] | {"name": "executor"}}) == []
    spec, driver = made["spec"], one("Deployment", "my-feed-spark", settings, **FEED)["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert breaks_restricted(spec) == []
    assert spec.get("imagePullSecrets") == driver.get("imagePullSecrets")

    def secrets(pod):
        mounts = {it["name"]: it["mountPath"] for it in pod["containers"][0]["volumeMounts"]}
        return {mounts[it["name"]]: it["secret"] for it in pod["volumes"] if "secret" in it}

    assert secrets(spec) == secrets(driver)
    assert not [it for it in spec["volumes"] if "persistentVolumeClaim" in it]


def test_executors_make_the_trust_store_of_cassandra_where_the_driver_expects_it():
    assert template()["spec"]["containers"][0]["env"] == []
    driver = one("Deployment", "my-feed-spark", TLS, **FEED)["spec"]["template"]["spec"]["containers"][0]["env"]
    needed = [it for it in driver if it["name"] in ("CRYPTOCDC_CASSANDRA_CA_FILE", "CRYPTOCDC_SPARK_TRUST_STORE")]
    assert len(needed) == 2
    assert template(TLS)["spec"]["containers"][0]["env"] == needed


def test_an_executor_is_not_taken_for_a_driver():
    labels = template()["metadata"]["labels"]
    selector = one("Deployment", "my-feed-spark", **FEED)["spec"]["selector"]["matchLabels"]
    assert not selector.items() <= labels.items()
    policy = one("NetworkPolicy", "my-feed-spark-executor", **FEED)["spec"]["podSelector"]["matchLabels"]
    assert policy.items() <= labels.items()


@pytest.mark.parametrize("mode", ["executors", "operator"])
def test_driver_and_executors_reach_each_other_and_their_servers_and_only_the_driver_kubernetes(mode):
    found = {
        name: one("NetworkPolicy", name, with_mode(mode), **FEED)["spec"]
        for name in ("my-feed-spark", "my-feed-spark-executor")
    }
    own = {"app.kubernetes.io/name": "cryptocdc", "app.kubernetes.io/instance": "my-feed"}

    def ports(rules):
        return [({"to": "near"} if "to" in rule else {}, {it["port"] for it in rule["ports"]}) for rule in rules]

    assert ports(found["my-feed-spark"]["egress"]) == [
        ({}, {53}), ({"to": "near"}, {7078, 7079, 9042, 9093}), ({}, {443, 6443}),
    ]  # fmt: skip
    assert ports(found["my-feed-spark-executor"]["egress"]) == [({}, {53}), ({"to": "near"}, {7078, 7079, 9042, 9093})]
    public, inner = found["my-feed-spark"]["ingress"]
    assert [it["port"] for it in public["ports"]] == [9090]
    (only,) = found["my-feed-spark-executor"]["ingress"]
    for rule, numbers in ((inner, [7078, 7079]), (only, [7079])):
        assert rule["from"] == [{"podSelector": {"matchLabels": own}}]
        assert [it["port"] for it in rule["ports"]] == numbers


def test_prometheus_and_the_api_find_the_driver():
    (expression,) = one("PodMonitor", "my-feed", **FEED)["spec"]["selector"]["matchExpressions"]
    assert expression["values"] == ["producer", "spark", "api"]
    targets = environment(one("Deployment", "my-feed-api", **FEED))["CRYPTOCDC_API_TARGETS"].split(",")
    assert "my-feed-spark:9090" in targets
    assert "my-feed-consumer:9090" not in targets


def application(settings=TLS):
    return one("SparkApplication", "my-feed-spark", with_mode("operator", settings), **FEED)


def test_an_application_is_the_same_driver_with_the_same_executors():
    spec = application()["spec"]
    assert spec["executorSpec"]["podTemplateSpec"] == {key: template(TLS)[key] for key in ("metadata", "spec")}
    deployment = one("Deployment", "my-feed-spark", with_mode("operator", TLS), **FEED)["spec"]["template"]["spec"]
    driver = spec["driverSpec"]["podTemplateSpec"]["spec"]
    for part in ("volumes", "securityContext", "serviceAccountName"):
        assert driver[part] == deployment[part]
    assert breaks_restricted(driver) == []
    set_elsewhere = ("spark.driver.host", "spark.driver.bindAddress", "spark.kubernetes.executor.podTemplateFile")
    assert spec["sparkConf"].items() >= {k: v for k, v in properties(TLS).items() if k not in set_elsewhere}.items()
    assert spec["applicationTolerations"]["restartConfig"]["restartPolicy"] == "Always"
    assert "executor.json" not in files(with_mode("operator"))


def test_an_application_meets_the_schema_of_sparks_operator():
    if not has_definition("spark.apache.org", "SparkApplication"):
        pytest.skip("the CRD of Spark's operator is not beside the checkout, in ../shared/crds")
    assert problems(application()) == []


def test_nothing_of_spark_is_made_for_other_feeds():
    made = everything(streams=FEED["streams"])
    assert not [it["metadata"]["name"] for it in made if "spark" in it["metadata"]["name"]]
    assert list(one("ConfigMap", "my-feed-feed", streams=FEED["streams"])["data"]) == ["feed.yaml"]

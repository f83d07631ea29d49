"""The platform's rendered manifests: validated against the real schemas, with each overlay's guarantees."""

import pytest
import yaml
from tests.unit.kubernetes_schemas import breaks_restricted, find, millicores, pod_specs, problems, the
from tests.unit.manifests.build import MANIFESTS, overlay, with_component

OVERLAYS = ("kind", "production")
USERS = {
    f"cryptocdc-{name}"
    for name in ("operator", "producer", "consumer", "verifier", "api", "alerter", "analyzer", "connect", "akhq")
}


@pytest.fixture(params=OVERLAYS)
def rendered(request):
    return overlay(request.param)


@pytest.fixture
def kind():
    return overlay("kind")


@pytest.fixture
def production():
    return overlay("production")


def test_every_resource_is_valid_by_its_schema(rendered):
    assert [problem for document in rendered for problem in problems(document)] == []


def test_a_misspelt_field_of_an_operators_resource_is_detected(kind):
    (pool,) = find(kind, "KafkaNodePool")
    assert problems(pool | {"spec": pool["spec"] | {"replica": 1}})


def test_no_resource_sets_a_namespace(rendered):
    assert [d["metadata"]["name"] for d in rendered if "namespace" in d["metadata"]] == []


def test_no_object_is_defined_twice(rendered):
    names = [(d["apiVersion"], d["kind"], d["metadata"]["name"]) for d in rendered]
    assert len(names) == len(set(names))


def test_our_own_pods_are_restricted(rendered):
    assert {name: broken for name, pod in pod_specs(rendered).items() if (broken := breaks_restricted(pod))} == {}


def test_each_program_has_its_own_user_with_its_own_acls(rendered):
    users = find(rendered, "KafkaUser")
    assert {user["metadata"]["name"] for user in users} == USERS
    for user in users:
        assert user["spec"]["authentication"]["type"] == "scram-sha-512"
        assert user["spec"]["authorization"]["acls"]


def test_only_connect_may_write_its_internal_topics(rendered):
    for user in find(rendered, "KafkaUser"):
        if user["metadata"]["name"] == "cryptocdc-connect":
            continue
        acls = user["spec"]["authorization"]["acls"]
        writes = [a for a in acls if "Write" in a["operations"] and a.get("type") != "deny"]
        denied = [a for a in acls if a.get("type") == "deny" and a["resource"]["type"] == "topic"]
        assert not writes or any(
            a["resource"]["name"] == "cryptocdc-connect-" and "Write" in a["operations"] for a in denied
        ), user["metadata"]["name"]


def test_every_listener_requires_a_login(rendered):
    (listener,) = the(rendered, "Kafka")["spec"]["kafka"]["listeners"]
    assert listener["tls"]
    assert listener["authentication"]["type"] == "scram-sha-512"
    assert the(rendered, "Kafka")["spec"]["kafka"]["authorization"]["type"] == "simple"
    assert the(rendered, "K8ssandraCluster")["spec"]["auth"] is True


def test_connects_topics_are_declared(rendered):
    connect = the(rendered, "KafkaConnect")["spec"]
    wanted = {connect[f"{name}StorageTopic"] for name in ("config", "offset", "status")}
    topics = {topic["metadata"]["name"]: topic["spec"] for topic in find(rendered, "KafkaTopic")}
    assert wanted == set(topics)
    assert all(topic["config"]["cleanup.policy"] == "compact" for topic in topics.values())
    assert topics[connect["offsetStorageTopic"]]["partitions"] == connect["config"]["offset.storage.partitions"]
    assert topics[connect["statusStorageTopic"]]["partitions"] == connect["config"]["status.storage.partitions"]


def test_referenced_logins_are_defined(rendered):
    connect = the(rendered, "KafkaConnect")["spec"]
    assert connect["authentication"]["passwordSecret"]["secretName"] in USERS
    role = the(rendered, "DatabaseRole", "cryptocdc-replication")["spec"]
    assert (role["name"], role["passwordSecret"]["name"]) == ("debezium", "cryptocdc-replication")
    assert role["cluster"]["name"] == the(rendered, "Cluster")["metadata"]["name"]


def test_a_slot_can_neither_fill_the_disk_nor_be_lost_at_a_failover(rendered):
    cluster = the(rendered, "Cluster")["spec"]
    parameters = cluster["postgresql"]["parameters"]
    keep, unit = int(parameters["max_slot_wal_keep_size"][:-2]), parameters["max_slot_wal_keep_size"][-2:]
    volume = cluster.get("walStorage", cluster["storage"])["size"]
    assert unit == "GB"
    assert keep < int(volume.removesuffix("Gi"))
    assert cluster["replicationSlots"]["highAvailability"]["synchronizeLogicalDecoding"] is True
    assert (parameters["hot_standby_feedback"], parameters["sync_replication_slots"]) == ("on", "on")


def test_durability_settings_are_not_weakened(rendered):
    parameters = the(rendered, "Cluster")["spec"]["postgresql"]["parameters"]
    assert not {"fsync", "full_page_writes", "synchronous_commit"} & set(parameters)
    assert (
        the(rendered, "K8ssandraCluster")["spec"]["cassandra"]["config"]["cassandraYaml"]["commitlog_sync"] == "batch"
    )


def test_all_pods_fit_on_a_small_node(kind):
    requests = []

    def collect(value):
        if isinstance(value, dict):
            if "cpu" in value.get("requests", {}):
                requests.append(millicores(value["requests"]["cpu"]))
            for inner in value.values():
                collect(inner)
        elif isinstance(value, list):
            for inner in value:
                collect(inner)

    collect(kind)
    assert len(requests) >= 9
    assert sum(requests) <= 450


def test_kind_has_one_replica_of_each_server(kind):
    assert [pool["spec"]["replicas"] for pool in find(kind, "KafkaNodePool")] == [1]
    assert the(kind, "KafkaConnect")["spec"]["replicas"] == 1
    assert the(kind, "Cluster")["spec"]["instances"] == 1
    assert [dc["size"] for dc in the(kind, "K8ssandraCluster")["spec"]["cassandra"]["datacenters"]] == [1]
    config = the(kind, "Kafka")["spec"]["kafka"]["config"]
    assert {config[key] for key in config if key.endswith((".replication.factor", ".min.isr"))} == {1}


def test_production_has_three_replicas_of_each_server(production):
    pools = {pool["metadata"]["name"]: pool["spec"]["replicas"] for pool in find(production, "KafkaNodePool")}
    assert pools == {"controller": 3, "broker": 3}
    assert the(production, "KafkaConnect")["spec"]["replicas"] == 3
    assert the(production, "Cluster")["spec"]["instances"] == 3
    (datacenter,) = the(production, "K8ssandraCluster")["spec"]["cassandra"]["datacenters"]
    assert datacenter["size"] == len(datacenter["racks"]) == 3
    config = the(production, "Kafka")["spec"]["kafka"]["config"]
    assert (config["default.replication.factor"], config["min.insync.replicas"]) == (3, 2)


def test_production_spreads_replicas_over_three_zones(production):
    zone = "topology.kubernetes.io/zone"
    for document in [*find(production, "KafkaNodePool"), the(production, "KafkaConnect")]:
        (spread,) = document["spec"]["template"]["pod"]["topologySpreadConstraints"]
        assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == (zone, "DoNotSchedule")
    assert the(production, "Kafka")["spec"]["kafka"]["rack"]["topologyKey"] == zone
    assert the(production, "Cluster")["spec"]["affinity"] == {"podAntiAffinityType": "required", "topologyKey": zone}
    (datacenter,) = the(production, "K8ssandraCluster")["spec"]["cassandra"]["datacenters"]
    assert len({rack["nodeAffinityLabels"][zone] for rack in datacenter["racks"]}) == 3


def test_production_uses_tls_everywhere(production):
    assert the(production, "Cluster")["spec"]["postgresql"]["pg_hba"] == ["hostnossl all all all reject"]
    cassandra = the(production, "K8ssandraCluster")["spec"]["cassandra"]
    options = cassandra["config"]["cassandraYaml"]
    assert options["server_encryption_options"]["internode_encryption"] == "all"
    assert (
        options["client_encryption_options"] | {"enabled": True, "optional": False}
        == options["client_encryption_options"]
    )
    made = {certificate["spec"]["secretName"] for certificate in find(production, "Certificate")}
    made |= {secret["metadata"]["name"] for secret in find(production, "Secret")}
    for stores in ("serverEncryptionStores", "clientEncryptionStores"):
        assert {reference["name"] for reference in cassandra[stores].values()} <= made


def test_a_commit_in_production_is_replicated_synchronously(production):
    assert the(production, "Cluster")["spec"]["postgresql"]["synchronous"]["dataDurability"] == "required"


def test_backups_can_be_added_as_a_component(production, tmp_path):
    assert not find(production, "ScheduledBackup")
    with_backups = with_component(tmp_path, "production", "cloudnative-pg/backup")
    assert [problem for document in with_backups for problem in problems(document)] == []
    (plugin,) = the(with_backups, "Cluster")["spec"]["plugins"]
    assert plugin["parameters"]["barmanObjectName"] == the(with_backups, "ObjectStore")["metadata"]["name"]


def test_monitors_can_be_added_as_a_component_on_kind(kind, tmp_path):
    assert not find(kind, "PodMonitor")
    assert len(find(with_component(tmp_path, "kind", "monitoring"), "PodMonitor")) == 3


@pytest.mark.parametrize("overlay_name", OVERLAYS)
def test_sparks_operator_is_one_line_away_and_stays_in_its_namespace(overlay_name, tmp_path):
    made = [d for d in with_component(tmp_path, overlay_name, "spark") if "spark" in d["metadata"]["name"]]
    assert {d["kind"] for d in made} == {
        "ServiceAccount", "Role", "RoleBinding", "Deployment", "NetworkPolicy", "ConfigMap",
    }  # fmt: skip
    assert [problem for document in made for problem in problems(document)] == []
    assert {name: broken for name, pod in pod_specs(made).items() if (broken := breaks_restricted(pod))} == {}
    (container,) = the(made, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert "-Dspark.kubernetes.operator.watchedNamespaces=$(NAMESPACE)" in container["command"]
    assert not [verb for rule in the(made, "Role")["rules"] for verb in rule["verbs"] if verb == "*"]


def test_the_custom_queries_config_map_exists_and_selects_its_metrics(rendered):
    (reference,) = the(rendered, "Cluster")["spec"]["monitoring"]["customQueriesConfigMap"]
    text = the(rendered, "ConfigMap", reference["name"])["data"][reference["key"]]
    (query,) = yaml.safe_load(text).values()
    columns = [next(iter(metric)) for metric in query["metrics"]]
    assert all(f"AS {column}" in query["query"] or f"{column}," in query["query"] for column in columns)


def test_the_kind_overlay_includes_only_the_akhq_component():
    text = (MANIFESTS / "overlays" / "kind" / "kustomization.yaml").read_text()
    assert yaml.safe_load(text)["components"] == ["../../akhq"]

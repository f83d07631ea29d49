"""The chart, rendered with several values files: validated against the real schemas, with its guarantees."""

import base64
import gzip
import json
from typing import Any

import pytest
from tests.unit.charts.render import CHART, FILES, NAMESPACE, environment, helm, rendered
from tests.unit.kubernetes_schemas import KUBERNETES, breaks_restricted, find, millicores, pod_specs, problems, the


@pytest.fixture(params=sorted(FILES))
def chart(request):
    return rendered(request.param)


@pytest.mark.parametrize("name", sorted(FILES))
def test_helm_lint_has_no_findings(name):
    done = helm("lint", "--strict", CHART, "--kube-version", KUBERNETES, "--values", FILES[name])
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_resource_is_valid_by_its_schema(chart):
    assert [problem for document in chart for problem in problems(document)] == []


def test_a_misspelt_field_is_detected():
    deployment = the(rendered("default"), "Deployment", "cryptocdc-operator")
    assert problems(deployment | {"spec": deployment["spec"] | {"replica": 1}})


def test_no_object_is_defined_twice(chart):
    names = [(d["apiVersion"], d["kind"], d["metadata"]["name"]) for d in chart]
    assert len(names) == len(set(names))


def test_every_resource_is_in_the_releases_namespace(chart):
    assert {d["metadata"].get("namespace", NAMESPACE) for d in chart} == {NAMESPACE}
    assert {d["kind"] for d in chart}.isdisjoint({"ClusterRole", "ClusterRoleBinding", "Namespace"})
    subjects = [subject for binding in find(chart, "RoleBinding") for subject in binding["subjects"]]
    assert {subject["namespace"] for subject in subjects} == {NAMESPACE}


def test_every_pod_is_restricted_and_has_resource_requests_and_limits(chart):
    pods = pod_specs(chart)
    assert pods
    for name, pod in pods.items():
        assert breaks_restricted(pod) == [], name
        for container in pod["containers"]:
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name
            assert "memory" in container["resources"]["limits"], name


def test_probes_time_out_after_at_least_five_seconds(chart):
    for name, pod in pod_specs(chart).items():
        for container in pod["containers"]:
            for probe in {"startupProbe", "readinessProbe", "livenessProbe"} & container.keys():
                assert container[probe].get("timeoutSeconds", 1) >= 5, f"{name}: {probe}"


def test_service_account_tokens_are_mounted_only_in_pods_that_call_the_api_server(chart):
    for name, pod in pod_specs(chart).items():
        assert pod["automountServiceAccountToken"] is name.endswith(("operator", "release-feeds")), name


def test_every_resource_has_the_standard_labels(chart):
    for document in chart:
        if document["kind"] != "CustomResourceDefinition":
            labels = document["metadata"]["labels"]
            assert labels["app.kubernetes.io/name"] == labels["app.kubernetes.io/part-of"] == "cryptocdc"
            assert labels["app.kubernetes.io/instance"] == "cryptocdc"


def test_every_selector_matches_the_pods_of_one_deployment(chart):
    labels = [d["spec"]["template"]["metadata"]["labels"] for d in find(chart, "Deployment")]
    selectors = [d["spec"]["selector"] for d in find(chart, "Service")]
    selectors += [d["spec"]["selector"]["matchLabels"] for d in find(chart, "Deployment")]
    selectors += [d["spec"]["podSelector"]["matchLabels"] for d in find(chart, "NetworkPolicy")]
    for selector in selectors:
        assert len([have for have in labels if selector.items() <= have.items()]) == 1, selector


def test_probes_refer_to_ports_that_exist(chart):
    for name, pod in pod_specs(chart).items():
        for container in pod["containers"]:
            ports = {port["name"] for port in container.get("ports", [])}
            for probe in ("readinessProbe", "livenessProbe"):
                if probe in container:
                    assert container[probe]["httpGet"]["port"] in ports, name


def test_the_operator_is_a_single_recreated_replica():
    spec = the(rendered("default"), "Deployment", "cryptocdc-operator")["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")


def test_the_verifier_reaches_servers_in_other_namespaces_at_their_ports():
    def elsewhere(*values):
        policy = the(rendered("default", *values), "NetworkPolicy", "cryptocdc-verifier")
        rules = [rule["ports"] for rule in policy["spec"]["egress"] if "to" not in rule]
        return [port["port"] for ports in rules for port in ports if port["port"] != 53]

    assert elsewhere() == []
    assert elsewhere(
        "platform.postgres.host=postgres.databases.svc",
        r"platform.kafka.bootstrap=kafka-0.example.com:9094\,kafka-1.example.com:9094\,near:9095",
        "platform.cassandra.hosts=10.0.0.1",
        "platform.connect.url=https://connect.example.com",
    ) == [5432, 9094, 9042, 443]
    assert elsewhere("platform.connect.url=http://connect.events:8083") == [8083]


OPERATORS_RIGHTS = {
    ("cryptocdc.io", "cryptofeeds"): {"get", "list", "watch", "patch"},
    ("cryptocdc.io", "cryptofeeds/status"): {"get", "patch"},
    ("cryptocdc.io", "cryptofeeds/finalizers"): {"update"},
    ("kafka.strimzi.io", "kafkatopics"): {"get", "list", "create", "patch", "delete"},
    ("kafka.strimzi.io", "kafkaconnectors"): {"get", "list", "create", "patch", "delete"},
    ("apps", "deployments"): {"get", "list", "create", "patch", "delete"},
    ("batch", "jobs"): {"get", "create", "patch", "delete"},
    ("policy", "poddisruptionbudgets"): {"get", "list", "create", "patch", "delete"},
    ("networking.k8s.io", "networkpolicies"): {"get", "list", "create", "patch", "delete"},
    ("monitoring.coreos.com", "podmonitors"): {"get", "list", "create", "patch", "delete"},
    ("spark.apache.org", "sparkapplications"): {"get", "create", "patch", "delete"},
    ("", "services"): {"get", "list", "create", "patch", "delete"},
    ("", "persistentvolumeclaims"): {"get", "list", "create", "patch", "delete"},
    ("", "configmaps"): {"get", "create", "patch"},
    ("", "pods"): {"list"},
    ("", "events"): {"create"},
    ("", "namespaces"): {"get"},
    ("", "secrets"): {"get"},
}


def test_the_operator_has_exactly_the_documented_permissions():
    given: dict[Any, Any] = {}
    for rule in the(rendered("everything"), "Role", "market-operator")["rules"]:
        for group in rule["apiGroups"]:
            given |= {(group, resource): set(rule["verbs"]) for resource in rule["resources"]}
    assert given == OPERATORS_RIGHTS


def test_no_role_has_a_wildcard_or_unnamed_secrets(chart):
    for role in find(chart, "Role"):
        for rule in role["rules"]:
            assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])
            if "secrets" in rule["resources"] or "namespaces" in rule["resources"]:
                assert rule["resourceNames"]


def test_connect_may_read_only_the_secrets_of_both_connectors():
    chart = rendered("default")
    (rule,) = the(chart, "Role", "cryptocdc-replication-secret")["rules"]
    assert rule == {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": ["cryptocdc-replication", "cryptocdc-writer"],
        "verbs": ["get"],
    }
    binding = the(chart, "RoleBinding", "cryptocdc-replication-secret")
    assert binding["roleRef"]["name"] == "cryptocdc-replication-secret"
    (subject,) = binding["subjects"]
    assert (subject["kind"], subject["name"]) == ("ServiceAccount", "cryptocdc-connect")


OUTLIVE = {
    ("CustomResourceDefinition", "cryptofeeds.cryptocdc.io"),
    ("Secret", "cryptocdc-replication"),
    ("Secret", "cryptocdc-reader"),
    ("Secret", "cryptocdc-writer"),
    ("Role", "cryptocdc-replication-secret"),
    ("RoleBinding", "cryptocdc-replication-secret"),
    *((kind, "cryptocdc-spark") for kind in ("ServiceAccount", "Role", "RoleBinding")),
}
"""What feeds that go on capturing need after `helm uninstall`."""


def test_resources_that_running_feeds_need_are_kept_after_uninstall():
    chart = rendered("kind")
    kept = {
        (d["kind"], d["metadata"]["name"])
        for d in chart
        if d["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep"
    }
    assert kept == OUTLIVE


def test_permissions_of_service_accounts_outside_the_chart_are_kept_after_uninstall(chart):
    """Programs with other accounts keep running after the uninstall, and use these permissions."""
    accounts = {account["metadata"]["name"] for account in find(chart, "ServiceAccount")}
    for binding in find(chart, "RoleBinding"):
        if not {subject["name"] for subject in binding["subjects"]} <= accounts:
            for each in (binding, the(chart, "Role", binding["roleRef"]["name"])):
                assert each["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


@pytest.mark.parametrize("name", ["cryptocdc-replication", "cryptocdc-reader", "cryptocdc-writer"])
def test_a_login_created_by_the_chart_has_a_name_and_a_password(name):
    secret = the(rendered("default"), "Secret", name)
    assert secret["type"] == "kubernetes.io/basic-auth"
    assert set(secret["data"]) == {"username", "password"}


def test_no_login_is_created_when_one_is_given():
    assert [s["metadata"]["name"] for s in find(rendered("everything"), "Secret")] == ["market-grafana-data-sources"]


def test_a_given_secret_reaches_the_programs_that_need_it():
    chart = rendered("everything")
    assert the(chart, "Role", "market-replication-secret")["rules"][0]["resourceNames"] == [
        "debezium-login", "writer-login", "cassandra-ca",
    ]  # fmt: skip
    (verifier,) = pod_specs([the(chart, "Deployment", "market-verifier")]).values()
    (volume,) = [volume for volume in verifier["volumes"] if "projected" in volume]
    mounted = [source["secret"]["name"] for source in volume["projected"]["sources"]]
    assert mounted == ["pg-login", "pg-ca", "kafka-verifier", "events-ca", "reader-login", "cassandra-ca"]


@pytest.mark.parametrize("name", [name for name in sorted(FILES) if name != "nothing"])
def test_the_verifiers_settings_point_at_files_that_are_mounted(name):
    verifier = next(d for d in find(rendered(name), "Deployment") if d["metadata"]["name"].endswith("-verifier"))
    pod = verifier["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    files = {value for key, value in environment(container).items() if key.endswith("_FILE")}
    at = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    mounted = {
        f"{at[volume['name']]}/{item['path']}"
        for volume in pod["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
        for item in source["secret"]["items"]
    }
    assert files == mounted
    assert len(files) >= 7


def test_the_verifier_can_start_before_the_first_feed():
    (verifier,) = pod_specs([the(rendered("default"), "Deployment", "cryptocdc-verifier")]).values()
    (feeds,) = [volume["configMap"] for volume in verifier["volumes"] if "configMap" in volume]
    assert feeds == {"name": "cryptocdc-feeds", "optional": True}


def test_quantities_are_passed_to_the_operator_as_strings():
    chart = rendered("default", "producer.resources.limits.cpu=2")
    (operator,) = pod_specs([the(chart, "Deployment", "cryptocdc-operator")]).values()
    resources = json.loads(environment(operator["containers"][0])["CRYPTOCDC_OPERATOR_PRODUCER_RESOURCES"])
    assert resources == {"requests": {"cpu": "100m", "memory": "192Mi"}, "limits": {"cpu": "2", "memory": "512Mi"}}


def test_a_large_number_stays_a_number():
    chart = rendered("everything")
    (verifier,) = pod_specs([the(chart, "Deployment", "market-verifier")]).values()
    assert environment(verifier["containers"][0])["CRYPTOCDC_VERIFIER_ROWS_PER_S"] == "2000000"


TOGGLES = {
    "crd.install=false": {("CustomResourceDefinition", "cryptofeeds.cryptocdc.io")},
    "verifier.enabled=false": {
        ("Deployment", "market-verifier"),
        ("Service", "market-verifier"),
        ("NetworkPolicy", "market-verifier"),
    },
    "simulator.enabled=false": {
        ("Deployment", "market-simulator"),
        ("Service", "market-simulator"),
        ("NetworkPolicy", "market-simulator"),
        ("PodMonitor", "market-simulator"),
    },
    "monitoring.podMonitors.enabled=false": {("PodMonitor", "market"), ("PodMonitor", "market-simulator")},
    "monitoring.rules.enabled=false": {("PrometheusRule", "market")},
    "grafana.dashboards.enabled=false": {
        ("ConfigMap", f"market-dashboard-{path.stem}") for path in (CHART / "files" / "dashboards").glob("*.json")
    },
    "grafana.dataSources.enabled=false": {("Secret", "market-grafana-data-sources")},
    "spark.mode=local": {(kind, "market-spark") for kind in ("ServiceAccount", "Role", "RoleBinding")},
    "networkPolicies.enabled=false": {
        ("NetworkPolicy", f"market-{part}") for part in ("operator", "verifier", "simulator")
    },
    "uninstall.releaseFeeds=false": {
        (kind, "market-release-feeds") for kind in ("ServiceAccount", "Role", "RoleBinding", "Job")
    },
}


@pytest.mark.parametrize("toggle", TOGGLES)
def test_a_toggle_removes_only_its_own_resources(toggle):
    everything, without = (
        {(d["kind"], d["metadata"]["name"]) for d in chart}
        for chart in (rendered("everything"), rendered("everything", toggle))
    )
    assert everything - without == TOGGLES[toggle]
    assert without <= everything


def test_the_operator_may_create_monitors_and_policies_only_if_they_are_enabled():
    def verbs(chart):
        rules = the(chart, "Role", "market-operator")["rules"]
        return [
            set(rule["verbs"])
            for rule in rules
            if {"monitoring.coreos.com", "networking.k8s.io"} & {*rule["apiGroups"]}
        ]

    assert verbs(rendered("everything")) == 2 * [{"get", "list", "create", "patch", "delete"}]
    off = ("monitoring.podMonitors.enabled=false", "networkPolicies.enabled=false")
    assert verbs(rendered("everything", *off)) == 2 * [{"list", "delete"}], "existing ones are removed"


def test_a_spark_driver_may_do_nothing_but_run_pods():
    chart = rendered("default")
    assert the(chart, "Role", "cryptocdc-spark")["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["pods"],
            "verbs": ["get", "list", "watch", "create", "patch", "delete", "deletecollection"],
        }
    ]
    binding = the(chart, "RoleBinding", "cryptocdc-spark")
    assert [subject["name"] for subject in binding["subjects"]] == ["cryptocdc-spark"]
    assert the(chart, "ServiceAccount", "cryptocdc-spark")["automountServiceAccountToken"] is False


@pytest.mark.parametrize("mode", ["executors", "local", "operator"])
def test_the_operator_may_make_spark_applications_only_where_it_shall(mode):
    rules = the(rendered("default", f"spark.mode={mode}"), "Role", "cryptocdc-operator")["rules"]
    (rule,) = [rule for rule in rules if rule["apiGroups"] == ["spark.apache.org"]]
    makes = {"create", "patch"} if mode == "operator" else set()
    assert set(rule["verbs"]) == {"get", "delete"} | makes


def test_the_operator_makes_no_roles(chart):
    role = next(role for role in find(chart, "Role") if role["metadata"]["name"].endswith("-operator"))
    assert "rbac.authorization.k8s.io" not in {group for rule in role["rules"] for group in rule["apiGroups"]}


def test_the_crd_is_upgraded_with_the_chart_and_kept_after_uninstall():
    definition = the(rendered("default"), "CustomResourceDefinition")
    assert definition["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert not (CHART / "crds").exists()


def test_the_uninstall_hook_ends_before_helm_times_out():
    chart = rendered("default")
    job = the(chart, "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    assert job["spec"]["activeDeadlineSeconds"] < 300
    # Its permissions exist before it, and only while it runs.
    for kind in ("ServiceAccount", "Role", "RoleBinding"):
        annotations = the(chart, kind, "cryptocdc-release-feeds")["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "pre-delete"
        assert int(annotations["helm.sh/hook-weight"]) < 0


def test_three_of_each_program_fit_on_a_small_node():
    chart = rendered("kind")
    operator = the(chart, "Deployment", "cryptocdc-operator")["spec"]["template"]["spec"]["containers"][0]
    feeds = [
        json.loads(environment(operator)[f"CRYPTOCDC_OPERATOR_{name}_RESOURCES"])
        for name in ("PRODUCER", "CONSUMER", "API")
    ]
    own = [
        container["resources"]
        for pod in find(chart, "Deployment")
        for container in pod["spec"]["template"]["spec"]["containers"]
    ]
    assert sum(millicores(resources["requests"]["cpu"]) for resources in [*own, *feeds, *feeds, *feeds]) <= 300


def test_all_images_have_the_same_registry_and_tag(chart):
    images = {container["image"] for pod in pod_specs(chart).values() for container in pod["containers"]}
    assert len({image.split("cryptocdc/")[0] for image in images}) == 1
    assert len({image.split(":")[-1] for image in images}) == 1


def test_a_release_fits_into_helms_size_limit(chart):
    """Helm keeps the chart and what it rendered in one Secret, compressed, twice in base64: 1 MiB at most."""
    files = [path.read_bytes() for folder in ("templates", "files") for path in (CHART / folder).rglob("*.*")]
    kept = gzip.compress(b"".join(map(base64.b64encode, files)) + json.dumps(chart).encode())
    assert len(base64.b64encode(kept)) < 2**20 / 2

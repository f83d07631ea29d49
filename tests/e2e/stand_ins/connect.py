"""Strimzi's KafkaConnect: one worker and its connectors, configured according to the resources."""

from __future__ import annotations

import datetime
import time
from typing import Any

import requests

from tests.e2e.stand_ins import conditions, kafka
from tests.e2e.stand_ins.api import Api, Object
from tests.e2e.stand_ins.timing import SPEED, Due
from tests.e2e.stand_ins.workload import FILES, Workload, service

_REST = 8083
_LIMIT_S = 15
_RESTART = "strimzi.io/restart"


def reconcile(api: Api, connect: Object) -> None:
    name, namespace, spec = connect["metadata"]["name"], connect["metadata"]["namespace"], connect["spec"]
    login = spec["authentication"]["passwordSecret"]
    trusted = spec["tls"]["trustedCertificates"][0]["secretName"]
    own = f"{name}-connect"
    api.apply(connect, *access(name, namespace, [login["secretName"], trusted]))
    password = (api.secret(namespace, login["secretName"]) or {}).get(login["password"])
    authority = (api.secret(namespace, trusted) or {}).get("ca.crt")
    if password is None or authority is None:
        api.status(
            connect,
            conditions.not_ready(connect, "Creating", "its login or Kafka's CA does not exist yet"),
        )
        return
    labels = {
        kafka.CLUSTER: name,
        "strimzi.io/kind": "KafkaConnect",
        "strimzi.io/name": own,
        "app.kubernetes.io/name": "kafka-connect",
        "app.kubernetes.io/instance": name,
    }
    ports = {"rest-api": _REST}
    workload = Workload(
        name=own,
        program="connect",
        container=own,
        image=spec["image"],
        labels=labels,
        ports=ports,
        ready_port=_REST,
        files={"connect.properties": properties(spec, f"{own}-0.{own}.{namespace}.svc", password), "ca.crt": authority},
        service=own,
        heap=spec.get("jvmOptions", {}).get("-Xmx", "256m"),
        resources=spec.get("resources", {}),
        account=own,
        env=spec.get("template", {}).get("connectContainer", {}).get("env", []),
        probes=probes(spec),
    )
    api.apply(connect, service(f"{own}-api", labels, ports), *workload.documents())
    url = f"http://{own}-api.{namespace}.svc:{_REST}"
    if not api.ready(namespace, own):
        if not conditions.is_ready(connect):  # recreating a pod changes neither this status nor the connectors'
            api.status(connect, conditions.not_ready(connect, "Creating", "the worker is not ready"))
        return
    api.status(connect, {**conditions.ready(connect), "url": url, "replicas": 1})
    if connect["metadata"].get("annotations", {}).get("strimzi.io/use-connector-resources") == "true":
        _connectors(api, connect, url)


def access(name: str, namespace: str, secrets: list[str]) -> list[Object]:
    """Return the worker's service account and its permission to read the secrets in its configuration, under the names
    that Strimzi uses. Pure."""
    own, group = f"{name}-connect", "rbac.authorization.k8s.io"
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": secrets, "verbs": ["get"]}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": own}},
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": own}, "rules": [rule]},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": f"{own}-role"},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": own},
            "subjects": [{"kind": "ServiceAccount", "name": own, "namespace": namespace}],
        },
    ]


def probes(spec: Object) -> Object:
    """Return the probe of /health, with Strimzi's defaults for what the resource omits. Pure."""
    asked = {"httpGet": {"path": "/health", "port": _REST}, "initialDelaySeconds": 60, "timeoutSeconds": 5}
    return {name: {**asked, **spec.get(name, {})} for name in ("readinessProbe", "livenessProbe")}


def properties(spec: Object, host: str, password: str) -> str:
    """Return the worker's configuration: the resource's own, and what Strimzi derives from its other fields. Pure."""
    lines: dict[str, object] = {
        "plugin.discovery": "service_load",
        **spec.get("config", {}),
        "bootstrap.servers": spec["bootstrapServers"],
        "group.id": spec["groupId"],
        "config.storage.topic": spec["configStorageTopic"],
        "offset.storage.topic": spec["offsetStorageTopic"],
        "status.storage.topic": spec["statusStorageTopic"],
        "listeners": f"http://:{_REST}",
        "rest.advertised.host.name": host,
        "plugin.path": "/opt/kafka/plugins",
    }
    module = "org.apache.kafka.common.security.scram.ScramLoginModule"
    for prefix in ("", "producer.", "consumer.", "admin."):
        lines |= {
            f"{prefix}security.protocol": "SASL_SSL",
            f"{prefix}sasl.mechanism": "SCRAM-SHA-512",
            f"{prefix}sasl.jaas.config": (
                f'{module} required username="{spec["authentication"]["username"]}" password="{password}";'
            ),
            f"{prefix}ssl.truststore.type": "PEM",
            f"{prefix}ssl.truststore.location": f"{FILES}/ca.crt",
        }
    return kafka.text(lines)


_due = Due()


def _connectors(api: Api, connect: Object, url: str) -> None:
    """Apply the KafkaConnectors to the worker's connectors, and report their state: immediately if a resource has
    changed, and after a period if only its connector has."""
    items = {item["metadata"]["name"]: item for item in kafka.belonging_to(api, "KafkaConnector", connect)}
    for name in set(_rest("GET", f"{url}/connectors")) - items.keys():
        _rest("DELETE", f"{url}/connectors/{name}")
    for name, item in items.items():
        if _due(item):
            try:
                _connector(api, item, f"{url}/connectors/{name}")
            except requests.RequestException as error:
                api.status(item, conditions.not_ready(item, "CompletionException", str(error)))


def _connector(api: Api, item: Object, url: str) -> None:
    spec = item["spec"]
    config = {
        **{key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in spec["config"].items()},
        "connector.class": spec["class"],
        "tasks.max": str(spec.get("tasksMax", 1)),
        "name": item["metadata"]["name"],
    }
    if _found(f"{url}/config") != config:
        _rest("PUT", f"{url}/config", config)
    request = transition(_status(url)["connector"]["state"], spec.get("state", "running"))
    if request is not None:
        _rest("PUT", f"{url}/{request}")
    if item["metadata"].get("annotations", {}).get(_RESTART) == "true":
        _rest("POST", f"{url}/restart?includeTasks=true")
        api.patch(item, {"metadata": {"annotations": {_RESTART: None}}})
    found = _status(url)
    failed = [task["id"] for task in found["tasks"] if task["state"] == "FAILED"]
    said = conditions.ready(item)
    if failed or found["connector"]["state"] == "FAILED":
        said = conditions.not_ready(
            item, "Throwable", f"The following tasks have failed: {', '.join(map(str, failed))}"
        )
        said |= _restarted(item, url)
    shown = {key: value for key, value in found.items() if key != "type"}
    api.status(item, {**said, "connectorStatus": shown, "tasksMax": spec.get("tasksMax", 1)})


def transition(state: str, wanted: str) -> str | None:
    """Return the request to Connect that changes a connector's state to the wanted one. None for a FAILED one, which is
    neither paused nor stopped (strimzi-kafka-operator 12542). Pure."""
    return {
        ("RUNNING", "paused"): "pause",
        ("RUNNING", "stopped"): "stop",
        ("PAUSED", "running"): "resume",
        ("PAUSED", "stopped"): "stop",
        ("STOPPED", "running"): "resume",
        ("STOPPED", "paused"): "pause",
    }.get((state, wanted))


def _found(url: str) -> Any:
    """What is there; None where nothing is."""
    try:
        return _rest("GET", url)
    except requests.HTTPError as error:
        if error.response.status_code == 404:
            return None
        raise


def _status(url: str) -> Any:
    """Return a connector's status, which Connect has some moments after its configuration."""
    deadline = time.monotonic() + _LIMIT_S
    while (found := _found(f"{url}/status")) is None and time.monotonic() < deadline:
        time.sleep(0.5)
    return found if found is not None else _rest("GET", f"{url}/status")


def _restarted(item: Object, url: str) -> Object:
    """Restart what has failed with Strimzi's back-off: after n² + n minutes, where n is the number of earlier
    restarts."""
    rule = item["spec"].get("autoRestart", {})
    before = item.get("status", {}).get("autoRestart", {})
    count, now = before.get("count", 0), datetime.datetime.now(datetime.UTC)
    last = before.get("lastRestartTimestamp")
    waited = now - datetime.datetime.fromisoformat(last) if last else datetime.timedelta.max
    if not rule.get("enabled") or count >= rule.get("maxRestarts", 7):
        return {}
    if waited < datetime.timedelta(minutes=(count * count + count) / SPEED):
        return {}
    _rest("POST", f"{url}/restart?includeTasks=true&onlyFailed=true")
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "autoRestart": {"count": count + 1, "connectorName": item["metadata"]["name"], "lastRestartTimestamp": stamp}
    }


def _rest(method: str, url: str, body: Object | None = None) -> Any:
    answer = requests.request(method, url, json=body, timeout=_LIMIT_S)
    if not answer.ok:
        raise requests.HTTPError(f"{method} {url}: {answer.status_code}: {answer.text[:500]}", response=answer)
    return answer.json() if answer.content else None

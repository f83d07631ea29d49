"""Strimzi's KafkaConnect: one worker, configured as the resource says, and its connectors kept as theirs say."""

from __future__ import annotations

import datetime
from typing import Any

import requests

from tests.e2e.stand_ins import conditions, kafka
from tests.e2e.stand_ins.api import Api, Object
from tests.e2e.stand_ins.workload import FILES, Workload, service

_REST = 8083
_LIMIT_S = 15
_RESTART = "strimzi.io/restart"


def reconcile(api: Api, connect: Object) -> None:
    name, namespace, spec = connect["metadata"]["name"], connect["metadata"]["namespace"], connect["spec"]
    login = spec["authentication"]["passwordSecret"]
    password = (api.secret(namespace, login["secretName"]) or {}).get(login["password"])
    authority = (api.secret(namespace, spec["tls"]["trustedCertificates"][0]["secretName"]) or {}).get("ca.crt")
    if password is None or authority is None:
        api.status(
            connect, conditions.not_ready(connect, "Creating", "its login or Kafka's authority is not there yet")
        )
        return
    labels = {
        kafka.CLUSTER: name,
        "strimzi.io/kind": "KafkaConnect",
        "strimzi.io/name": f"{name}-connect",
        "app.kubernetes.io/name": "kafka-connect",
        "app.kubernetes.io/instance": name,
    }
    own = f"{name}-connect"
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
    )
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": own}}
    api.apply(connect, account, service(f"{own}-api", labels, ports), *workload.documents())
    url = f"http://{own}-api.{namespace}.svc:{_REST}"
    if not api.ready(namespace, own):
        api.status(connect, conditions.not_ready(connect, "Creating", "the worker is not ready"))
        return
    api.status(connect, {**conditions.ready(connect), "url": url, "replicas": 1})
    if connect["metadata"].get("annotations", {}).get("strimzi.io/use-connector-resources") == "true":
        _connectors(api, connect, url)


def properties(spec: Object, host: str, password: str) -> str:
    """The worker's configuration: the resource's own, and what Strimzi derives from its other fields. Pure."""
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


def _connectors(api: Api, connect: Object, url: str) -> None:
    """Bring the worker's connectors to what the KafkaConnectors say, and say in turn how they are."""
    meta = connect["metadata"]
    items = {
        item["metadata"]["name"]: item
        for item in api.list(kafka.VERSION, "KafkaConnector")
        if item["metadata"]["namespace"] == meta["namespace"]
        and item["metadata"].get("labels", {}).get(kafka.CLUSTER) == meta["name"]
    }
    there = _rest("GET", f"{url}/connectors?expand=info&expand=status")
    for name in there.keys() - items.keys():
        _rest("DELETE", f"{url}/connectors/{name}")
    for name, item in items.items():
        try:
            _connector(api, item, f"{url}/connectors/{name}", there.get(name))
        except requests.RequestException as error:
            api.status(item, conditions.not_ready(item, "ConnectRestException", str(error)))


def _connector(api: Api, item: Object, url: str, found: Object | None) -> None:
    spec = item["spec"]
    config = {
        **{key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in spec["config"].items()},
        "connector.class": spec["class"],
        "tasks.max": str(spec.get("tasksMax", 1)),
        "name": item["metadata"]["name"],
    }
    if found is None or found["info"]["config"] != config:
        _rest("PUT", f"{url}/config", config)
        return  # the next turn finds it running
    wanted, state = spec.get("state", "running"), found["status"]["connector"]["state"]
    if wanted == "running" and state in ("PAUSED", "STOPPED"):
        _rest("PUT", f"{url}/resume")
    elif wanted == "paused" and state not in ("PAUSED", "STOPPED"):
        _rest("PUT", f"{url}/pause")
    elif wanted == "stopped" and state != "STOPPED":
        _rest("PUT", f"{url}/stop")
    if item["metadata"].get("annotations", {}).get(_RESTART) == "true":
        _rest("POST", f"{url}/restart?includeTasks=true")
        api.patch(item, {"metadata": {"annotations": {_RESTART: None}}})
    failed = [task["id"] for task in found["status"]["tasks"] if task["state"] == "FAILED"]
    said = conditions.ready(item)
    if failed or state == "FAILED":
        said = conditions.not_ready(
            item, "Throwable", f"The following tasks have failed: {', '.join(map(str, failed))}"
        )
        said |= _restarted(item, url)
    shown = {key: value for key, value in found["status"].items() if key != "type"}
    api.status(item, {**said, "connectorStatus": shown, "tasksMax": spec.get("tasksMax", 1)})


def _restarted(item: Object, url: str) -> Object:
    """Restart what failed, as often and as late as Strimzi does: after n² + n minutes, n times before."""
    rule = item["spec"].get("autoRestart", {})
    before = item.get("status", {}).get("autoRestart", {})
    count, now = before.get("count", 0), datetime.datetime.now(datetime.UTC)
    last = before.get("lastRestartTimestamp")
    waited = now - datetime.datetime.fromisoformat(last) if last else datetime.timedelta.max
    if not rule.get("enabled") or count >= rule.get("maxRestarts", 7):
        return {}
    if waited < datetime.timedelta(minutes=count * count + count):
        return {}
    _rest("POST", f"{url}/restart?includeTasks=true&onlyFailed=true")
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "autoRestart": {"count": count + 1, "connectorName": item["metadata"]["name"], "lastRestartTimestamp": stamp}
    }


def _rest(method: str, url: str, body: Object | None = None) -> Any:
    answer = requests.request(method, url, json=body, timeout=_LIMIT_S)
    if not answer.ok:
        raise requests.HTTPError(f"{method} {url}: {answer.status_code}: {answer.text[:500]}")
    return answer.json() if answer.content else None

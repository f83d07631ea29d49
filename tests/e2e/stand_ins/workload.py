"""One server as a StatefulSet of one pod, with its headless service. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from tests.e2e.stand_ins.api import Object

FILES = "/etc/stand-in"
"""The folder with a server's configuration."""
DATA = "/data"
UID = 10001


@dataclass(frozen=True)
class Workload:
    """`name` is that of the StatefulSet, of the secret with its configuration, and of its service account; its pod is
    `name`-`ordinal`."""

    name: str
    program: str
    image: str
    labels: dict[str, str]
    ports: dict[str, int]
    ready_port: int
    files: dict[str, str]
    service: str
    """The headless service that names the pod."""
    container: str
    heap: str = "256m"
    ordinal: int = 0
    storage: str | None = None
    resources: Object = field(default_factory=dict)
    account: str = "default"
    env: list[Object] = field(default_factory=list)
    probes: Object = field(default_factory=dict)
    """The container's probes, if they are not just a readiness probe of `ready_port`."""

    def documents(self) -> list[Object]:
        return [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": f"{self.name}-stand-in"},
                "stringData": self.files,
            },
            service(self.service, self.labels, self.ports, headless=True, early=True),
            self._stateful_set(),
        ]

    def _stateful_set(self) -> Object:
        digest = hashlib.sha256(json.dumps(self.files, sort_keys=True).encode()).hexdigest()[:16]
        return {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": self.name, "labels": self.labels},
            "spec": {
                "replicas": 1,
                "serviceName": self.service,
                "ordinals": {"start": self.ordinal},
                "selector": {"matchLabels": self.labels},
                "template": {
                    "metadata": {"labels": self.labels, "annotations": {"stand-in/files": digest}},
                    "spec": self._pod(),
                },
                **({"volumeClaimTemplates": [_claim(self.storage)]} if self.storage else {}),
            },
        }

    def _pod(self) -> Object:
        volumes = [{"name": "files", "secret": {"secretName": f"{self.name}-stand-in"}}]
        if not self.storage:
            volumes.append({"name": "data", "emptyDir": {}})
        return {
            "serviceAccountName": self.account,
            "terminationGracePeriodSeconds": 30,
            "securityContext": {"runAsNonRoot": True, "runAsUser": UID, "runAsGroup": UID, "fsGroup": UID},
            "containers": [
                {
                    "name": self.container,
                    "image": self.image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["python3", "-m", "tests.e2e.stand_ins.servers", self.program],
                    "env": [
                        {"name": "HEAP", "value": self.heap},
                        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                        *self.env,
                    ],
                    "ports": [{"name": name, "containerPort": port} for name, port in self.ports.items()],
                    "readinessProbe": {"tcpSocket": {"port": self.ready_port}, "periodSeconds": 2},
                    **self.probes,
                    "resources": self.resources,
                    "volumeMounts": [{"name": "files", "mountPath": FILES}, {"name": "data", "mountPath": DATA}],
                }
            ],
            "volumes": volumes,
        }


def service(
    name: str, selector: dict[str, str], ports: dict[str, int], *, headless: bool = False, early: bool = False
) -> Object:
    """`early`: its name also resolves to pods that are not ready."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "selector": selector,
            "ports": [{"name": each, "port": port} for each, port in ports.items()],
            "publishNotReadyAddresses": early,
            **({"clusterIP": "None"} if headless else {}),
        },
    }


def secret(name: str, data: dict[str, str], kind: str = "Opaque", labels: dict[str, str] | None = None) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": {"name": name, "labels": labels or {}},
        "stringData": data,
    }


def host_names(service_name: str, namespace: str) -> list[str]:
    """Return all DNS names of a service."""
    short = [service_name, f"{service_name}.{namespace}", f"{service_name}.{namespace}.svc"]
    return [*short, f"{short[-1]}.cluster.local"]


def _claim(size: str) -> Object:
    return {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}},
    }

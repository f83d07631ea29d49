"""A feed's programs as Kubernetes runs them: Deployments, Services, disruption budgets and network policies. Pure."""

from __future__ import annotations

import hashlib
import json

from cryptocdc_core.feed import CryptoFeed
from cryptocdc_core.names import source_of
from cryptocdc_operator.labels import Owner, labels, selector
from cryptocdc_operator.programs import HTTP_PORT, METRICS_PORT, Program
from cryptocdc_operator.settings import Object, OperatorSettings

USER = 10001
STOP_S = 45
"""A producer flushes and a consumer drains within 30 s; what is not acknowledged then is sent again."""
LEAVE_S = 5
"""What serves users goes on that long once it is told to stop: until all nodes have taken it out of its Service."""
READ = "cryptocdc.io/feed-digest"
"""Annotation of a pod: a digest of what its program reads of the feed at its start. Symbols are not among that."""

_SECRETS = "/var/run/secrets/cryptocdc"
_FEED = "/etc/cryptocdc"


def deployment(program: Program, feed: CryptoFeed, settings: OperatorSettings, owner: Owner) -> Object:
    """The pods' template depends on what the program reads at its start and on the operator's settings; never on
    symbols or scaling: they restart nothing."""
    name, found = f"{feed.name}-{program.component}", labels(feed.name, program.component)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": found, "ownerReferences": [owner.reference]},
        "spec": {
            "replicas": program.replicas,
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": selector(feed.name, program.component)},
            # The new one captures before the old one stops: what both capture falls to the key.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": found, "annotations": {READ: digest(program.inputs)}},
                "spec": pod(program, feed, settings),
            },
        },
    }


def pod(program: Program, feed: CryptoFeed, settings: OperatorSettings) -> Object:
    """What a program runs in: its settings, its secrets as files, the feed, and no right that it does not need."""
    environment = {
        "CRYPTOCDC_FEED": f"{_FEED}/feed.yaml",
        "CRYPTOCDC_SOURCE": source_of(feed.spec.exchange),
        "CRYPTOCDC_METRICS_PORT": str(METRICS_PORT),
        "CRYPTOCDC_LOG_FORMAT": "json",
        **program.environment,
        **{
            variable: f"{_SECRETS}/{secret.name}/{key}"
            for secret in program.secrets
            for variable, key in secret.files.items()
        },
    }
    health = {"httpGet": {"path": "/healthz", "port": "metrics"}}
    ready = {"httpGet": {"path": "/health", "port": "http"}} if program.http else health
    ports = {"metrics": METRICS_PORT} | ({"http": HTTP_PORT} if program.http else {})
    leave = {"preStop": {"exec": {"command": ["python3", "-c", f"import time; time.sleep({LEAVE_S})"]}}}
    pull = [{"name": name.strip()} for name in settings.image_pull_secrets.split(",") if name.strip()]
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": STOP_S,
        **({"imagePullSecrets": pull} if pull else {}),
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": selector(feed.name, program.component)},
            }
            for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ],
        "containers": [
            {
                "name": program.component,
                "image": program.image,
                "imagePullPolicy": settings.image_pull_policy,
                "env": [{"name": variable, "value": value} for variable, value in sorted(environment.items())],
                "ports": [
                    {"name": name, "containerPort": port, "protocol": "TCP"} for name, port in ports.items()
                ],
                **({"lifecycle": leave} if program.http else {}),
                "startupProbe": {**health, "periodSeconds": 2, "failureThreshold": 60},
                "readinessProbe": {**ready, "periodSeconds": 10, "timeoutSeconds": 5},
                "livenessProbe": {**health, "periodSeconds": 20, "timeoutSeconds": 5, "failureThreshold": 3},
                "resources": program.resources,
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "feed", "mountPath": _FEED, "readOnly": True},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's own
                    *(
                        {"name": f"secret-{at}", "mountPath": f"{_SECRETS}/{secret.name}", "readOnly": True}
                        for at, secret in enumerate(program.secrets)
                    ),
                ],
            }
        ],
        "volumes": [
            {"name": "feed", "configMap": {"name": f"{feed.name}-feed", "defaultMode": 0o444}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
            *(
                {
                    "name": f"secret-{at}",
                    "secret": {
                        "secretName": secret.name,
                        "defaultMode": 0o440,
                        # No more than the program reads.
                        "items": [{"key": key, "path": key} for key in sorted(set(secret.files.values()))],
                    },
                }
                for at, secret in enumerate(program.secrets)
            ),
        ],
    }  # fmt: skip


def disruption_budget(program: Program, feed: CryptoFeed, owner: Owner) -> Object | None:
    """One pod at a time may be evicted; None for a single one, which a budget could only hold fast. One that is not
    ready may always be evicted: pods that wait for a server on the node being drained would hold the drain up."""
    if program.replicas < 2:
        return None
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {
            "name": f"{feed.name}-{program.component}",
            "labels": labels(feed.name, program.component),
            "ownerReferences": [owner.reference],
        },
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": selector(feed.name, program.component)},
        },
    }


def service(program: Program, feed: CryptoFeed, owner: Owner) -> Object:
    """Where a program is found: by its users, else, pod by pod, by who reads its metrics, also when it is not well."""
    spec: Object = {"selector": selector(feed.name, program.component)}
    if program.http:
        spec["ports"] = [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    else:
        port = {"name": "metrics", "port": METRICS_PORT, "targetPort": "metrics", "protocol": "TCP"}
        spec |= {"clusterIP": "None", "publishNotReadyAddresses": True, "ports": [port]}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": f"{feed.name}-{program.component}",
            "labels": labels(feed.name, program.component),
            "ownerReferences": [owner.reference],
        },
        "spec": spec,
    }


def network_policy(program: Program, feed: CryptoFeed, owner: Owner) -> Object:
    """In: metrics, and what serves users. Out: names, and the servers' ports; those of this namespace only to pods of
    this namespace."""
    near = sorted({port for host, port in program.reaches if host and "." not in host})
    far = sorted({port for host, port in program.reaches if not host or "." in host})

    def ports(numbers: list[int]) -> list[Object]:
        return [{"protocol": "TCP", "port": number} for number in numbers]

    out: list[Object] = [{"ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]}]
    if near:
        out.append({"to": [{"podSelector": {}}], "ports": ports(near)})
    if far:
        out.append({"ports": ports(far)})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": f"{feed.name}-{program.component}",
            "labels": labels(feed.name, program.component),
            "ownerReferences": [owner.reference],
        },
        "spec": {
            "podSelector": {"matchLabels": selector(feed.name, program.component)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"ports": ports([METRICS_PORT, *([HTTP_PORT] if program.http else [])])}],
            "egress": out,
        },
    }


def digest(value: object) -> str:
    """Equal for equal values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]

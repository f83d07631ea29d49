"""The Deployments of a feed's programs, and their pods. Pure."""

from __future__ import annotations

import hashlib
import json

from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_operator.resources.labels import Owner, labels, selector
from cryptocdc_operator.resources.programs import FEED, HTTP_PORT, METRICS_PORT, Program
from cryptocdc_operator.resources.source import source_of
from cryptocdc_operator.settings import Object, OperatorSettings

USER = 10001
STOP_S = 45
"""A producer flushes and a consumer drains within 30 s; unacknowledged work is repeated."""
LEAVE_S = 5
"""A pod that serves users keeps running this long after it is asked to stop, until all nodes have removed it from its
Service."""
READ = "cryptocdc.io/feed-digest"
"""Annotation of a pod: a digest of its program's inputs. Symbols are not among them."""

_SECRETS = "/var/run/secrets/cryptocdc"
_POD_NAME = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}


def deployment(program: Program, feed: CryptoFeed, settings: OperatorSettings, owner: Owner) -> Object:
    """Return the Deployment. Its pod template depends on the program's inputs and the operator's settings, never on
    symbols or scaling, which restart nothing."""
    name, found = f"{feed.name}-{program.component}", labels(feed.name, program.component)
    # The new pod captures before the old one stops: what both capture has the same key.
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": found, "ownerReferences": [owner.reference]},
        "spec": {
            "replicas": program.replicas,
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": selector(feed.name, program.component)},
            "strategy": {"type": "Recreate"} if program.alone else rolling,
            "template": {
                "metadata": {"labels": found, "annotations": {READ: digest(program.inputs)}},
                "spec": pod(program, feed, settings),
            },
        },
    }


def pod(program: Program, feed: CryptoFeed, settings: OperatorSettings) -> Object:
    """Return the pod spec: settings, secrets as files, the feed, and no unnecessary privileges."""
    environment = {
        "CRYPTOCDC_FEED": f"{FEED}/feed.yaml",
        "CRYPTOCDC_SOURCE": source_of(feed, settings),
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
    ready = {"path": "/health", "port": "http"} if program.http else {"path": program.ready, "port": "metrics"}
    ports = {"metrics": METRICS_PORT, **({"http": HTTP_PORT} if program.http else {}), **program.ports}
    leave = {"preStop": {"exec": {"command": ["python3", "-c", f"import time; time.sleep({LEAVE_S})"]}}}
    pull = [{"name": name.strip()} for name in settings.image_pull_secrets.split(",") if name.strip()]
    return {
        **({"serviceAccountName": program.account} if program.account else {}),
        "automountServiceAccountToken": program.account is not None,
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
                "env": [
                    *([_POD_NAME] if program.account else []),
                    *({"name": variable, "value": value} for variable, value in sorted(environment.items())),
                ],
                "ports": [
                    {"name": name, "containerPort": port, "protocol": "TCP"} for name, port in ports.items()
                ],
                **({"lifecycle": leave} if program.http else {}),
                "startupProbe": {**health, "periodSeconds": 2, "failureThreshold": program.start_s // 2},
                "readinessProbe": {"httpGet": ready, "periodSeconds": 10, "timeoutSeconds": 5},
                "livenessProbe": {**health, "periodSeconds": 20, "timeoutSeconds": 5, "failureThreshold": 3},
                "resources": program.resources,
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "feed", "mountPath": FEED, "readOnly": True},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's own
                    *(
                        {"name": f"secret-{at}", "mountPath": f"{_SECRETS}/{secret.name}", "readOnly": True}
                        for at, secret in enumerate(program.secrets)
                    ),
                    *({"name": volume["name"], "mountPath": path} for path, volume in program.mounts.items()),
                ],
            }
        ],
        "volumes": [
            {"name": "feed", "configMap": {"name": f"{feed.name}-feed", "defaultMode": 0o444}},
            {"name": "tmp", "emptyDir": {"sizeLimit": program.scratch}},
            *(
                {
                    "name": f"secret-{at}",
                    "secret": {
                        "secretName": secret.name,
                        "defaultMode": 0o440,
                        # Only the keys that the program reads.
                        "items": [{"key": key, "path": key} for key in sorted(set(secret.files.values()))],
                    },
                }
                for at, secret in enumerate(program.secrets)
            ),
            *program.mounts.values(),
        ],
    }  # fmt: skip


def digest(value: object) -> str:
    """Return a digest that is equal for equal values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]

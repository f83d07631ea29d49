"""The Jobs of a feed: pods that end, and the one that loads past days from the exchange's archive. Pure."""

from __future__ import annotations

from cryptocdc_control.programs import workloads
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.planning.plan import Plan
from cryptocdc_operator.resources.labels import HISTORY, Owner, labels
from cryptocdc_operator.resources.programs import Program
from cryptocdc_operator.resources.workloads import READ, digest, pod
from cryptocdc_operator.settings import Object, OperatorSettings

ATTEMPTS = 20
"""Kubernetes waits between them, from ten seconds to six minutes: over an hour until servers answer again."""


def job_pod(program: Program, feed: CryptoFeed, settings: OperatorSettings) -> Object:
    """Return the pod spec of a program that ends."""
    spec = pod(program, feed, settings)
    (container,) = spec["containers"]
    for server_field in ("ports", "startupProbe", "readinessProbe", "livenessProbe"):
        del container[server_field]
    del spec["topologySpreadConstraints"]
    return spec | {"restartPolicy": "Never"}


def history_job(program: Program, plan: Plan, settings: OperatorSettings, owner: Owner) -> Object:
    """Return the Job that loads the archive. It stays when it has ended, as a record of what was loaded:
    another digest of its inputs needs another Job."""
    feed, inputs = plan.feed, workloads(plan)[HISTORY].inputs
    found = labels(feed.name, HISTORY)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": history_name(feed.name), "labels": found, "annotations": {READ: digest(inputs)},
            "ownerReferences": [owner.reference],
        },
        "spec": {
            "backoffLimit": ATTEMPTS,
            "template": {"metadata": {"labels": found}, "spec": job_pod(program, feed, settings)},
        },
    }  # fmt: skip


def history_name(feed: str) -> str:
    return f"{feed}-{HISTORY}"

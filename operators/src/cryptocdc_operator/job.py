"""Prints a Job that runs one command for a feed: the operator knows the images, addresses and secrets.

    kubectl exec deploy/cryptocdc-operator -- python -m cryptocdc_operator.job my-feed verify | kubectl create -f -

The user who creates the Job needs the permission for it; the operator does not.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

import kubernetes
import yaml

from cryptocdc_core.feed.model import CryptoFeed, parse
from cryptocdc_core.program.exits import BadInput, refusing_bad_input
from cryptocdc_operator.cluster.kubernetes_api import KubernetesCluster
from cryptocdc_operator.resources.jobs import job_pod
from cryptocdc_operator.resources.labels import labels
from cryptocdc_operator.resources.programs import Program, Secret, consumer, history, producer
from cryptocdc_operator.resources.source import source_of
from cryptocdc_operator.settings import Addresses, Object, OperatorSettings

TASKS = {
    "verify": ("cryptocdc_verifier.commands",),
    "backfill": ("cryptocdc_producer.commands",),
    "replay": ("cryptocdc_consumer.commands", "dlq", "replay"),
    "history-load": ("cryptocdc_history.commands", "history", "load"),
    "history-list": ("cryptocdc_history.commands", "history", "list"),
}
"""By task: the module that runs it, and its first arguments."""
KEPT_S = 86_400
"""A finished Job is removed after a day, with its log."""


class JobImpossible(BadInput):
    """It can't be made, and why."""


def job(
    task: str, arguments: Sequence[str], feed: CryptoFeed, settings: OperatorSettings, addresses: Addresses
) -> Object:
    """Return the Job for one of TASKS with the given arguments. It runs once: its exit code is the result. Raises
    JobImpossible."""
    found = labels(feed.name, task)
    spec = job_pod(_program(task, feed, settings, addresses), feed, settings)
    (container,) = spec["containers"]
    module, *first = TASKS[task]
    feed_arguments = ["--feed", "/etc/cryptocdc/feed.yaml", "--source", source_of(feed, settings)]
    container |= {"command": ["python", "-m", module], "args": [*first, *feed_arguments, *arguments]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": f"{feed.name}-{task}-", "labels": found},
        "spec": {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": KEPT_S,
            "template": {"metadata": {"labels": found}, "spec": spec},
        },
    }


def _program(task: str, feed: CryptoFeed, settings: OperatorSettings, addresses: Addresses) -> Program:
    captures, writes = producer(feed, settings, addresses), consumer(settings, addresses)
    if task == "backfill":
        return replace(captures, component=task)
    if task == "replay":
        return _joined(replace(writes, component=task), _only(captures, "POSTGRES"))
    if task.startswith("history"):
        if settings.history_image is None:
            raise JobImpossible(f"{settings.variable('history_image')}: must be set")
        return replace(history(feed, settings, addresses), component=task)
    if settings.verifier_image is None:
        raise JobImpossible(f"{settings.variable('verifier_image')}: must be set")
    connect = replace(_only(captures, "POSTGRES"), environment=addresses.of("postgres") | addresses.of("connect"))
    return _joined(replace(writes, component=task, image=settings.verifier_image), connect)


def _only(program: Program, server: str) -> Program:
    """Return the program with only the environment and secrets of one server."""
    prefix = f"CRYPTOCDC_{server}_"
    return replace(
        program,
        environment={name: value for name, value in program.environment.items() if name.startswith(prefix)},
        secrets=tuple(s for s in program.secrets if all(variable.startswith(prefix) for variable in s.files)),
    )


def _joined(program: Program, other: Program) -> Program:
    return replace(
        program,
        environment={**other.environment, **program.environment},
        secrets=tuple(_merged([*program.secrets, *other.secrets])),
    )


def _merged(secrets: list[Secret]) -> Iterable[Secret]:
    """Yield each secret once, also if two servers use it."""
    for name, same in groupby(sorted(secrets, key=lambda secret: secret.name), key=lambda secret: secret.name):
        yield Secret(name, {variable: key for secret in same for variable, key in secret.files.items()})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m cryptocdc_operator.job", description="Print a Job for a feed.")
    parser.add_argument("feed", help="the feed's name")
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="options of that command, except --feed")
    given = parser.parse_args()
    with refusing_bad_input():
        settings = OperatorSettings.from_env()
        kubernetes.config.load_incluster_config()  # type: ignore[no-untyped-call]
        cluster = KubernetesCluster(kubernetes.client.ApiClient(), settings.namespace)
        shared = cluster.find("ConfigMap", f"{given.feed}-feed")
        if shared is None:
            there = ", ".join(sorted(feed["metadata"]["name"] for feed in cluster.all("CryptoFeed"))) or "none yet"
            raise JobImpossible(f"{given.feed!r} is not a feed that the operator has applied; feeds: {there}")
        feed = parse(yaml.safe_load(shared["data"]["feed.yaml"]))
        made = job(given.task, given.arguments, feed, settings, Addresses.from_env(os.environ))
    print(json.dumps(made, indent=2))


if __name__ == "__main__":
    main()

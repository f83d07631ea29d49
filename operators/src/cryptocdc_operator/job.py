"""What a person has done once for a feed, as a Job: the operator knows images, addresses and secrets, and prints it.

    kubectl exec deploy/cryptocdc-operator -- python -m cryptocdc_operator.job my-feed verify | kubectl create -f -

Whoever creates the Job needs the right to; the operator needs none.
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

from cryptocdc_core.exits import BadInput, refusing_bad_input
from cryptocdc_core.feed import CryptoFeed, parse
from cryptocdc_core.names import source_of
from cryptocdc_operator.cluster.kubernetes_api import KubernetesCluster
from cryptocdc_operator.resources.labels import labels
from cryptocdc_operator.resources.programs import Program, Secret, consumer, producer
from cryptocdc_operator.resources.workloads import pod
from cryptocdc_operator.settings import Addresses, Object, OperatorSettings

TASKS = {
    "verify": ("cryptocdc_verifier.commands",),
    "backfill": ("cryptocdc_producer.commands",),
    "replay": ("cryptocdc_consumer.commands", "dlq", "replay"),
}
"""By what is to be done: the module that does it, and what it is told first."""
KEPT_S = 86_400
"""A Job that has ended goes after a day, with its log."""


class NoJob(BadInput):
    """It can't be made, and why."""


def job(
    task: str, arguments: Sequence[str], feed: CryptoFeed, settings: OperatorSettings, addresses: Addresses
) -> Object:
    """One of TASKS with what it is told beyond the feed; tried once: its exit code is its answer. Raises NoJob."""
    found = labels(feed.name, task)
    spec = pod(_program(task, feed, settings, addresses), feed, settings)
    (container,) = spec["containers"]
    for of_a_server in ("ports", "startupProbe", "readinessProbe", "livenessProbe"):
        del container[of_a_server]
    del spec["topologySpreadConstraints"]
    module, *first = TASKS[task]
    feeds_own = ["--feed", "/etc/cryptocdc/feed.yaml", "--source", source_of(feed.spec.exchange)]
    container |= {"command": ["python", "-m", module], "args": [*first, *feeds_own, *arguments]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": f"{feed.name}-{task}-", "labels": found},
        "spec": {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": KEPT_S,
            "template": {"metadata": {"labels": found}, "spec": spec | {"restartPolicy": "Never"}},
        },
    }


def _program(task: str, feed: CryptoFeed, settings: OperatorSettings, addresses: Addresses) -> Program:
    captures, writes = producer(feed, settings, addresses), consumer(settings, addresses)
    if task == "backfill":
        return replace(captures, component=task)
    if task == "replay":
        return _joined(replace(writes, component=task), _only(captures, "POSTGRES"))
    if settings.verifier_image is None:
        raise NoJob(f"{settings.variable('verifier_image')}: must be set")
    connect = replace(_only(captures, "POSTGRES"), environment=addresses.of("postgres") | addresses.of("connect"))
    return _joined(replace(writes, component=task, image=settings.verifier_image), connect)


def _only(program: Program, server: str) -> Program:
    """The program with what it needs of one server."""
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
    """A secret of two servers is mounted once."""
    for name, same in groupby(sorted(secrets, key=lambda secret: secret.name), key=lambda secret: secret.name):
        yield Secret(name, {variable: key for secret in same for variable, key in secret.files.items()})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m cryptocdc_operator.job", description="Print a Job for a feed.")
    parser.add_argument("feed", help="its name")
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of the command of that name, without --feed")
    told = parser.parse_args()
    with refusing_bad_input():
        settings = OperatorSettings.from_env()
        kubernetes.config.load_incluster_config()  # type: ignore[no-untyped-call]
        cluster = KubernetesCluster(kubernetes.client.ApiClient(), settings.namespace)
        shared = cluster.find("ConfigMap", f"{told.feed}-feed")
        if shared is None:
            there = ", ".join(sorted(feed["metadata"]["name"] for feed in cluster.all("CryptoFeed"))) or "none yet"
            raise NoJob(f"{told.feed!r} is no feed that the operator has brought up; feeds: {there}")
        feed = parse(yaml.safe_load(shared["data"]["feed.yaml"]))
        made = job(told.task, told.arguments, feed, settings, Addresses.from_env(os.environ))
    print(json.dumps(made, indent=2))


if __name__ == "__main__":
    main()

"""The state of an installation when a scenario fails: everything in files, and one page for the log."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tests.e2e.cluster import Cluster, CommandError, Object

OUT = Path(__file__).parent / "out"
STAND_INS = "stand-ins"
KINDS = ",".join(
    (
        "cryptofeeds", "kafkas", "kafkaconnects", "kafkaconnectors", "kafkatopics", "clusters.postgresql.cnpg.io",
        "k8ssandraclusters", "kafkausers", "kafkanodepools", "databaseroles", "deployments", "statefulsets", "jobs",
        "services", "persistentvolumeclaims", "configmaps", "poddisruptionbudgets", "networkpolicies", "podmonitors",
    )
)  # fmt: skip
LIMIT_S = 60
EVENTS, LINES = 25, 15
"""Limits of the excerpt: the newest events, and the last log lines of each unhealthy program."""


def keep(cluster: Cluster, folder: Path) -> None:
    """Save resources, events and logs, including those of dead containers. Whatever is unavailable is left out."""
    folder.mkdir(parents=True, exist_ok=True)

    def write(name: str, *arguments: str, within: Cluster = cluster) -> None:
        with contextlib.suppress(CommandError):
            (folder / name).write_text(within.kubectl(*arguments, limit_s=LIMIT_S), encoding="utf-8")

    write("events.txt", "get", "events", "--sort-by=.lastTimestamp")
    write("nodes.txt", "describe", "nodes")
    write("pods.txt", "get", "pods", "-o", "wide")
    write("pods-described.txt", "describe", "pods")
    write("resources.yaml", "get", KINDS, "-o", "yaml")
    for namespace in (cluster.namespace, STAND_INS):
        its = Cluster(cluster.context, namespace)
        with contextlib.suppress(CommandError):
            for pod in its.find("pods"):
                name = pod["metadata"]["name"]
                logs = ["logs", name, "--all-containers", "--tail=5000"]
                write(f"{name}.log", *logs, within=its)
                write(f"{name}.previous.log", *logs, "--previous", within=its)


def excerpt(cluster: Cluster) -> str:
    """Return the feeds' conditions, the pods, the newest events, and the last log lines of the operator and of unready
    pods."""
    parts = [
        _said(cluster, "get", "cryptofeeds"),
        *(_conditions(feed) for feed in _found(cluster, "cryptofeeds")),
        _said(cluster, "get", "pods", "-o", "wide"),
        "\n".join(_said(cluster, "get", "events", "--sort-by=.lastTimestamp").splitlines()[-EVENTS:]),
    ]
    for pod in _found(cluster, "pods"):
        name = pod["metadata"]["name"]
        well = all(each["ready"] for each in pod["status"].get("containerStatuses", []))
        if "-operator-" in name or not well:
            parts.append(f"{name}:\n" + _said(cluster, "logs", name, f"--tail={LINES}"))
    return "\n\n".join(parts)


def _conditions(feed: Object) -> str:
    """Return one line per condition, with its observed generation."""
    lines = [f"{feed['metadata']['name']}, generation {feed['metadata']['generation']}:"]
    for it in feed.get("status", {}).get("conditions", []):
        of = it.get("observedGeneration", "?")
        lines.append(f"  {it['type']} is {it['status']} ({of}): {it['reason']}: {it['message']}")
    return "\n".join(lines)


def _found(cluster: Cluster, kind: str) -> list[Object]:
    try:
        return cluster.find(kind)
    except CommandError:
        return []


def _said(cluster: Cluster, *arguments: str) -> str:
    try:
        return cluster.kubectl(*arguments, limit_s=LIMIT_S).rstrip()
    except CommandError as error:
        return str(error)

"""One installation for all scenarios, and what is left of it where one fails."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import environment
from tests.e2e.cluster import Cluster, CommandError
from tests.e2e.feeds import Feed

OUT = Path(__file__).parent / "out"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One that is made here goes when all is over; what it was is in `out/`."""
    if missing := environment.lacking():
        pytest.skip(missing)
    found = bool(os.environ.get("KUBECONFIG")) or environment.there()
    yield environment.up()
    if not found:
        environment.down()


@pytest.fixture(scope="session")
def feed(cluster: Cluster) -> Iterator[Feed]:
    """The feed that lives through most of the scenarios. Ten symbols make some hundred rows a second."""
    it = Feed(cluster, "majors")
    it.apply(SYMBOLS)
    yield it
    it.delete()


SYMBOLS = [
    "ADAUSDT",
    "AVAXUSDT",
    "BNBUSDT",
    "BTCUSDT",
    "DOGEUSDT",
    "DOTUSDT",
    "ETHUSDT",
    "LTCUSDT",
    "SOLUSDT",
    "XRPUSDT",
]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    found = getattr(item, "funcargs", {}).get("cluster")
    if call.excinfo is not None and isinstance(found, Cluster):
        keep(found, OUT / item.name.replace("/", "-"))
    return report


def keep(cluster: Cluster, folder: Path) -> None:
    """Resources, events and logs, the logs of programs that died as well."""
    folder.mkdir(parents=True, exist_ok=True)

    def write(name: str, *arguments: str, within: Cluster = cluster) -> None:
        with contextlib.suppress(CommandError):
            (folder / name).write_text(within.kubectl(*arguments, limit_s=60), encoding="utf-8")

    write("events.txt", "get", "events", "--sort-by=.lastTimestamp")
    write("pods.txt", "get", "pods", "-o", "wide")
    write("pods-described.txt", "describe", "pods")
    kinds = "cryptofeeds,kafkas,kafkaconnects,kafkaconnectors,kafkatopics,clusters.postgresql.cnpg.io,k8ssandraclusters"
    write("resources.yaml", "get", f"{kinds},deployments,statefulsets,configmaps", "-o", "yaml")
    for namespace in (cluster.namespace, "stand-ins"):
        its = Cluster(cluster.context, namespace)
        for pod in its.find("pods"):
            name = pod["metadata"]["name"]
            write(f"{name}.log", "logs", name, "--all-containers", "--tail=5000", within=its)
            write(f"{name}.previous.log", "logs", name, "--all-containers", "--previous", "--tail=5000", within=its)

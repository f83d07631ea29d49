"""One installation for all scenarios, and what is left of it where one fails."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import pytest

from tests.e2e import environment, remains
from tests.e2e.cluster import Cluster
from tests.e2e.feeds import Feed

CLUSTER = pytest.StashKey[Cluster]()
"""Also known where the installation itself fails."""


@pytest.fixture(scope="session")
def bare(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """A cluster with the images in it and nothing else. One that is made here goes when all is over; what it was is in
    `out/`."""
    if missing := environment.lacking():
        pytest.skip(missing)
    found = bool(os.environ.get("KUBECONFIG")) or environment.there()
    pytestconfig.stash[CLUSTER] = made = environment.prepare()
    yield made
    if not found:
        environment.down()


@pytest.fixture(scope="session")
def cluster(bare: Cluster) -> Cluster:
    environment.install(bare)
    return bare


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
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Of a failure, files to look into and a page to read."""
    report = yield
    cluster = item.config.stash.get(CLUSTER, None)
    if report.failed and cluster is not None:
        folder = remains.OUT / item.name.replace("/", "-")
        remains.keep(cluster, folder)
        report.sections.append((f"what was there, more in {folder}", remains.excerpt(cluster)))
    return report

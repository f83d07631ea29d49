"""One installation for all scenarios, and its diagnostics if one fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator

import pytest

from tests.e2e import diagnostics, environment
from tests.e2e.cluster import Cluster, CommandError
from tests.e2e.feeds import Feed

CLUSTER = pytest.StashKey[Cluster]()
"""Set even if the installation itself fails."""


@pytest.fixture(scope="session")
def bare(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """A cluster with only the images. If it is created here, it is deleted at the end; its state is saved in `out/`."""
    if missing := environment.lacking():
        pytest.skip(missing)
    found = bool(os.environ.get("KUBECONFIG")) or environment.there()
    pytestconfig.stash[CLUSTER] = made = environment.prepare()
    yield made
    if not found:
        try:
            environment.down()
        except CommandError as error:  # the engine's failure, not the product's: every test has ended
            print(f"the cluster is left behind; `make kind-down` removes it: {error}", file=sys.stderr)


@pytest.fixture(scope="session")
def cluster(bare: Cluster) -> Cluster:
    environment.install(bare)
    return bare


@pytest.fixture(scope="session")
def feed(cluster: Cluster) -> Iterator[Feed]:
    """The feed used by most scenarios. Ten symbols produce some hundred rows per second."""
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
    """Save the state of the installation after a failure, and add an excerpt to the report."""
    report = yield
    cluster = item.config.stash.get(CLUSTER, None)
    if report.failed and cluster is not None:
        folder = diagnostics.OUT / item.name.replace("/", "-")
        diagnostics.keep(cluster, folder)
        report.sections.append((f"state of the installation, more in {folder}", diagnostics.excerpt(cluster)))
    return report

"""Six of the worst faults of the matrix (docs/faults.md), each with one seed. `make faults` runs all of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from cryptocdc_local.platform import Platform
from tests.faults.cell import run_cell
from tests.faults.matrix import FAULTS
from tests.faults.platform import EXCHANGE, ProxiedPlatform

pytestmark = pytest.mark.platform

WORST = {
    "kill-consumer-in-mid-batch": 1, "slot-dropped": 1, "slot-ahead": 1, "standby-promoted": 1, "exchange-gaps": 7,
    "exchange-burst": 1,
}  # fmt: skip
"""By name, the seed."""


@pytest.fixture(scope="module")
def proxied(platform: Platform, simulator_port: int) -> Iterator[ProxiedPlatform]:
    """The run's platform, with a proxy in front of what needs no other configuration of the servers for it."""
    links = (EXCHANGE, "postgres", "cassandra")
    made = ProxiedPlatform(platform.settings, simulator_port, simulator_port + 10, links)
    with made.proxy:
        yield made


@pytest.mark.parametrize(("name", "seed"), WORST.items())
def test_a_fault_under_load_ends_as_declared(proxied: ProxiedPlatform, name: str, seed: int) -> None:
    (fault,) = (fault for fault in FAULTS if fault.name == name)
    result = run_cell(proxied, fault, seed, "", lambda text: print(text, file=sys.stderr))
    assert not result.problem, result
    assert (result.missing, result.extra, result.different) == (0, 0, 0)

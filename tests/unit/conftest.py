"""What holds for all unit tests."""

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def _after_the_servers() -> None:
    """Beside a worker that runs servers, unit tests take only the CPU time that it leaves: they have no time limits."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.nice(19)

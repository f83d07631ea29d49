"""The embedded platform, started once for the run, beside whatever `make run` uses: its own folder, its own ports."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from cryptocdc_local.applier import Servers
from cryptocdc_local.platform import Endpoints, Platform, PlatformSettings, Ports
from cryptocdc_local.platform.progress import shown

TEST_PORTS = Ports(
    postgres=25432, kafka=29092, kafka_controller=29093, connect=28083, cassandra=29042, cassandra_internode=27000
)
SIMULATOR_PORT = 28090


def _home() -> Path:
    """Jars and PostgreSQL's programs are kept there from run to run; data never is."""
    chosen = os.environ.get("CRYPTOCDC_TEST_HOME")
    if chosen:
        return Path(chosen)
    return Path("/var/lib/cryptocdc-test") if os.geteuid() == 0 else Path.cwd() / ".cryptocdc" / "test"


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """The platform, up, from empty data folders; stopped at the end of the run."""
    home = _home()
    running = Platform(PlatformSettings(home, TEST_PORTS))
    running.stop()
    for folder in ("data", "log", "run", "feeds"):
        shutil.rmtree(home / folder, ignore_errors=True)
    with shown(Console(stderr=True)) as steps:
        running.start(steps)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def endpoints(platform: Platform) -> Endpoints:
    return platform.endpoints()


@pytest.fixture(scope="session")
def servers(endpoints: Endpoints) -> Servers:
    return Servers.from_env(endpoints.environment())


@pytest.fixture(scope="session")
def command_environment(platform: Platform, endpoints: Endpoints) -> dict[str, str]:
    """What a subprocess needs for `cryptocdc` to work on the test platform."""
    ports = {f"CRYPTOCDC_{name.upper()}_PORT": str(port) for name, port in vars(platform.settings.ports).items()}
    return {
        **os.environ,
        **endpoints.environment(),
        **ports,
        "CRYPTOCDC_HOME": str(platform.settings.home),
        "CRYPTOCDC_SIMULATOR_PORT": str(SIMULATOR_PORT),
    }

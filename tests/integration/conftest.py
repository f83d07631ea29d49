"""The embedded platform, started once for the run, beside whatever `make run` uses: its own folder, its own ports."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cryptocdc_core.catalogue import STREAMS
from cryptocdc_core.feed import model as feeds
from cryptocdc_local import applier
from cryptocdc_local.applier import Servers
from cryptocdc_local.platform import Endpoints, Platform, PlatformSettings, Ports
from cryptocdc_local.platform.machine import port_is_free
from cryptocdc_local.platform.platform import SERVERS
from cryptocdc_local.platform.progress import Silent, shown
from cryptocdc_local.platform.settings import MetricsPorts
from cryptocdc_local.running import run
from cryptocdc_local.running.exchange_choice import choose
from tests.integration.api_client import free_port

FIRST_PORTS = Ports(
    postgres=16432,
    kafka=16092,
    kafka_controller=16093,
    connect=16083,
    cassandra=16042,
    cassandra_internode=16700,
    api=16080,
)
FIRST_SIMULATOR_PORT = 16090


def _free_ports() -> tuple[Ports, int]:
    """Ports of the platform and of the simulator, a thousand further on for every test run that goes on already."""
    for offset in range(0, 10_000, 1000):
        ports = Ports(**{name: port + offset for name, port in vars(FIRST_PORTS).items()})
        simulator = FIRST_SIMULATOR_PORT + offset
        if all(port_is_free(port) for port in (*vars(ports).values(), simulator)):
            return ports, simulator
    raise AssertionError("no free ports from 16042 to 26700")


def home_folder() -> Path:
    """Jars and PostgreSQL's programs are kept there from run to run; data never is."""
    chosen = os.environ.get("CRYPTOCDC_TEST_HOME")
    if chosen:
        return Path(chosen)
    return Path("/var/lib/cryptocdc-test") if os.geteuid() == 0 else Path.cwd() / ".cryptocdc" / "test"


@pytest.fixture(scope="session")
def free_ports() -> tuple[Ports, int]:
    Platform(PlatformSettings(home_folder(), FIRST_PORTS)).stop()  # what a killed run left behind
    return _free_ports()


@pytest.fixture(scope="session")
def simulator_port(free_ports: tuple[Ports, int]) -> int:
    return free_ports[1]


@pytest.fixture(scope="session")
def platform(free_ports: tuple[Ports, int]) -> Iterator[Platform]:
    """The platform, up, from empty data folders; stopped at the end of the run."""
    home = home_folder()
    running = Platform(PlatformSettings(home, free_ports[0]))
    for folder in ("data", "log", "run", "feeds"):
        shutil.rmtree(home / folder, ignore_errors=True)
    with shown(Console(stderr=True)) as steps:
        running.start(steps)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def metrics_ports() -> MetricsPorts:
    """The same for the whole run: a JVM serves at one port until it ends."""
    return MetricsPorts(**{server: free_port() for server in SERVERS})


@pytest.fixture(scope="session")
def endpoints(platform: Platform) -> Endpoints:
    return platform.endpoints()


@pytest.fixture(scope="session")
def servers(endpoints: Endpoints) -> Servers:
    return Servers.from_env(endpoints.environment())


@pytest.fixture(scope="session")
def command_environment(platform: Platform, endpoints: Endpoints, simulator_port: int) -> dict[str, str]:
    """What a subprocess needs for `cryptocdc` to work on the test platform."""
    ports = {f"CRYPTOCDC_{name.upper()}_PORT": str(port) for name, port in vars(platform.settings.ports).items()}
    return {
        **os.environ,
        **endpoints.environment(),
        **ports,
        "CRYPTOCDC_HOME": str(platform.settings.home),
        "CRYPTOCDC_SIMULATOR_PORT": str(simulator_port),
    }


Document = dict[str, Any]

ALL_STREAMS: Document = {
    "recentTrades": {"source": "websocket", "kind": "aggregate"},
    "klines": {"source": "websocket", "intervals": ["1m"]},
    "crypto24hStats": {"source": "websocket"},
    "latestPrices": {"source": "websocket"},
    "orderBook": {"source": "websocket", "depth": 20, "interval": "1s"},
    "bestQuotes": {"interval": "1s"},
}
CAPTURED = [STREAMS[name] for name in ALL_STREAMS]
"""All streams that the simulated spot market has."""
PERPETUAL_STREAMS: Document = {"markPrices": {"interval": "1s"}, "openInterest": {"period": "2s"}, "liquidations": {}}
PERPETUAL_TABLES = tuple(STREAMS[name].table for name in PERPETUAL_STREAMS)


def feed_document(name: str, symbols: list[str] | int, streams: Document | None = None, **spec: Any) -> Document:
    """A feed of the simulator, without a past; `symbols` are names, or how many of the most traded."""
    wanted = {"top": {"count": symbols}} if isinstance(symbols, int) else {"names": symbols}
    return {
        "apiVersion": "cryptocdc.io/v1alpha1",
        "kind": "CryptoFeed",
        "metadata": {"name": name},
        "spec": {
            "exchange": "simulated",
            "symbols": wanted,
            "streams": streams or ALL_STREAMS,
            "history": {"klines": "0s"},
            "scaling": {"partitions": 6, "producers": 1, "consumers": 1},
            "endpoints": {},
            **spec,
        },
    }


Starter = Callable[..., contextlib.AbstractContextManager[run.Run]]


@contextlib.contextmanager
def starter(platform: Platform, simulator_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Starter]:
    """What starts a run of a feed: `with start(document) as it: …`. `simulator` holds the simulator's settings.

    Every feed is deleted at the end of the block: a connector that idles on would slow all later tests.
    """
    ran: dict[str, run.Run] = {}

    @contextlib.contextmanager
    def start(document: Document, source: str = "simulated", **simulator: object) -> Iterator[run.Run]:
        monkeypatch.setenv("CRYPTOCDC_SIMULATOR_PORT", str(simulator_port))
        for name, value in simulator.items():
            monkeypatch.setenv(f"CRYPTOCDC_SIMULATOR_{name.upper()}", str(value))
        chosen = choose(feeds.parse(document), source)
        with run.started(platform, document, chosen, Silent(), lambda step: print(step, file=sys.stderr)) as it:
            ran[it.plan.names.fid] = it
            yield it

    yield start
    for it in ran.values():
        applier.delete(it.plan, it.servers, lambda _: None, everything=True)
        it.store.delete(it.plan.names.fid)


@pytest.fixture
def start(platform: Platform, simulator_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Starter]:
    with starter(platform, simulator_port, monkeypatch) as made:
        yield made

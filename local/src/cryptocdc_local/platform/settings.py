"""Settings of the embedded platform: home folder, ports, and the servers' memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from cryptocdc_core.program.settings import API_PORT, CASSANDRA_PORT, CONNECT_PORT, KAFKA_PORT, POSTGRES_PORT
from cryptocdc_local.platform.errors import PlatformError

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    """TCP ports, all on the loopback interface. Each is set by `CRYPTOCDC_<FIELD>_PORT`."""

    postgres: int = POSTGRES_PORT
    kafka: int = KAFKA_PORT
    kafka_controller: int = 19093  # the broker's connection to its KRaft quorum of one
    connect: int = CONNECT_PORT
    cassandra: int = CASSANDRA_PORT
    cassandra_internode: int = 17000  # Cassandra opens it even when alone
    api: int = API_PORT  # of the program, not of a server


@dataclass(frozen=True)
class Heaps:
    """The largest heap of each JVM in MiB; set by `CRYPTOCDC_<FIELD>_HEAP_MB`."""

    kafka: int = 128
    connect: int = 256
    cassandra: int = 320


@dataclass(frozen=True)
class MetricsPorts:
    """Ports of the servers' own metrics, if served; set by `CRYPTOCDC_<FIELD>_METRICS_PORT`."""

    postgres: int = 19187
    kafka: int = 19404
    connect: int = 19405
    cassandra: int = 19500


@dataclass(frozen=True)
class DashboardPorts:
    """Ports of `cryptocdc grafana`, on the loopback interface; set by `CRYPTOCDC_<FIELD>_PORT`."""

    grafana: int = 3000
    prometheus: int = 9090


@dataclass(frozen=True)
class PlatformSettings:
    """`server_metrics`: a run also serves the servers' own metrics (`CRYPTOCDC_SERVER_METRICS`, on or off).

    `api_host`: the address on which a run's API listens (`CRYPTOCDC_API_HOST`). `programs`: the folder of the servers'
    programs if not in the home folder (`CRYPTOCDC_LIB`); the all-in-one image has them outside its volume.
    """

    home: Path
    ports: Ports = field(default_factory=Ports)
    heaps: Heaps = field(default_factory=Heaps)
    metrics_ports: MetricsPorts = field(default_factory=MetricsPorts)
    server_metrics: bool = False
    api_host: str = LOOPBACK
    programs: Path | None = None
    first_metrics_port: int | None = None
    """The first port of the metrics of a feed's programs, of all kinds, so that platforms beside each other do not take
    each other's; None: each kind has its own, see FIRST_METRICS_PORT."""
    dashboard_ports: DashboardPorts = field(default_factory=DashboardPorts)

    @property
    def log(self) -> Path:
        return self.home / "log"

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def run(self) -> Path:
        """Pid files and the generated configuration of the servers."""
        return self.home / "run"

    def targets(self, fid: str) -> Path:
        """Return the file in which Prometheus finds the programs of the feed with that identity (file_sd)."""
        return self.run / "targets" / f"{fid}.json"

    @property
    def server_targets(self) -> Path:
        """The file in which Prometheus finds the servers. No feed's identity contains a hyphen."""
        return self.targets("the-servers")

    @property
    def lib(self) -> Path:
        """The servers' programs: jars and PostgreSQL's binaries."""
        return self.programs or self.home / "lib"

    @property
    def cache(self) -> Path:
        """Files that speed up a start and may be lost."""
        return self.home / "cache"

    @property
    def temporary(self) -> Path:
        """Native libraries are unpacked here; `/tmp` may be mounted noexec."""
        return self.home / "tmp"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> PlatformSettings:
        """Read `CRYPTOCDC_HOME`, `_LIB`, `_*_PORT`, `_*_HEAP_MB`, `_API_HOST` and `_SERVER_METRICS`.

        Raises PlatformError, which names the variable and what it accepts, if one is invalid.
        """
        metrics = {
            f.name: _number(environ, f"{f.name}_METRICS_PORT", f.default, 1, 65535) for f in fields(MetricsPorts)
        }
        lib = environ.get("CRYPTOCDC_LIB")
        return cls(
            home=_usable(home(environ)),
            ports=Ports(**{f.name: _number(environ, f"{f.name}_PORT", f.default, 1, 65535) for f in fields(Ports)}),
            heaps=Heaps(**{f.name: _number(environ, f"{f.name}_HEAP_MB", f.default, 64, 32768) for f in fields(Heaps)}),
            metrics_ports=MetricsPorts(**metrics),
            dashboard_ports=DashboardPorts(
                **{f.name: _number(environ, f"{f.name}_PORT", f.default, 1, 65535) for f in fields(DashboardPorts)}
            ),
            server_metrics=_switch(environ, "SERVER_METRICS"),
            api_host=environ.get("CRYPTOCDC_API_HOST") or LOOPBACK,
            programs=_usable(Path(lib).expanduser().absolute()) if lib else None,
        )


def home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return `CRYPTOCDC_HOME` if it is set; otherwise `/var/lib/cryptocdc` for root, because PostgreSQL refuses root
    and the user that it runs as can't read a clone under `/root`; otherwise `.cryptocdc` in the working folder."""
    if chosen := environ.get("CRYPTOCDC_HOME"):
        return Path(chosen).expanduser().absolute()
    return Path("/var/lib/cryptocdc") if os.geteuid() == 0 else Path.cwd() / ".cryptocdc"


def _usable(home: Path) -> Path:
    """Refuse characters that separate entries in Java's class path and Kafka's lists of folders, and can't be
    escaped."""
    if parting := sorted(set(str(home)) & set(',:"\n')):
        raise PlatformError(
            f"{home}: the servers can't use a folder with {' or '.join(map(repr, parting))} in its path",
            "choose another with CRYPTOCDC_HOME",
        )
    return home


def _number(environ: Mapping[str, str], suffix: str, default: object, least: int, most: int) -> int:
    name = f"CRYPTOCDC_{suffix.upper()}"
    text = environ.get(name, str(default))
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise PlatformError(f"{name} is {text!r}", f"set {name} to a whole number from {least} to {most}")
    return int(text)


def _switch(environ: Mapping[str, str], suffix: str) -> bool:
    name = f"CRYPTOCDC_{suffix}"
    text = environ.get(name, "off")
    if text not in ("on", "off"):
        raise PlatformError(f"{name} is {text!r}", f"set {name} to on or off")
    return text == "on"

"""Grafana, where it is on the machine, with the data sources and dashboards of this project: until Ctrl-C.

Grafana is in no package registry that this project uses, so it is found and not fetched.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptocdc_core.settings import SimulatorSettings
from cryptocdc_local.platform import grafana_files
from cryptocdc_local.platform.alert_printer import alerts_printed
from cryptocdc_local.platform.endpoints import READER, Endpoints
from cryptocdc_local.platform.errors import PlatformError
from cryptocdc_local.platform.prometheus import prometheus_running
from cryptocdc_local.platform.settings import LOOPBACK, DashboardPorts, PlatformSettings

PLUGINS = ("hadesarchitect-cassandra-datasource", "yesoreyeram-infinity-datasource")
HOMES = (Path("/usr/share/grafana"),)
"""Where packages put what the server needs beside its program; an archive has it in the folder above `bin`."""


def find() -> Path:
    """Its server. Raises PlatformError with where to get it."""
    found = shutil.which("grafana-server", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))
    if found is None:
        raise PlatformError(
            "there is no grafana-server on this machine",
            "install Grafana 12 from its vendor's apt repository or archive, put grafana-server on the PATH, and run"
            " `make grafana` again; docs/grafana.md says how to use one that runs elsewhere",
        )
    return Path(found).resolve()


def url(ports: DashboardPorts) -> str:
    return f"http://{LOOPBACK}:{ports.grafana}"


def environment(
    endpoints: Endpoints, password: str, api: str, ports: DashboardPorts, folder: Path, state: Path
) -> dict[str, str]:
    """What Grafana's own settings and the provisioning files are filled in with: those of `folder`, and in `state` what
    `provision` puts there."""
    own = {
        "URL": url(ports),
        "CASSANDRA": f"{endpoints.cassandra_hosts}:{endpoints.cassandra_port}",
        "POSTGRES": f"{endpoints.postgres_host}:{endpoints.postgres_port}",
        "DATABASE": endpoints.postgres_database,
        "SSLMODE": "disable",  # loopback
        "READER": READER,
        "PASSWORD": password,
        "API": api,
        "PROMETHEUS": f"http://{LOOPBACK}:{ports.prometheus}",
        "DASHBOARDS": str(folder / "dashboards"),
    }
    grafana = {
        "PATHS_PROVISIONING": str(state / "provisioning"),
        "PATHS_DATA": str(state),
        "PATHS_LOGS": str(state / "log"),
        "PATHS_PLUGINS": str(state / "plugins"),
        "SERVER_HTTP_ADDR": LOOPBACK,
        "SERVER_HTTP_PORT": str(ports.grafana),
        "DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": str(folder / "dashboards" / "home.json"),
        "PLUGINS_PREINSTALL": ",".join(PLUGINS),
        # It listens on loopback and its users of the databases only read: no login.
        "AUTH_ANONYMOUS_ENABLED": "true",
        "AUTH_DISABLE_LOGIN_FORM": "true",
        "SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "true",
        "ANALYTICS_REPORTING_ENABLED": "false",
        "ANALYTICS_CHECK_FOR_UPDATES": "false",
    }
    return {
        **{f"CRYPTOCDC_GRAFANA_{name}": value for name, value in own.items()},
        **{f"GF_{name}": value for name, value in grafana.items()},
    }


def provision(folder: Path, state: Path, notifications: str) -> None:
    """Put the provisioning files of `folder` into `state`, and beside them whom alerts notify."""
    target = state / "provisioning"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder / "provisioning", target)
    file = target / "alerting" / "notifications.yaml"
    file.touch(mode=0o600)  # a webhook's URL may be a secret
    file.write_text(notifications, encoding="utf-8")


def serve(
    settings: PlatformSettings, given: Mapping[str, str], folder: Path, report: Callable[[str], None],
    environ: Mapping[str, str] = os.environ,
) -> int:  # fmt: skip
    """Until it ends; its exit code. A Prometheus that is on the machine runs beside it. Raises PlatformError for a
    receiver of alerts that can't be used."""
    program = find()
    home = next((home for home in (*HOMES, program.parent.parent) if (home / "conf").is_dir()), None)
    state = Path(given["GF_PATHS_DATA"])
    state.mkdir(parents=True, exist_ok=True)
    arguments = [str(program), *([f"--homepath={home}"] if home else [])]
    configuration = grafana_files.prometheus(settings, SimulatorSettings.from_env(environ).port)
    scraping = prometheus_running(
        settings.home / "prometheus", configuration, settings.dashboard_ports.prometheus, report
    )
    with alerts_printed(report) as printed_at, scraping:
        provision(folder, state, grafana_files.notifications(environ, printed_at))
        # Ctrl-C reaches it as well: it is waited for, not killed.
        process = subprocess.Popen(arguments, env={**environ, **given})
        while True:
            with contextlib.suppress(KeyboardInterrupt):
                return process.wait()

"""Runs an installed Grafana with this project's data sources and dashboards until Ctrl-C.

Grafana is in no package registry that this project uses, so it is not downloaded.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptocdc_core.program.settings import SimulatorSettings
from cryptocdc_local.platform.endpoints import READER, Endpoints
from cryptocdc_local.platform.errors import PlatformError
from cryptocdc_local.platform.monitoring import grafana_files
from cryptocdc_local.platform.monitoring.alert_printer import alerts_printed
from cryptocdc_local.platform.monitoring.prometheus import prometheus_running
from cryptocdc_local.platform.settings import LOOPBACK, DashboardPorts, PlatformSettings

PLUGINS = ("hadesarchitect-cassandra-datasource", "yesoreyeram-infinity-datasource")
HOMES = (Path("/usr/share/grafana"),)
"""Where packages put the files that the server needs; an archive has them in the folder above `bin`."""


def find() -> Path:
    """Return the path of grafana-server. Raises PlatformError, which says where to get it."""
    found = shutil.which("grafana-server", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))
    if found is None:
        raise PlatformError(
            "grafana-server is not installed",
            "install Grafana 12 from its vendor's apt repository or archive, put grafana-server on the PATH, and run"
            " `make grafana` again; docs/grafana.md describes how to use a Grafana elsewhere",
        )
    return Path(found).resolve()


def url(ports: DashboardPorts) -> str:
    return f"http://{LOOPBACK}:{ports.grafana}"


def environment(
    endpoints: Endpoints, password: str, api: str, ports: DashboardPorts, folder: Path, state: Path
) -> dict[str, str]:
    """Return the environment for Grafana's settings and the variables of its provisioning files. `folder` has the
    dashboards, `state` the files that `provision` writes."""
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
        # No login: it listens on loopback, and its database roles can only read.
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
    """Copy the provisioning files of `folder` to `state`, and add the file with the alerts' receivers."""
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
    """Run Grafana until it exits, and return its exit code. An installed Prometheus runs beside it. Raises
    PlatformError for an invalid receiver of alerts."""
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
        # Ctrl-C reaches Grafana as well: wait for it instead of killing it.
        process = subprocess.Popen(arguments, env={**environ, **given})
        while True:
            with contextlib.suppress(KeyboardInterrupt):
                return process.wait()

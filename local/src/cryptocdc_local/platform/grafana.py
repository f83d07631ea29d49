"""Grafana, where it is on the machine, with the data sources and dashboards of this project: until Ctrl-C.

Grafana is in no package registry that this project uses, so it is found and not fetched.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptocdc_local.platform.endpoints import READER, Endpoints
from cryptocdc_local.platform.errors import PlatformError
from cryptocdc_local.platform.settings import LOOPBACK, PlatformSettings

PORT, PROMETHEUS_PORT = 3000, 9090
PLUGINS = ("hadesarchitect-cassandra-datasource", "yesoreyeram-infinity-datasource")
HOMES = (Path("/usr/share/grafana"),)
"""Where packages put what the server needs beside its program; an archive has it in the folder above `bin`."""
STOP_S = 10.0


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


def environment(endpoints: Endpoints, password: str, api: str, folder: Path, state: Path) -> dict[str, str]:
    """What Grafana's own settings and the provisioning files in `folder` are filled in with."""
    own = {
        "CASSANDRA": f"{endpoints.cassandra_hosts}:{endpoints.cassandra_port}",
        "POSTGRES": f"{endpoints.postgres_host}:{endpoints.postgres_port}",
        "DATABASE": endpoints.postgres_database,
        "SSLMODE": "disable",  # loopback
        "READER": READER,
        "PASSWORD": password,
        "API": api,
        "PROMETHEUS": f"http://{LOOPBACK}:{PROMETHEUS_PORT}",
        "DASHBOARDS": str(folder / "dashboards"),
    }
    grafana = {
        "PATHS_PROVISIONING": str(folder / "provisioning"),
        "PATHS_DATA": str(state),
        "PATHS_LOGS": str(state / "log"),
        "PATHS_PLUGINS": str(state / "plugins"),
        "SERVER_HTTP_ADDR": LOOPBACK,
        "SERVER_HTTP_PORT": str(PORT),
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


def serve(settings: PlatformSettings, given: Mapping[str, str], prometheus_file: Path) -> int:
    """Until it ends; its exit code. A Prometheus that is on the machine runs beside it."""
    program = find()
    home = next((home for home in (*HOMES, program.parent.parent) if (home / "conf").is_dir()), None)
    state = Path(given["GF_PATHS_DATA"])
    state.mkdir(parents=True, exist_ok=True)
    arguments = [str(program), *([f"--homepath={home}"] if home else [])]
    with _prometheus(settings.home / "prometheus", prometheus_file):
        # Ctrl-C reaches it as well: it is waited for, not killed.
        process = subprocess.Popen(arguments, env={**os.environ, **given})
        while True:
            with contextlib.suppress(KeyboardInterrupt):
                return process.wait()


@contextlib.contextmanager
def _prometheus(state: Path, file: Path) -> Iterator[None]:
    program = shutil.which("prometheus")
    if program is None:
        yield
        return
    state.mkdir(parents=True, exist_ok=True)
    arguments = [
        f"--config.file={file}",
        f"--storage.tsdb.path={state}",
        f"--web.listen-address={LOOPBACK}:{PROMETHEUS_PORT}",
    ]
    with (state / "log").open("w") as log:
        process = subprocess.Popen([program, *arguments], stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(STOP_S)

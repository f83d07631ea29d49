"""A real Prometheus of Debian's that scrapes a run's programs and evaluates the project's alerts."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import requests
import yaml

from tests.integration.api_client import free_port
from tests.integration.waiting import wait_for

PROGRAM = shutil.which("prometheus")
RULES = Path(__file__).parents[2] / "charts" / "files" / "rules.yaml"


@contextlib.contextmanager
def prometheus(folder: Path, targets: Path) -> Iterator[str]:
    """Its URL; scrapes and evaluates every second."""
    assert PROGRAM is not None
    jobs = [{"job_name": "cryptocdc", "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "1s"}]}]
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": jobs,
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    arguments = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([PROGRAM, *arguments, f"--web.listen-address={address}"], stderr=log)
    try:
        url = f"http://{address}"
        wait_for("Prometheus", lambda: _ready(url), 30)
        yield url
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)


def firing(url: str) -> list[dict[str, str]]:
    """The labels of every alert that fires."""
    found = requests.get(f"{url}/api/v1/alerts", timeout=5).json()["data"]["alerts"]
    return [alert["labels"] for alert in found if alert["state"] == "firing"]


def _ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/-/ready", timeout=2).ok
    except requests.RequestException:
        return False

"""Runs this machine's Prometheus beside Grafana."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptocdc_local.platform.settings import LOOPBACK

STOP_S = 10.0
MISSING = "prometheus is not installed: operations dashboards and alerts will have no data (apt-get install prometheus)"


@contextlib.contextmanager
def prometheus_running(state: Path, configuration: str, port: int, report: Callable[[str], None]) -> Iterator[None]:
    """Run Prometheus inside the block, with data, log and configuration in `state`. If it is not installed, or exits
    early, that is reported and Grafana continues without it."""
    program = shutil.which("prometheus")
    if program is None:
        report(MISSING)
        yield
        return
    state.mkdir(parents=True, exist_ok=True)
    file, log = state / "prometheus.yml", state / "log"
    file.write_text(configuration, encoding="utf-8")
    arguments = [
        f"--config.file={file}",
        f"--storage.tsdb.path={state / 'data'}",
        f"--web.listen-address={LOOPBACK}:{port}",
    ]
    with log.open("w") as output:
        process = subprocess.Popen([program, *arguments], stdout=output, stderr=output)
    stopping = threading.Event()

    def watch() -> None:
        code = process.wait()
        if not stopping.is_set():
            report(f"Prometheus exited with code {code}: {last_line(log)} ({log})")

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        stopping.set()
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
        watching.join()


def last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "no output"

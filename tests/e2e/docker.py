"""Docker's daemon, started on a machine where none runs."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.e2e.cluster import CommandError, run

PYTHON_IMAGE = "python:3.11-slim-bookworm"
PID_FILES = {"dockerd": Path("/var/run/docker.pid"), "containerd": Path("/var/run/docker/containerd/containerd.pid")}
ANSWER_LIMIT_S, PULL_LIMIT_S, SET_UP_LIMIT_S = 30, 180, 600


def answers() -> bool:
    if shutil.which("docker") is None:
        return False
    try:
        run(["docker", "info"], limit_s=ANSWER_LIMIT_S)
    except CommandError:
        return False
    return True


def start(script: Path) -> None:
    """Start docker with `script`, which installs Debian's package if no daemon answers. As root. Raises CommandError.

    kind's nodes that ran when the daemon died restart with it. They are stopped: a second platform is too much for a
    small machine. To use one, start it as `make kind-up` does.
    """
    for program, file in PID_FILES.items():
        forget_dead(program, file)
    run([str(script)], limit_s=SET_UP_LIMIT_S)
    nodes = run(["docker", "ps", "--quiet", "--filter", "label=io.x-k8s.kind.cluster"]).split()
    if nodes:
        run(["docker", "stop", "--time", "5", *nodes])


def forget_dead(program: str, file: Path) -> None:
    """Remove a dead daemon's pid file. It is left after a power-off, and if another program has that pid by now, docker
    mistakes it for its own daemon and does not start."""
    try:
        pid = file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return
    try:
        alive = (Path("/proc") / pid / "comm").read_text(encoding="ascii").strip() == program
    except (FileNotFoundError, ProcessLookupError):
        alive = False
    if not alive:
        file.unlink(missing_ok=True)


@cache
def images_can_be_pulled() -> bool:
    try:
        return subprocess.run(
            ["docker", "pull", "--quiet", PYTHON_IMAGE], capture_output=True, check=False, timeout=PULL_LIMIT_S
        ).returncode == 0  # fmt: skip
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def image_id(image: str) -> str:
    """Raises CommandError if the image does not exist."""
    return run(["docker", "image", "inspect", "--format", "{{.Id}}", image]).strip()

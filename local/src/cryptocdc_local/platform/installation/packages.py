"""Installs the required system packages, Java 17 and Maven, with apt where that is allowed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptocdc_local.platform.errors import PlatformError
from cryptocdc_local.platform.installation.java import find_java
from cryptocdc_local.platform.system import IN_CONTAINER

JAVA_PACKAGE = "openjdk-17-jre-headless"
MAVEN_PACKAGE = "maven"
_APT_LIMIT = 900.0  # seconds


@dataclass(frozen=True)
class Tools:
    java: Path
    maven: Path | None  # None when it is missing and the jars are there already


def find_maven() -> Path | None:
    found = shutil.which("mvn")
    return Path(found) if found else None


def require_tools(need_maven: bool, report: Callable[[str], None]) -> Tools:
    """Return Java, and Maven if jars must be downloaded; install what is missing, or raise PlatformError with how
    to."""
    missing = []
    if find_java() is None:
        missing.append(JAVA_PACKAGE)
    if need_maven and find_maven() is None:
        missing.append(MAVEN_PACKAGE)
    if missing:
        install_by_apt(missing, report)
        find_java.cache_clear()
    java, maven = find_java(), find_maven()
    if java is None or (need_maven and maven is None):
        raise PlatformError(f"{' and '.join(missing)} can't be found after installation", by_hand(missing))
    return Tools(java, maven)


def by_hand(packages: list[str]) -> str:
    """Return the command that installs the packages, or an alternative if there is no apt-get."""
    if shutil.which("apt-get") is None:
        return f"install Java 17 and Maven with this system's package manager, or use a container: {IN_CONTAINER}"
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"run: {sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {' '.join(packages)}"


def install_by_apt(packages: list[str], report: Callable[[str], None]) -> None:
    """Install as root, or through a sudo that needs no password; otherwise raise PlatformError with the command."""
    prefix = _privilege()
    if prefix is None or shutil.which("apt-get") is None:
        raise PlatformError(f"this machine lacks {' and '.join(packages)}", by_hand(packages))
    report(f"apt-get install {' '.join(packages)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        # The lock option waits for another apt, such as the one that runs after a machine's first boot.
        argv = [*prefix, "apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", *step]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=_APT_LIMIT, check=False)
        if done.returncode != 0 and step[0] == "install":
            words = done.stderr.strip()[-1500:]
            raise PlatformError(f"apt-get could not install {' '.join(packages)}:\n{words}", by_hand(packages))


def _privilege() -> list[str] | None:
    if os.geteuid() == 0:
        return []
    if (
        shutil.which("sudo")
        and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    ):
        return ["sudo", "-n"]
    return None

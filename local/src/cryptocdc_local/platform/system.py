"""Checks whether this system can run the servers as processes, and says what to do if it can't.

Uses only the standard library and no other file of the project: `make` runs it before anything is installed.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Without the option `docker stop` kills the servers after ten seconds.
RUN_CONTAINER = "docker run --rm -it --stop-timeout 60 -p 8000:8000 -v cryptocdc:/data cryptocdc/all-in-one"
IN_CONTAINER = f"make image-all-in-one && {RUN_CONTAINER}   (docker or podman; see docs/images.md)"
EXIT_PLATFORM = 3  # `Exit.PLATFORM`; this file runs before any package is installed
_OS_RELEASE = Path("/etc/os-release")
_MADE_FOR = ("debian", "12")
_PYTHON = (3, 11)


@dataclass(frozen=True)
class System:
    """`missing`: what must be installed; `installs`: whether apt-get is available for that."""

    name: str
    made_for: bool
    linux: bool
    glibc: bool
    python: tuple[int, int]
    installs: bool
    missing: tuple[str, ...]


def this_system(os_release: Path = _OS_RELEASE, environ: Mapping[str, str] = os.environ) -> System:
    about = read_os_release(os_release)
    path = environ.get("PATH", "")
    java = "JAVA_HOME" in environ or shutil.which("java", path=path) or [*Path("/usr/lib/jvm").glob("*17*/bin/java")]
    there = {
        "Java 17": java,
        "Maven": shutil.which("mvn", path=path),
        "Python's venv": importlib.util.find_spec("ensurepip"),
    }
    return System(
        name=about.get("PRETTY_NAME") or f"{platform.system()} {platform.release()}",
        made_for=(about.get("ID"), about.get("VERSION_ID")) == _MADE_FOR,
        linux=platform.system() == "Linux",
        glibc=platform.libc_ver()[0] == "glibc",
        python=(sys.version_info.major, sys.version_info.minor),
        installs=shutil.which("apt-get", path=path) is not None,
        missing=tuple(name for name, found in there.items() if not found),
    )


def read_os_release(file: Path) -> dict[str, str]:
    """Return the fields of an os-release file; none if there is no such file."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    fields = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _, value in fields}


def lacking(system: System) -> list[str]:
    """Return the requirements that are not met and can't be installed here."""
    needs = []
    if not system.linux:
        needs.append("Linux")
    elif not system.glibc:
        needs.append("glibc, which PostgreSQL's and Kafka's packages are built for")
    if system.python < _PYTHON:
        needs.append("Python 3.11 or later (make PYTHON=/path/to/python3.11)")
    if system.missing and not system.installs:
        needs.append(f"{', '.join(system.missing)}, or apt-get to install it")
    return needs


def explained(system: System) -> tuple[bool, str]:
    """Return whether it can run here, and a message, which is empty on the system that it is made for."""
    if needs := lacking(system):
        return False, f"{system.name} lacks {'; '.join(needs)}.\nRun everything in a container:\n    {IN_CONTAINER}"
    if system.made_for:
        return True, ""
    return True, (
        f"{system.name} is not Debian 12, on which this is tested. It meets all requirements, so this continues.\n"
        f"If it fails, run everything in a container:\n    {IN_CONTAINER}"
    )


def main() -> int:
    """Run the check; the first argument names another os-release file."""
    able, text = explained(this_system(Path(sys.argv[1]) if len(sys.argv) > 1 else _OS_RELEASE))
    if text:
        print(text, file=sys.stderr)
    return 0 if able else EXIT_PLATFORM


if __name__ == "__main__":
    sys.exit(main())

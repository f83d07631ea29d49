"""Installs what a feed with `sink.engine: spark` needs: PySpark, pinned by hash, and the jars beside it.

It is some 350 MB, so it is installed only when a feed asks for it, in a folder that only the Spark job has on its path.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptocdc_local.platform.errors import PlatformError
from cryptocdc_local.platform.jars import check_files, checksums, packaged, run_maven

_POM, _CHECKSUMS, _PYTHON = "spark.xml", "spark.sha256", "spark.txt"
_PIP_LIMIT_S = 1200.0


@dataclass(frozen=True)
class SparkParts:
    """`packages`: a folder for Python's path. `jars`: one for Java's."""

    packages: Path
    jars: Path


def spark_parts(lib: Path) -> SparkParts:
    """Return the parts for exactly these pins; their folder exists only once it is complete."""
    stamp = hashlib.sha256("".join(map(packaged, (_POM, _CHECKSUMS, _PYTHON))).encode()).hexdigest()[:12]
    folder = lib / f"spark-{stamp}"
    return SparkParts(folder / "packages", folder / "jars")


def is_installed(lib: Path) -> bool:
    return spark_parts(lib).packages.exists()


def install_spark(lib: Path, maven: Path, java: Path, report: Callable[[str], None]) -> SparkParts:
    """Download into a temporary folder and rename it, so that a killed installation leaves nothing incomplete.

    Raises PlatformError.
    """
    parts = spark_parts(lib)
    if is_installed(lib):
        return parts
    draft = lib / "spark.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    pom, pins = draft / "pom.xml", draft / "spark.txt"
    pom.write_text(packaged(_POM), encoding="utf-8")
    pins.write_text(packaged(_PYTHON), encoding="utf-8")
    run_maven(maven, java, pom, draft, report)
    check_files(draft, checksums(_CHECKSUMS))
    report("PySpark, 300 MB: a minute or two")
    _install_packages(pins, draft / parts.packages.name)
    draft.rename(parts.packages.parent)
    return parts


def _install_packages(pins: Path, target: Path) -> None:
    argv = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--no-cache-dir"]
    argv += ["--require-hashes", "--no-deps", "--no-compile", "--target", str(target), "--requirement", str(pins)]
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PIP_LIMIT_S, check=False
        )
        words = (done.stderr.strip()[-1000:] or f"pip exited with {done.returncode}") if done.returncode else ""
    except subprocess.TimeoutExpired:
        words = f"pip has not finished after {_PIP_LIMIT_S:.0f} s"
    if words:
        raise PlatformError(
            f"PySpark could not be installed:\n{words}",
            "check the network and run the command again, or choose another `sink.engine` (docs/sinks.md)",
        )

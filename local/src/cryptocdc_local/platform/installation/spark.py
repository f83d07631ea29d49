"""Installs what Spark's jobs need: PySpark, pinned by hash, and the jars beside it.

It is some 350 MB, so it is installed only when a feed with `sink.engine: spark` or a recomputation needs it, in a
folder that only Spark's jobs have on their path.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptocdc_local.platform.installation.jars import check_files, checksums, packaged, run_maven
from cryptocdc_local.platform.installation.pinned_packages import install_pinned

_POM, _CHECKSUMS, _PYTHON = "spark.xml", "spark.sha256", "spark.txt"


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
    pom = draft / "pom.xml"
    pom.write_text(packaged(_POM), encoding="utf-8")
    run_maven(maven, java, pom, draft, report)
    check_files(draft, checksums(_CHECKSUMS))
    report("PySpark, 300 MB: a minute or two")
    install_pinned(
        _PYTHON, draft / parts.packages.name, "PySpark",
        "check the network and run the command again, or choose another `sink.engine` (docs/sinks.md)",
    )  # fmt: skip
    draft.rename(parts.packages.parent)
    return parts

"""The JUnit tests of the sink connector, and what must agree between its build and the platform's."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MODULE = ROOT / "sinks/connect"
POM = (MODULE / "pom.xml").read_text(encoding="utf-8")


def version_of(pom: str, artifact: str) -> str:
    found = re.search(rf"<artifactId>{artifact}</artifactId>\s*<version>([^<]+)</version>", pom)
    assert found is not None, artifact
    return found[1]


@pytest.mark.skipif(shutil.which("mvn") is None, reason="needs Maven")
def test_the_connectors_own_tests_pass(tmp_path: Path) -> None:
    module = tmp_path / "connect"
    shutil.copytree(MODULE, module, ignore=shutil.ignore_patterns("target"))
    done = subprocess.run(
        ["mvn", "--batch-mode", "--file", str(module / "pom.xml"), "test"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"Tests run: [1-9]\d*, Failures: 0, Errors: 0", done.stdout), done.stdout[-4000:]


def test_the_connector_is_compiled_against_the_version_of_connect_that_runs_it() -> None:
    kafka = (ROOT / "local/src/cryptocdc_local/platform/kafka.xml").read_text(encoding="utf-8")
    assert version_of(POM, "connect-api") == version_of(kafka, "kafka-tools")


def test_every_bundled_jar_has_a_checksum() -> None:
    pinned = (ROOT / "local/src/cryptocdc_local/platform/jars.sha256").read_text(encoding="utf-8")
    for artifact in ("java-driver-core", "jackson-databind"):
        assert f" cassandra-sink/{artifact}-{version_of(POM, artifact)}.jar\n" in pinned

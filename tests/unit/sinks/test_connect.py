"""The JUnit tests of Connect's plugins, and what must agree between their builds and the platform's."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cryptocdc_core.catalogue import COMPUTED, STREAMS

ROOT = Path(__file__).parents[3]
SINK, CONVERTER = ROOT / "sinks/connect", ROOT / "sources/connect"
POMS = ROOT / "local/src/cryptocdc_local/platform/installation"


def version_of(pom: str, artifact: str) -> str:
    found = re.search(rf"<artifactId>{artifact}</artifactId>\s*<version>([^<]+)</version>", pom)
    assert found is not None, artifact
    return found[1]


def pom(module: Path) -> str:
    return (module / "pom.xml").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("mvn") is None, reason="needs Maven")
@pytest.mark.parametrize("plugin", [SINK, CONVERTER], ids=["sink", "converter"])
def test_the_plugins_own_tests_pass(plugin: Path, tmp_path: Path) -> None:
    module = tmp_path / "connect"
    shutil.copytree(plugin, module, ignore=shutil.ignore_patterns("target"))
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


@pytest.mark.parametrize("plugin", [SINK, CONVERTER], ids=["sink", "converter"])
def test_a_plugin_is_compiled_against_the_version_of_connect_that_runs_it(plugin: Path) -> None:
    kafka = (POMS / "kafka.xml").read_text(encoding="utf-8")
    assert version_of(pom(plugin), "connect-api") == version_of(kafka, "kafka-tools")


def test_the_converter_is_compared_with_the_transform_of_the_installed_version() -> None:
    debezium = (POMS / "debezium.xml").read_text(encoding="utf-8")
    assert version_of(pom(CONVERTER), "debezium-connect-plugins") == version_of(debezium, "debezium-connector-postgres")
    assert version_of(pom(CONVERTER), "connect-json") == version_of(pom(CONVERTER), "connect-api")


def test_the_converter_is_compared_over_every_table() -> None:
    listed = (CONVERTER / "src/test/resources/tables.txt").read_text(encoding="utf-8")
    assert listed.splitlines() == [
        f"{stream.table} {column.name} {column.type.postgres}{' null' if column.nullable else ''}"
        for stream in (*STREAMS.values(), *COMPUTED.values())
        for column in stream.columns
    ]


def test_every_bundled_jar_has_a_checksum() -> None:
    pinned = (POMS / "jars.sha256").read_text(encoding="utf-8")
    for artifact in ("java-driver-core", "jackson-databind"):
        assert f" cassandra-sink/{artifact}-{version_of(pom(SINK), artifact)}.jar\n" in pinned

"""Downloads are complete or absent; failures are reported with a remedy."""

import hashlib
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cryptocdc_local.platform import PlatformError
from cryptocdc_local.platform.installation import class_archive, packages, pinned_packages, spark
from cryptocdc_local.platform.installation.jars import check_files, checksums, install_jars, jars_folder, packaged
from cryptocdc_local.platform.servers.together import together


def write(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def test_the_pinned_jars_pass_the_check(tmp_path: Path) -> None:
    pinned = {"kafka/a.jar": write(tmp_path / "kafka/a.jar", b"a"), "d/p.tar.gz": write(tmp_path / "d/p.tar.gz", b"p")}
    write(tmp_path / "poms/pom.xml", b"<project/>")
    check_files(tmp_path, pinned)


@pytest.mark.parametrize("content", [{"kafka/a.jar": b"changed"}, {}, {"kafka/a.jar": b"a", "kafka/more.jar": b""}])
def test_a_changed_a_missing_and_an_unknown_jar_are_refused(tmp_path: Path, content: dict[str, bytes]) -> None:
    for path, data in content.items():
        write(tmp_path / path, data)
    with pytest.raises(PlatformError, match="kafka/"):
        check_files(tmp_path, {"kafka/a.jar": hashlib.sha256(b"a").hexdigest()})


def test_an_interrupted_setup_leaves_no_jar_folder(tmp_path: Path) -> None:
    failing = tmp_path / "mvn"
    failing.write_text("#!/bin/sh\necho '[ERROR] no route to host'\nexit 1\n")
    failing.chmod(0o755)
    with pytest.raises(PlatformError, match="no route to host"):
        install_jars(tmp_path / "lib", failing, Path("/usr/bin/java"), lambda _: None)
    assert not jars_folder(tmp_path / "lib").exists()


def test_existing_jars_are_not_fetched_again(tmp_path: Path) -> None:
    jars_folder(tmp_path).mkdir()
    assert install_jars(tmp_path, Path("/no/mvn"), Path("/no/java"), lambda _: None) == jars_folder(tmp_path)


def test_an_installation_of_spark_that_fails_leaves_none_and_says_what_else_can_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\nexit 0\n")
    maven.chmod(0o755)
    monkeypatch.setattr(spark, "checksums", lambda _: {})
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(PlatformError, match="PySpark could not be installed") as refusal:
        spark.install_spark(tmp_path, maven, Path("/usr/bin/java"), lambda _: None)
    assert "another `sink.engine`" in refusal.value.remedy
    assert not spark.is_installed(tmp_path)


def test_spark_is_installed_once_and_downloaded_never_again(tmp_path: Path) -> None:
    parts = spark.spark_parts(tmp_path)
    parts.packages.mkdir(parents=True)
    assert spark.install_spark(tmp_path, Path("/no/mvn"), Path("/no/java"), lambda _: None) == parts


def test_the_pinned_jars_are_of_the_pinned_spark() -> None:
    versions = {
        line.split("==")[0]: line.split("==")[1].split()[0]
        for line in packaged("spark.txt").splitlines()
        if "==" in line
    }
    assert f"jars/spark-sql-kafka-0-10_2.12-{versions['pyspark']}.jar" in checksums("spark.sha256")


def test_without_root_or_sudo_the_error_names_the_command_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda name: None if name == "sudo" else f"/usr/bin/{name}")
    with pytest.raises(PlatformError, match="lacks maven") as refusal:
        packages.install_by_apt(["maven"], lambda _: None)
    assert refusal.value.remedy == ("run: sudo apt-get update && sudo apt-get install -y --no-install-recommends maven")


def test_as_root_packages_are_installed_without_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def run(argv: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        ran.append(argv)
        return subprocess.CompletedProcess(argv, 0, "", "")

    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("subprocess.run", run)
    packages.install_by_apt(["openjdk-17-jre-headless", "maven"], lambda _: None)
    assert "update" in ran[0]
    assert ran[1][-2:] == ["openjdk-17-jre-headless", "maven"]
    assert ran[1][0] == "apt-get"


def test_a_class_archive_is_kept_only_after_a_clean_stop(tmp_path: Path) -> None:
    (tmp_path / "kafka-old.jsa").touch()
    (tmp_path / "kafka-2.jsa.new").touch()
    (tmp_path / "connect-1.jsa.new").touch()
    class_archive.settle(tmp_path, "kafka", whole=True)
    class_archive.settle(tmp_path, "connect", whole=False)
    assert [path.name for path in tmp_path.iterdir()] == ["kafka-2.jsa"]


def test_the_first_failure_cancels_all_other_waits() -> None:
    given_up = threading.Event()

    def work(name: str) -> None:
        if name == "fails":
            raise PlatformError("broken", "mend it")
        assert given_up.wait(20), "nothing was cancelled"

    with pytest.raises(PlatformError, match="broken"):
        together(["waits", "fails", "waits too"], work, given_up)


def test_an_empty_list_of_work_ends_immediately() -> None:
    done: list[object] = []
    together([], done.append)
    assert done == []


def test_an_installation_of_pyarrow_that_fails_leaves_none_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(PlatformError, match="pyarrow could not be installed") as refusal:
        pinned_packages.install_export(tmp_path, lambda _: None)
    assert "run the command again" in refusal.value.remedy
    assert not pinned_packages.export_packages(tmp_path).exists()


def test_pyarrow_is_installed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/true")
    folder = pinned_packages.install_export(tmp_path, lambda _: None)
    assert folder.is_dir()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert pinned_packages.install_export(tmp_path, lambda _: None) == folder

"""Which systems can run the servers as processes, and the message on others."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cryptocdc_local.platform import system
from cryptocdc_local.platform.doctor import check_system
from cryptocdc_local.platform.errors import PlatformError
from cryptocdc_local.platform.installation import packages
from cryptocdc_local.platform.system import System, explained, lacking, this_system

COMMAND = system.RUN_CONTAINER
DEBIAN = System("Debian GNU/Linux 12 (bookworm)", True, True, True, (3, 11), True, ("Java 17", "Maven"))
FEDORA = replace(DEBIAN, name="Fedora Linux 42", made_for=False, python=(3, 13), installs=False)
ALPINE = replace(FEDORA, name="Alpine Linux v3.22", glibc=False, missing=())
MACOS = replace(FEDORA, name="Darwin 25.1.0", linux=False, glibc=False, missing=())
UBUNTU = replace(DEBIAN, name="Ubuntu 24.04.3 LTS", made_for=False, python=(3, 12))


def test_debian_12_needs_no_explanation() -> None:
    assert explained(DEBIAN) == (True, "")


@pytest.mark.parametrize(
    ("it", "needed"),
    [
        (FEDORA, "Java 17, Maven, or apt-get to install it"),
        (ALPINE, "glibc"),
        (MACOS, "Linux"),
        (replace(UBUNTU, python=(3, 10)), "Python 3.11 or later"),
    ],
    ids=lambda it: it.name if isinstance(it, System) else "",
)
def test_an_unsupported_system_gets_the_command_for_a_container(it: System, needed: str) -> None:
    able, text = explained(it)
    assert not able
    assert it.name in text
    assert needed in text
    assert COMMAND in text


def test_docker_stop_gives_the_container_the_time_to_stop_cleanly() -> None:
    assert " --stop-timeout 60 " in COMMAND


@pytest.mark.parametrize("file", ["README.md", "docs/images.md", "images/all-in-one.Dockerfile"])
def test_the_command_for_a_container_is_printed_alike_everywhere(file: str) -> None:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    printed = [line for line in lines if "docker run" in line and line.endswith("cryptocdc/all-in-one")]
    assert len(printed) == 1
    assert printed[0].endswith(COMMAND)


def test_all_missing_requirements_are_reported_at_once() -> None:
    assert len(lacking(replace(MACOS, python=(3, 9), missing=("Maven",)))) == 3


def test_another_system_with_all_requirements_continues_with_a_note() -> None:
    for it in (UBUNTU, replace(FEDORA, missing=())):
        able, text = explained(it)
        assert able
        assert f"{it.name} is not Debian 12" in text
        assert COMMAND in text


def os_release(folder: Path, text: str) -> Path:
    file = folder / "os-release"
    file.write_text(text, encoding="utf-8")
    return file


ROOT = Path(__file__).parents[4]
RECIPE = (ROOT / "Makefile").read_text(encoding="utf-8").partition(".venv/.made:")[2]


def ran(file: Path, path: str) -> subprocess.CompletedProcess[str]:
    """Run it as `make` does: with the options of its recipe, by a Python without the project's packages."""
    line = next(line for line in RECIPE.splitlines() if "platform/system.py" in line)
    _, *options, _ = line.partition("#")[0].strip().removeprefix("@").split()
    python = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    return subprocess.run(
        [str(python), *options, str(system.__file__), str(file)],
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_make_stops_with_exit_code_3_on_a_system_without_apt(tmp_path: Path) -> None:
    file = os_release(tmp_path, 'NAME="Fedora Linux"\nID=fedora\nVERSION_ID=42\nPRETTY_NAME="Fedora Linux 42"\n')
    done = ran(file, str(tmp_path))
    assert done.returncode == 3
    assert done.stdout == ""
    assert "Fedora Linux 42 lacks" in done.stderr
    assert COMMAND in done.stderr


def test_make_continues_where_apt_can_install_what_is_missing(tmp_path: Path) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\n")
    apt.chmod(0o755)
    debian = ran(os_release(tmp_path, "ID=debian\nVERSION_ID='12'\nPRETTY_NAME='Debian 12'\n"), str(tmp_path))
    assert (debian.returncode, debian.stderr) == (0, "")
    ubuntu = ran(os_release(tmp_path, 'ID=ubuntu\nVERSION_ID="24.04"\nPRETTY_NAME="Ubuntu 24.04"\n'), str(tmp_path))
    assert ubuntu.returncode == 0
    assert "Ubuntu 24.04 is not Debian 12" in ubuntu.stderr


def test_make_asks_before_anything_is_installed() -> None:
    assert 0 < RECIPE.index("cryptocdc_local/platform/system.py") < RECIPE.index("-m venv")


def test_a_system_without_an_os_release_file_has_the_kernels_name(tmp_path: Path) -> None:
    assert this_system(tmp_path / "none", {"PATH": ""}).name == f"{os.uname().sysname} {os.uname().release}"


def test_doctor_names_the_system_and_what_it_lacks() -> None:
    assert check_system(DEBIAN).ok
    check = check_system(ALPINE)
    assert not check.ok
    assert "Alpine Linux v3.22" in check.found
    assert COMMAND in check.remedy


def test_without_apt_the_remedy_for_missing_java_is_the_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PlatformError) as raised:
        packages.install_by_apt([packages.JAVA_PACKAGE], print)
    assert COMMAND in raised.value.remedy
    assert "apt-get" not in raised.value.remedy

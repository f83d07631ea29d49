"""The Dockerfiles, as far as they can be checked without building them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "images").glob("*.Dockerfile"))
PROGRAMS = [file for file in FILES if file.name != "connect.Dockerfile"]


def named(file: Path) -> str:
    return file.name.removesuffix(".Dockerfile")


def test_make_builds_the_image_of_every_dockerfile() -> None:
    made = re.search(r"^IMAGES := (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert made is not None
    assert sorted(made[1].split()) == [named(file) for file in FILES]


def test_symbolic_links_point_into_the_build_context() -> None:
    given = [line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"]
    for folder in ("adapters", "core", "local", "operators", "services"):
        for link in filter(Path.is_symlink, (ROOT / folder).rglob("*")):
            target = link.resolve().relative_to(ROOT).as_posix()
            assert any(target == it or target.startswith(f"{it}/") for it in given), f"{link} leads to {target}"


@pytest.mark.parametrize("file", ["images/all-in-one.Dockerfile", "tests/e2e/stand_ins/Dockerfile"])
def test_the_builds_of_the_local_runner_copy_what_its_links_lead_to(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    folders = [folder for line in copied for folder in line.split()]
    for link in filter(Path.is_symlink, (ROOT / "local").rglob("*")):
        target = link.resolve().relative_to(ROOT).as_posix()
        assert any(target == it or target.startswith(f"{it}/") for it in folders), f"{link} leads to {target}"


@pytest.mark.parametrize("file", FILES, ids=named)
def test_the_base_image_is_an_argument_and_the_user_is_not_root(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.index("ARG BASE_IMAGE=") < text.index("FROM ${BUILD_IMAGE} AS build") < text.index("FROM ${BASE_IMAGE}")
    user = re.findall(r"^USER (\d+)", text, re.MULTILINE)
    assert user
    assert int(user[-1]) >= 1000


@pytest.mark.parametrize("file", PROGRAMS, ids=named)
def test_the_copied_packages_are_the_installed_ones(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (\S+)/pyproject.toml", text, re.MULTILINE)
    assert copied == re.findall(r"^COPY (\S+) \1$", text, re.MULTILINE)
    for step in ("dependencies", "packages"):
        assert f"RUN images/install.sh {step} {' '.join(copied)}\n" in text
    assert (ROOT / copied[-1] / "pyproject.toml").is_file()


@pytest.mark.parametrize("file", PROGRAMS, ids=named)
def test_required_packages_of_the_project_are_copied_too(file: Path) -> None:
    folders = {metadata(it.parent)["name"]: it.parent for it in ROOT.glob("[!.]*/**/pyproject.toml")}
    copied = {
        ROOT / folder for folder in re.findall(r"^COPY (\S+)/pyproject.toml", file.read_text("utf-8"), re.MULTILINE)
    }
    for folder in copied:
        needed = {folders[name] for name in metadata(folder)["dependencies"] if name in folders}
        assert needed <= copied, f"{folder.name} needs {', '.join(sorted(it.name for it in needed - copied))}"


def metadata(folder: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project

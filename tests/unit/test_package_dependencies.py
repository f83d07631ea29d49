"""Each package declares the packages of ours that it imports: its image has only what it declares."""

from __future__ import annotations

import ast
import itertools
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECTS = sorted(file.parent for file in ROOT.glob("**/pyproject.toml") if (file.parent / "src").is_dir())


def declared(project: Path) -> set[str]:
    described = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    optional = itertools.chain(*described.get("optional-dependencies", {}).values())
    names = {re.split(r"[\s\[<>=!~;]", text)[0] for text in (*described.get("dependencies", []), *optional)}
    return {name.replace("-", "_") for name in names if name.startswith("cryptocdc-")}


def all_of(name: str) -> set[str]:
    """Return what a package declares, and what those declare."""
    (project,) = (project for project in PROJECTS if (project / "src" / name).is_dir())
    return declared(project).union(*map(all_of, declared(project)))


def imported(source: Path) -> set[str]:
    """Return the packages of ours that a package imports at any place."""
    found: set[str] = set()
    for file in source.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names.append(node.module or "")
            found |= {top for name in names if (top := name.partition(".")[0]).startswith("cryptocdc_")}
    return found - {source.name}


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name)
def test_a_package_imports_only_what_it_declares(project: Path) -> None:
    (source,) = (folder for folder in (project / "src").iterdir() if folder.name.startswith("cryptocdc_"))
    assert imported(source) - all_of(source.name) == set()


def test_every_package_is_looked_at() -> None:
    assert {"simulator", "core", "local", "operators", "producer"} <= {project.name for project in PROJECTS}

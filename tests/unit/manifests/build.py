"""Manifests as kustomize renders them."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from tests.unit.kubernetes_schemas import ROOT, Document, documents

MANIFESTS = ROOT / "manifests"


def _command() -> list[str]:
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    pytest.skip("neither kustomize nor kubectl is installed")


@cache
def build(folder: Path) -> list[Document]:
    done = subprocess.run([*_command(), folder], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def overlay(name: str) -> list[Document]:
    return build(MANIFESTS / "overlays" / name)


def with_component(folder: Path, name: str, component: str) -> list[Document]:
    """An overlay with one more component, as a user would add it; `folder` is for the kustomization."""
    base, more = (os.path.relpath(MANIFESTS / path, folder) for path in (f"overlays/{name}", component))
    (folder / "kustomization.yaml").write_text(f"resources: [{base}]\ncomponents: [{more}]\n", encoding="utf-8")
    return build(folder)

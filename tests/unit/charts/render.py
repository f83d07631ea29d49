"""The chart as helm renders it."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.unit.kubernetes_schemas import KUBERNETES, ROOT, Document, documents

CHART = ROOT / "charts"
NAMESPACE = "market-data"
FILES = {path.name.removesuffix("-values.yaml"): path for path in sorted((CHART / "ci").glob("*-values.yaml"))}


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    if not shutil.which("helm"):
        pytest.skip("helm is not installed")
    return subprocess.run(["helm", *arguments], capture_output=True, text=True, timeout=60, check=False)


@cache
def rendered(name: str, *settings: str) -> list[Document]:
    """With the values file of that name in charts/ci, and `--set` settings, hooks and CRD included."""
    done = template("--values", FILES[name], *(part for setting in settings for part in ("--set", setting)))
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def template(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    release = ("cryptocdc", CHART, "--namespace", NAMESPACE, "--kube-version", f"{KUBERNETES}.0")
    return helm("template", *release, *arguments)


def environment(container: Document) -> dict[str, Any]:
    return {variable["name"]: variable.get("value") for variable in container["env"]}


def refusal(**values: Any) -> str:
    """Return why these values are refused; empty if they are accepted."""
    done = template("--set-json", ",".join(f"{key.replace('__', '.')}={json.dumps(v)}" for key, v in values.items()))
    return "" if done.returncode == 0 else done.stderr

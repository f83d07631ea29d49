"""The lock is valid for every Python that the project runs on, not only the one that created it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from images.locked import pins, restrict
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REQUIREMENTS = Path(__file__).parents[2] / "requirements"
DEBIAN_12 = {"python_version": "3.11", "python_full_version": "3.11.2", "extra": ""}


@pytest.mark.parametrize("lock", ["runtime.txt", "dev.txt"])
def test_dependencies_on_debians_python_are_locked_and_attributed(lock: str) -> None:
    """pip installs only what is pinned, and an image gets what the lock attributes to its packages."""
    text = (REQUIREMENTS / lock).read_text(encoding="utf-8")
    missing = {
        f"{name}: {requirement}"
        for name in pins(text)
        for requirement in map(Requirement, _requires(name))
        if requirement.marker is None or requirement.marker.evaluate(DEBIAN_12)
        if canonicalize_name(requirement.name) not in pins(restrict(text, [name]))
    }
    assert not missing


def _requires(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:  # not for this Python
        return []

"""Prints the part of a lock that a program needs, so that its image contains nothing else.

    locked.py requirements/runtime.txt core adapters services/producer
    locked.py requirements/runtime.txt hatchling

Prints the lock's lines, including hashes, of the dependencies in the folders' pyproject.toml and of their dependencies.
pip-compile writes below each pin which packages require it (`# via`): that is the dependency graph in reverse.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

OWN = "cryptocdc-"  # installed from the tree, not from a registry


def normal(name: str) -> str:
    """Return a package's name normalized as in PEP 503, without version, extras and marker."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", name.strip(), maxsplit=1)[0]).lower()


def pins(lock: str) -> dict[str, str]:
    """Return each pin's lines by its name: version, hashes, and what requires it."""
    blocks = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)[1:]
    return {normal(block): block for block in blocks}


def askers(block: str) -> set[str]:
    """Return what requires the pin, from its `# via`; a requirements file in it matches no pin."""
    return {normal(name) for name in re.findall(r"^ +# +(?:via )?(\S+)$", block, flags=re.MULTILINE)}


def restrict(lock: str, wanted: Iterable[str]) -> str:
    """Return the lines of `lock` for `wanted` and its dependencies. LookupError names what the lock lacks."""
    there = pins(lock)
    needed = {normal(name) for name in wanted}
    if missing := needed - there.keys():
        raise LookupError(f"{', '.join(sorted(missing))}: not in the lock; add it to its .in file and run `make lock`")
    while more := {name for name, block in there.items() if askers(block) & needed} - needed:
        needed |= more
    return "".join(block for name, block in there.items() if name in needed)


def dependencies(folder: Path) -> list[str]:
    """Return the dependencies from registries of the package in the folder."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [name for name in project["dependencies"] if not normal(name).startswith(OWN)]


def main(lock: str, *wanted: str) -> None:
    names: list[str] = []
    for it in wanted:
        names += dependencies(Path(it)) if Path(it).is_dir() else [it]
    try:
        sys.stdout.write(restrict(Path(lock).read_text(encoding="utf-8"), names))
    except LookupError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])

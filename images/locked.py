"""The part of a lock that a program needs, so that its image holds nothing else.

    locked.py requirements/runtime.txt core adapters services/producer
    locked.py requirements/runtime.txt hatchling

Prints the lock's own lines, hashes included, of what the folders' pyproject.toml ask for and of all that it pulls in.
pip-compile writes below each pin who asked for it (`# via`): that is the graph of dependencies, read backwards.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

OWN = "cryptocdc-"  # installed from the tree, not from a registry


def normal(name: str) -> str:
    """A package's name as PEP 503 spells it, without version, extras and marker."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", name.strip(), maxsplit=1)[0]).lower()


def pins(lock: str) -> dict[str, str]:
    """Each pin's name → its lines: version, hashes and who asked for it."""
    blocks = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)[1:]
    return {normal(block): block for block in blocks}


def askers(block: str) -> set[str]:
    """Who asked for the pin, by its `# via`; a requirements file among them comes to nothing that is a pin."""
    return {normal(name) for name in re.findall(r"^ +# +(?:via )?(\S+)$", block, flags=re.MULTILINE)}


def restrict(lock: str, wanted: Iterable[str]) -> str:
    """The lines of `lock` for `wanted` and all that it pulls in. LookupError names what the lock does not have."""
    there = pins(lock)
    needed = {normal(name) for name in wanted}
    if missing := needed - there.keys():
        raise LookupError(f"{', '.join(sorted(missing))}: not in the lock; add it to its .in file and run `make lock`")
    while more := {name for name, block in there.items() if askers(block) & needed} - needed:
        needed |= more
    return "".join(block for name, block in there.items() if name in needed)


def dependencies(folder: Path) -> list[str]:
    """What the package in the folder asks of the registries."""
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

"""The command `cryptocdc` as its user runs it: a process, its output, its exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The last line of standard output."""
        return json.loads(self.out.splitlines()[-1])


def cryptocdc(environment: Mapping[str, str], *arguments: object, limit_s: float = 240) -> Answer:
    program = Path(sys.executable).with_name("cryptocdc")
    # Wide, so that a table's cells are not cut.
    done = subprocess.run(
        [program, *map(str, arguments)],
        env={**environment, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)

"""The cells that were seen, kept over several runs, and their table in docs/faults.md. Both are committed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.faults.fault import Fault
from tests.faults.result import Result

ROOT = Path(__file__).parents[2]
OUT = Path(__file__).parent / "out" / "report.json"
PAGE = ROOT / "docs" / "faults.md"
BEGIN, END = "<!-- cells -->", "<!-- end of cells -->"


def commit() -> str:
    """Return the short hash of the code that runs, with `+` if it has changes that are not committed, other than to the
    files that are written here."""
    git = ["git", "-C", str(ROOT)]
    found = subprocess.run([*git, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=True)
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--", ".", *(f":!{file.relative_to(ROOT)}" for file in (PAGE, OUT))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return found.stdout.strip() + ("+" if changed.strip() else "")


class Report:
    """Cells by fault, seed and commit. A cell that is run again replaces the earlier one."""

    def __init__(self, file: Path = OUT) -> None:
        self._file = file
        self.cells: list[dict[str, Any]] = []
        if file.exists():
            self.cells = json.loads(file.read_text(encoding="utf-8"))["cells"]

    def add(self, result: Result) -> None:
        """Add a cell and write the file at once: a run may be ended before its last cell."""
        key = (result.fault, result.seed, result.commit)
        self.cells = [c for c in self.cells if (c["fault"], c["seed"], c["commit"]) != key]
        self.cells.append(result.to_json())
        self.cells.sort(key=lambda cell: (cell["fault"], cell["seed"], cell["at"]))
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps({"cells": self.cells}, indent=1) + "\n", encoding="utf-8")

    def latest(self, fault: str) -> list[dict[str, Any]]:
        """Return the last run of each of a fault's seeds."""
        by_seed = {cell["seed"]: cell for cell in sorted(self.cells, key=lambda c: c["at"]) if cell["fault"] == fault}
        return [by_seed[seed] for seed in sorted(by_seed)]


def table(report: Report, faults: Sequence[Fault]) -> str:
    """Return the table of docs/faults.md: of each fault what was seen, and nothing of what was not run."""
    lines = [
        "| fault | what happens | outcome | seeds seen | missing, extra, different | recovered after | repeated"
        " | highest lag |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for fault in faults:
        cells = report.latest(fault.name)
        if not cells:
            lines.append(f"| `{fault.name}` | {fault.sentence} | {fault.outcome.value} | not run | | | | |")
            continue
        failed = [cell for cell in cells if cell["outcome"] == "failed"]
        outcome = fault.outcome.value if not failed else f"**failed** with {_seeds(failed)}"
        wrong = ", ".join(str(sum(cell[kind] for cell in cells)) for kind in ("missing", "extra", "different"))
        lines.append(
            f"| `{fault.name}` | {fault.sentence} | {outcome} | {_seeds(cells)} | {wrong}"
            f" | {_span([cell['recovered_s'] for cell in cells])} s | {_span([cell['repeated'] for cell in cells])}"
            f" | {_span([cell['highest_lag'] for cell in cells])} |"
        )
    seen = [cell for fault in faults for cell in report.latest(fault.name)]
    days = ", ".join(sorted({cell["at"][:10] for cell in seen}))
    lines += ["", f"{len(seen)} cells of {len({c['fault'] for c in seen})} of {len(faults)} faults were seen ({days})."]
    return "\n".join(lines)


def render(report: Report, faults: Sequence[Fault], page: Path = PAGE) -> None:
    """Replace the table in the page."""
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    page.write_text(f"{before}{BEGIN}\n{table(report, faults)}\n{END}{after}", encoding="utf-8")


def _seeds(cells: Sequence[dict[str, Any]]) -> str:
    return ", ".join(str(cell["seed"]) for cell in cells)


def _span(values: Sequence[float]) -> str:
    least, most = f"{min(values):,.0f}", f"{max(values):,.0f}"
    return least if least == most else f"{least}–{most}"

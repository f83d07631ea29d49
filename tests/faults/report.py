"""The cells that were seen, kept over several runs, and their table in docs/faults.md. Both are committed."""

from __future__ import annotations

import json
import re
import subprocess
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.faults.fault import Fault
from tests.faults.observer import LAGGING, LAGGING_RECORDS
from tests.faults.result import Result

ROOT = Path(__file__).parents[2]
OUT = Path(__file__).parent / "out" / "report.json"
PAGE = ROOT / "docs" / "faults.md"
BEGIN, END = "<!-- cells -->", "<!-- end of cells -->"
_MARKS = "¹²³"
_SIGN_LENGTH = 70


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
    """Cells by fault, seed and commit. A cell that is run again replaces the earlier one, unless that failed: code that
    fails only now and then has not passed. What was not committed may have been changed since, and is replaced."""

    def __init__(self, file: Path = OUT) -> None:
        self._file = file
        self.cells: list[dict[str, Any]] = []
        if file.exists():
            self.cells = json.loads(file.read_text(encoding="utf-8"))["cells"]

    def add(self, result: Result) -> None:
        """Add a cell and write the file at once: a run may be ended before its last cell."""
        self._put(result.to_json())
        self._write()

    def merge(self, file: Path) -> None:
        """Add the cells of a report that another clone has written, but for those that do not say of which commit."""
        for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
            if cell["commit"]:
                self._put(cell)
        self._write()

    def _put(self, cell: dict[str, Any]) -> None:
        def is_replaced(other: dict[str, Any]) -> bool:
            if any(other[name] != cell[name] for name in ("fault", "seed", "commit")):
                return False
            return not other["problem"] or other["at"] == cell["at"] or cell["commit"].endswith("+")

        self.cells = [*(other for other in self.cells if not is_replaced(other)), cell]
        self.cells.sort(key=lambda cell: (cell["fault"], cell["seed"], cell["at"]))

    def _write(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps({"cells": self.cells}, indent=1) + "\n", encoding="utf-8")

    def latest(self, fault: str) -> list[dict[str, Any]]:
        """Return the last run of each of a fault's seeds; a failed one if another run of the same commit has failed.
        What failed with an earlier commit is history."""
        by_seed: dict[int, dict[str, Any]] = {}
        for cell in sorted(self.cells, key=lambda c: c["at"]):
            if cell["fault"] == fault:
                before = by_seed.get(cell["seed"])
                if before is None or before["commit"] != cell["commit"] or not before["problem"]:
                    by_seed[cell["seed"]] = cell
        return [by_seed[seed] for seed in sorted(by_seed)]

    def has(self, fault: Fault, seed: int) -> bool:
        """Return whether a cell was seen as declared: it compared rows, its sign was seen, and no run of its last
        commit has failed."""
        found = (cell for cell in self.latest(fault.name) if cell["seed"] == seed)
        return any(cell["rows"] and not cell["problem"] and sign_of(fault, cell) is not None for cell in found)


def sign_of(fault: Fault, cell: dict[str, Any]) -> str | None:
    """Return what was to be seen of a fault, as it was seen; "" for one that is absorbed, None if it was not seen."""
    if not fault.visible:
        return ""
    lagging = [LAGGING] if cell["highest_lag"] >= LAGGING_RECORDS else []
    seen = (cell["sign"], *cell["seen"], *lagging)
    return next((text for text in seen if re.search(fault.visible, text)), None)


def table(report: Report, faults: Sequence[Fault]) -> str:
    """Return the table of docs/faults.md: of each fault what was seen, and nothing of what was not run."""
    lines = [
        "| fault | what happens | outcome | seeds seen | visible as | missing, extra, different | recovered after"
        " | sent again | highest lag |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    notes: list[str] = []
    for fault in faults:
        cells = report.latest(fault.name)
        if not cells:
            lines.append(f"| `{fault.name}` | {fault.sentence} | {fault.outcome.value} | not run | | | | | |")
            continue
        failed = [cell for cell in cells if cell["outcome"] == "failed"]
        outcome = fault.outcome.value if not failed else f"**failed** with {_seeds(failed)}"
        wrong = ", ".join(str(sum(cell[kind] for cell in cells)) for kind in ("missing", "extra", "different"))
        if any(cell.get("lost") for cell in cells):
            notes.append(f"{_MARKS[len(notes)]} {fault.loses}")
            wrong += f" {_MARKS[len(notes) - 1]}"
        lines.append(
            f"| `{fault.name}` | {fault.sentence} | {outcome} | {_seeds(cells)} | {_visible(fault, cells)} | {wrong}"
            f" | {_span([cell['recovered_s'] for cell in cells])} s | {_resent(cells)}"
            f" | {_span([cell['highest_lag'] for cell in cells])} |"
        )
    seen = [cell for fault in faults for cell in report.latest(fault.name)]
    days = ", ".join(sorted({cell["at"][:10] for cell in seen}))
    number = f"{len(seen)} cells of {len({c['fault'] for c in seen})} of {len(faults)} faults were seen"
    lines += ["", f"{number} ({days})." if days else f"{number}."]
    for note in notes:
        lines += ["", note]
    return "\n".join(lines)


def _visible(fault: Fault, cells: Sequence[dict[str, Any]]) -> str:
    signs = {cell["seed"]: sign_of(fault, cell) for cell in cells}
    unseen = [cell for cell in cells if signs[cell["seed"]] is None]
    found = next((text for text in signs.values() if text), "")
    found = (
        f"`{textwrap.shorten(found.replace('|', '/'), _SIGN_LENGTH, placeholder=' …')}`" if found else fault.absorbed
    )
    missing = [f"**not seen** with {_seeds(unseen)}"] if unseen else []
    return "; ".join([*([found] if found else []), *missing])


def _resent(cells: Sequence[dict[str, Any]]) -> str:
    """Return the span of what was sent or written again. Cells of earlier commits counted derived tables as well, as
    `repeated`: an upper bound."""
    if any("resent" not in cell for cell in cells):
        return f"≤ {max(cell.get('resent', cell.get('repeated', 0)) for cell in cells):,}"
    return _span([cell["resent"] for cell in cells])


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

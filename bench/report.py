"""The results as report.json and as a table: medians with minimum and maximum."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

TARGETS = {
    "end_to_end.ratio_to_naive": (">=", 30), "end_to_end.tuned_rows_per_s": (">=", 45_000),
    "latency_ms.2000.p50": ("<", 25), "latency_ms.2000.p99": ("<", 100), "latency_ms.10000.p99": ("<", 150),
    "first_row_s": ("<", 60), "first_candles_s": ("<", 30), "growth.millions.last_to_first": (">=", 0.9),
    "growth.consumer_alone.rows_per_s": (">=", 150_000),
    # One core at 10,000 trades per second.
    "analyzer.cpu_us_per_trade": ("<", 100), "analyzer.commit_to_bar_ms.p99": ("<", 500),
    "history.loaded_rows_per_s": (">=", 60_000), "history.compared_rows_per_s": (">=", 60_000),
    "api.latest_price_ms.p99": ("<", 10), "api.requests_per_s": (">=", 499),
    "written.rows_per_s": (">=", 150_000), "from_cassandra.rows_per_s": (">=", 150_000),
}  # fmt: skip


class Report:
    """Values by dotted name, one per repetition."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {}

    def add(self, name: str, value: float) -> None:
        self._values.setdefault(name, []).append(value)

    def median(self, name: str) -> float:
        return median(self._values[name])

    def write(self, file: Path) -> None:
        """Write a tree split at the names' dots: each median, with `…_min`, `…_max`, and all values in `…_runs`. Beside
        it are the targets that were `met`, and those that were `missed`, by name."""
        tree: dict[str, Any] = {}
        for name, values in self._values.items():
            *path, leaf = name.split(".")
            at = tree
            for part in path:
                at = at.setdefault(part, {})
            at[leaf] = round(median(values), 2)
            at[f"{leaf}_min"], at[f"{leaf}_max"] = round(min(values), 2), round(max(values), 2)
            at[f"{leaf}_runs"] = [round(value, 2) for value in values]
        targets = {name: self._target(name).split(": ") for name in TARGETS if name in self._values}
        for outcome in ("met", "missed"):
            tree[outcome] = {name: bound for name, (found, bound) in targets.items() if found == outcome}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")

    def show(self, console: Console) -> None:
        table = Table("figure", "median", "min", "max", "target")
        for name, values in self._values.items():
            table.add_row(
                name, *(f"{value:,.1f}" for value in (median(values), min(values), max(values))), self._target(name)
            )
        console.print(table)

    def missed(self) -> Iterator[str]:
        """Yield the targets that the medians miss."""
        for name in TARGETS:
            if name in self._values and self._target(name).startswith("missed"):
                yield name

    def _target(self, name: str) -> str:
        if name not in TARGETS:
            return ""
        sign, bound = TARGETS[name]
        value = median(self._values[name])
        met = value >= bound if sign == ">=" else value < bound
        return f"{'met' if met else 'missed'}: {sign} {bound:,}"

"""The plot of `make bench-sinks`: one panel per figure, one bar per sink."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

PANELS = {
    "rows_per_s": "Rows per second, backlog", "cpu_us_per_row": "CPU time per row, all processes, µs",
    "p50_ms": "Commit to readable, p50, ms", "p99_ms": "Commit to readable, p99, ms", "memory_mib": "Memory, MiB",
}  # fmt: skip
COLOURS = {"consumer": "#2f6fde", "connect": "#1f9e89", "spark": "#e5793a", "tutorial": "#8a8f98"}


def draw(figures: dict[str, dict[str, Any]], file: Path) -> None:
    """Write the medians as SVG, with lines from minimum to maximum."""
    mpl.rcParams["svg.hashsalt"] = "cryptocdc"  # the same ids each time
    figure = Figure(figsize=(11, 2.6), layout="constrained")
    names = list(figures)
    for axes, (panel, title) in zip(figure.subplots(1, len(PANELS)), PANELS.items(), strict=True):
        values = [figures[name][panel] for name in names]
        spread = (
            [value - figures[name][f"{panel}_min"] for value, name in zip(values, names, strict=True)],
            [figures[name][f"{panel}_max"] - value for value, name in zip(values, names, strict=True)],
        )
        bars = axes.barh(names, values, xerr=spread, color=[COLOURS[name] for name in names], ecolor="#444")
        axes.bar_label(bars, [f"{value:,.0f}" for value in values], padding=3, fontsize=8)
        axes.set_title(title, fontsize=8)
        axes.tick_params(labelsize=8)
        axes.invert_yaxis()
        axes.margins(x=0.35)
        axes.xaxis.set_visible(False)
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        if panel != next(iter(PANELS)):
            axes.set_yticklabels([])
    figure.savefig(file, metadata={"Date": None})

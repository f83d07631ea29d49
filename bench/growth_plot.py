"""The plot of how cost grows with symbols, consumers, producers, rows and the rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

SPEED, COST = "Rows per second, backlog", "CPU time per row, all processes, µs"
COLOURS = {SPEED: "#2f6fde", COST: "#e5793a"}
LATENCIES = {"p50": "#9fc0f5", "p95": "#2f6fde", "p99": "#123a80"}


def draw(report: dict[str, Any], file: Path) -> None:
    """Write the figures under `growth`, and under `latency_ms` if they are there, as SVG."""
    mpl.rcParams["svg.hashsalt"] = "cryptocdc"  # the same ids each time
    grown, latencies = report["growth"], report.get("latency_ms", {})
    figure = Figure(figsize=(11, 5), layout="constrained")
    axes = list(figure.subplots(2, 4).flat)
    for part, column in (("symbols", 0), ("consumers", 1)):
        _bars(axes[column], SPEED, part, grown[part], "rows_per_s")
        _bars(axes[column + 4], COST, part, grown[part], "cpu_us_per_row")
    captured = grown["captured"]
    _bars(axes[2], "CPU time per row captured, producers, µs", "producers", captured, "producers_cpu_us_per_row")
    _bars(axes[6], "CPU time per row captured, consumers, µs", "consumers", captured, "consumers_cpu_us_per_row")
    millions = {int(number): at["rows_per_s"] for number, at in grown["millions"].items() if number.isdigit()}
    axes[3].plot(list(millions), list(millions.values()), marker="o", color=COLOURS[SPEED])
    axes[3].set(title="Rows per second of each million", xlabel="million", ylim=(0, 1.15 * max(millions.values())))
    rates = sorted(latencies, key=int)
    for name, colour in LATENCIES.items() if rates else ():
        axes[7].plot(rates, [latencies[rate][name] for rate in rates], marker="o", color=colour, label=name)
        axes[7].legend(fontsize=7, frameon=False)
    axes[7].set_visible(bool(rates))
    axes[7].set(title="Commit to acknowledgement, ms", xlabel="rows per second", ylim=(0, None))
    for each in axes:
        each.title.set_fontsize(8)
        each.xaxis.label.set_fontsize(8)
        each.tick_params(labelsize=7)
        each.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None})


def _bars(axes: Axes, title: str, unit: str, figures: dict[str, Any], name: str) -> None:
    values = [at[name] for at in figures.values()]
    bars = axes.bar(list(figures), values, color=COLOURS.get(title, COLOURS[COST]), width=0.6)
    axes.bar_label(bars, [f"{value:,.0f}" for value in values], padding=2, fontsize=7)
    axes.set(title=title, xlabel=unit)
    axes.margins(y=0.15)
    axes.yaxis.set_visible(False)

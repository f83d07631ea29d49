"""The parts that a dashboard of operations is made of: panels in sections, asked of Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptocdc_grafana import drawing
from cryptocdc_grafana.drawing import Drawing
from cryptocdc_grafana.sources import Promql

RATE = "[$__rate_interval]"
INSTANCE = 'instance=~"$instance"'


@dataclass(frozen=True)
class OperationsPanel:
    title: str
    doc: str
    draw: Drawing
    queries: tuple[Promql, ...]
    width: int = 8
    height: int = 8


@dataclass(frozen=True)
class Section:
    title: str
    panels: tuple[OperationsPanel, ...]


@dataclass(frozen=True)
class OperationsDashboard:
    """`instances`: the metric whose label `instance` names the servers to choose from, where there are any."""

    title: str
    sections: tuple[Section, ...]
    instances: str | None = None


def now(
    title: str, doc: str, unit: str, expr: str, *, decimals: int | None = None, alarm: float | None = None
) -> OperationsPanel:
    """One figure; red from `alarm` on."""
    shown = drawing.figure(unit, decimals=decimals, alarm=alarm)
    return OperationsPanel(title, doc, shown, (Promql(expr, title.lower(), instant=True),), width=4, height=4)


def over_time(
    title: str, doc: str, unit: str, exprs: Mapping[str, str], *, stacked: bool = False, width: int = 8
) -> OperationsPanel:
    """Lines; `exprs` by what their series are called."""
    asked = tuple(Promql(expr, legend) for legend, expr in exprs.items())
    return OperationsPanel(title, doc, drawing.lines(unit, stacked=stacked), asked, width=width)


def or_none(expr: str) -> str:
    """0 where there is no series: what never happened is not counted yet."""
    return f"{expr} or vector(0)"

"""The parts that a dashboard of operations is made of: panels in sections, asked of Prometheus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from cryptocdc_grafana import drawing
from cryptocdc_grafana.drawing import Drawing
from cryptocdc_grafana.sources import Promql

RATE = "[$__rate_interval]"
INSTANCE = 'instance=~"$instance"'
WIDTH = 24
FIGURE_HEIGHT, GRAPH_HEIGHT = 4, 8


@dataclass(frozen=True)
class OperationsPanel:
    """`to_market`: its series lead to the feed's market."""

    title: str
    doc: str
    draw: Drawing
    queries: tuple[Promql, ...]
    height: int = GRAPH_HEIGHT
    to_market: bool = False


@dataclass(frozen=True)
class Section:
    """`closed`: its panels ask nothing until the row is opened; `empty` is what they say where they have no data."""

    title: str
    panels: tuple[OperationsPanel, ...]
    closed: bool = False
    empty: str = ""

    @property
    def widths(self) -> tuple[int, ...]:
        """Of its panels: figures in one row, then graphs in rows of three, and of two or four where three leave a
        remainder. Every row is full."""
        figures = sum(panel.height == FIGURE_HEIGHT for panel in self.panels)
        return tuple(chain(_even(figures), _rows(len(self.panels) - figures)))


@dataclass(frozen=True)
class OperationsDashboard:
    """`instances`: the metric whose label `instance` names the servers to choose from, where there are any."""

    title: str
    sections: tuple[Section, ...]
    instances: str | None = None


def _even(count: int) -> Sequence[int]:
    return [WIDTH // count] * count if count else ()


def _rows(count: int) -> Sequence[int]:
    if count <= 4:
        return _even(count)
    if count == 5:
        return [*_even(3), *_even(2)]
    return [*_even(3), *_rows(count - 3)]


def now(
    title: str, doc: str, unit: str, expr: str, *, decimals: int | None = None, alarm: float | None = None,
    least: float | None = None,
) -> OperationsPanel:  # fmt: skip
    """One figure; red from `alarm` on, or below `least`."""
    shown = drawing.figure(unit, decimals=decimals, alarm=alarm, least=least)
    return OperationsPanel(title, doc, shown, (Promql(expr, title.lower(), instant=True),), FIGURE_HEIGHT)


def over_time(
    title: str, doc: str, unit: str, exprs: Mapping[str, str], *, stacked: bool = False, to_market: bool = False
) -> OperationsPanel:
    """Lines; `exprs` by what their series are called."""
    return OperationsPanel(title, doc, drawing.lines(unit, stacked=stacked), _asked(exprs), to_market=to_market)


def state(title: str, doc: str, draw: Drawing, exprs: Mapping[str, str]) -> OperationsPanel:
    """Bands; `exprs` by what they are called."""
    return OperationsPanel(title, doc, draw, _asked(exprs))


def greatest(title: str, doc: str, unit: str, series: str, expr: str, count: int) -> OperationsPanel:
    """The `count` greatest of `expr` now; a graph of them all would be of hundreds of lines."""
    asked = Promql(f"sort_desc(topk({count}, {expr}))", series, instant=True)
    return OperationsPanel(title, doc, drawing.gauges(unit), (asked,))


def _asked(exprs: Mapping[str, str]) -> tuple[Promql, ...]:
    return tuple(Promql(expr, series) for series, expr in exprs.items())


def or_none(expr: str, label: str = "") -> str:
    """0 where there is no series: what never happened is not counted yet. `label`: the one that `expr` has, which then
    says "none"."""
    nothing = f'label_replace(vector(0), "{label}", "none", "", "")' if label else "vector(0)"
    return f"{expr} or on() {nothing}"


def short_topics(expr: str) -> str:
    """The label `topic` without the feed's identity, which is in it twice: "majors.majors.klines" → "klines"."""
    return f'label_replace({expr}, "topic", "$1", "topic", "(?:.*[.])?(.+)")'

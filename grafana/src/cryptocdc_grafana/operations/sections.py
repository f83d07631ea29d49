"""The parts of an operations dashboard: panels in sections, with queries to Prometheus."""

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
    """`to_market`: its series link to the feed's market dashboard."""

    title: str
    doc: str
    draw: Drawing
    queries: tuple[Promql, ...]
    height: int = GRAPH_HEIGHT
    to_market: bool = False


@dataclass(frozen=True)
class Section:
    """`closed`: its panels query nothing until the row is opened; `empty` is their text without data."""

    title: str
    panels: tuple[OperationsPanel, ...]
    closed: bool = False
    empty: str = ""

    @property
    def widths(self) -> tuple[int, ...]:
        """The panels' widths: figures in one row, then graphs in rows of three, or of two or four where three would
        leave a remainder. Every row is full."""
        figures = sum(panel.height == FIGURE_HEIGHT for panel in self.panels)
        return tuple(chain(_even(figures), _rows(len(self.panels) - figures)))


@dataclass(frozen=True)
class OperationsDashboard:
    """`instances`: the metric whose label `instance` lists the servers to choose from, if any."""

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
    """Return a panel with one figure, red from `alarm` on or below `least`."""
    shown = drawing.figure(unit, decimals=decimals, alarm=alarm, least=least)
    return OperationsPanel(title, doc, shown, (Promql(expr, title.lower(), instant=True),), FIGURE_HEIGHT)


def over_time(
    title: str, doc: str, unit: str, exprs: Mapping[str, str], *, stacked: bool = False, to_market: bool = False
) -> OperationsPanel:
    """Return a panel with lines; `exprs` are the expressions by series name."""
    return OperationsPanel(title, doc, drawing.lines(unit, stacked=stacked), _queries(exprs), to_market=to_market)


def state(title: str, doc: str, draw: Drawing, exprs: Mapping[str, str]) -> OperationsPanel:
    """Return a state timeline; `exprs` are the expressions by series name."""
    return OperationsPanel(title, doc, draw, _queries(exprs))


def greatest(title: str, doc: str, unit: str, series: str, expr: str, count: int) -> OperationsPanel:
    """Return a panel with the `count` greatest of `expr` now: a graph of all would have hundreds of lines."""
    query = Promql(f"sort_desc(topk({count}, {expr}))", series, instant=True)
    return OperationsPanel(title, doc, drawing.gauges(unit), (query,))


def _queries(exprs: Mapping[str, str]) -> tuple[Promql, ...]:
    return tuple(Promql(expr, series) for series, expr in exprs.items())


def or_none(expr: str, label: str = "") -> str:
    """Return 0 where there is no series: a counter does not exist before its first event. `label` is the label of
    `expr`; its value is then "none"."""
    nothing = f'label_replace(vector(0), "{label}", "none", "", "")' if label else "vector(0)"
    return f"{expr} or on() {nothing}"


def short_topics(expr: str) -> str:
    """Strip the feed's identity from the label `topic`: "majors.majors.klines" → "klines"."""
    return f'label_replace({expr}, "topic", "$1", "topic", "(?:.*[.])?(.+)")'

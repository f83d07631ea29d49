"""Panel types. Each expects columns with fixed names, whatever data source they come from.

Grafana's defaults are overridden where they mislead: it hides legends, turns every figure red at 80, and puts prices
on the volume axis when both have the same unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grafana_foundation_sdk.builders import (
    barchart,
    bargauge,
    candlestick,
    common,
    heatmap,
    stat,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.models.candlestick import VizDisplayMode
from grafana_foundation_sdk.models.common import (
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)

Drawing = Callable[[], Any]
"""Returns a new panel builder: the SDK's builders have no common type for what they share."""

NEUTRAL, GOOD, BAD = "text", "green", "red"
LAST = "lastNotNull"


def legend(*, values: bool = True) -> common.VizLegendOptions:
    """Return a legend below the panel that shows each series with its last value."""
    made = common.VizLegendOptions().show_legend(True).display_mode(LegendDisplayMode.LIST)
    made = made.placement(LegendPlacement.BOTTOM)
    return made.calcs([LAST]) if values else made.calcs([])


def thresholds(*steps: tuple[float | None, str]) -> ThresholdsConfig:
    """Each step is (value from which the colour applies, colour); the first value is None."""
    made = [Threshold(value=value, color=color) for value, color in steps]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(made)


def colored(name: str, color: str) -> tuple[str, list[DynamicConfigValue]]:
    """Return an override that draws the series `name` in one colour."""
    return name, [DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": color})]


def palette() -> FieldColor:
    return FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC)


def ranks(unit: str) -> Drawing:
    """Columns: symbol and one number. Draws one bar per symbol."""

    def draw() -> barchart.Panel:
        return _bars(unit).legend(legend(values=False))

    return draw


def shares() -> barchart.Panel:
    """Columns: symbol, bid and ask, which add up to 100."""
    panel = _bars("percent").max(100).stacking(StackingMode.NORMAL).legend(legend(values=False))
    for name, color in (("bid", GOOD), ("ask", BAD)):
        panel = panel.override_by_name(*colored(name, color))
    return panel


def _bars(unit: str) -> barchart.Panel:
    panel = barchart.Panel().unit(unit).min(0).x_field("symbol").orientation(VizOrientation.HORIZONTAL)
    return panel.fill_opacity(80).color_scheme(palette()).thresholds(thresholds((None, NEUTRAL)))


def lines(
    unit: str, *, style: GraphDrawStyle = GraphDrawStyle.LINE, stacked: bool = False, fill: int = 8, series: str = ""
) -> Drawing:
    """`series` is the display name of a series, for columns whose own name is not clear."""

    def draw() -> timeseries.Panel:
        bars = style is GraphDrawStyle.BARS
        panel = (
            timeseries.Panel()
            .unit(unit)
            .draw_style(style)
            .line_width(1)
            .fill_opacity(60 if bars else fill)
            .show_points(VisibilityMode.NEVER)
            .color_scheme(palette())
            .thresholds(thresholds((None, NEUTRAL)))
            .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
            .legend(legend())
        )
        if series:
            panel = panel.display_name(series)
        if bars or stacked:
            panel = panel.min(0)  # the length of a bar shows its value
        if stacked:
            panel = panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
        return panel

    return draw


def candles() -> candlestick.Panel:
    """Columns: time, open, high, low, close, volume. Prices get no unit: Grafana gives volume the unit `short`, and
    prices with the same unit would share volume's axis, on which candles are flat."""
    panel = candlestick.Panel().mode(VizDisplayMode.CANDLES_VOLUME).thresholds(thresholds((None, NEUTRAL)))
    return panel.legend(legend(values=False))


def book_heatmap() -> heatmap.Panel:
    """Columns: time, price, quantity, in long format with one row per bin. The unit is a suffix, since a scaled unit
    would show small quantities in thousandths."""
    quantity = heatmap.CellValues().unit("suffix:of the base asset")
    return heatmap.Panel().calculate(False).cell_gap(0).show_legend().show_tooltip().cell_values(quantity).unit("none")


def figure(
    unit: str, *, decimals: int | None = None, alarm: float | None = None, least: float | None = None
) -> Drawing:
    """A single figure: red from `alarm` on, or below `least`; without either always in the text colour."""

    def draw() -> stat.Panel:
        steps: list[tuple[float | None, str]] = [(None, NEUTRAL)]
        if alarm is not None:
            steps = [(None, GOOD), (alarm, BAD)]
        if least is not None:
            steps = [(None, BAD), (least, GOOD)]
        panel = stat.Panel().unit(unit).thresholds(thresholds(*steps))
        panel = panel.color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        return panel if decimals is None else panel.decimals(decimals)

    return draw


def gauges(unit: str) -> Drawing:
    """A bar for each series of an instant query, in the query's order."""

    def draw() -> bargauge.Panel:
        panel = bargauge.Panel().unit(unit).min(0).orientation(VizOrientation.HORIZONTAL)
        panel = panel.reduce_options(common.ReduceDataOptions().calcs([LAST]))
        return panel.thresholds(thresholds((None, "blue"))).color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))

    return draw


def states(named: Mapping[int, tuple[str, str]]) -> Drawing:
    """A timeline for each series; `named` maps each value to its meaning and its colour."""
    known = {
        str(value): ValueMappingResult(text=text, color=color, index=at)
        for at, (value, (text, color)) in enumerate(named.items())
    }

    def draw() -> statetimeline.Panel:
        panel = statetimeline.Panel().unit("none").mappings([ValueMap(options=known)]).merge_values(True)
        panel = panel.show_value(VisibilityMode.NEVER).fill_opacity(70).row_height(0.8)
        panel = panel.thresholds(thresholds((None, NEUTRAL))).legend(legend(values=False))
        return panel.color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))

    return draw


YES_OR_NO: Sequence[str] = ("no", "yes")


def yes_or_no(*, good: bool | None) -> Drawing:
    """A timeline for each series of 0 and 1; `good` is the expected value, None where either is fine."""
    colors = {None: ("blue", "purple"), True: (BAD, GOOD), False: (GOOD, BAD)}[good]
    return states({at: (text, colors[at]) for at, text in enumerate(YES_OR_NO)})

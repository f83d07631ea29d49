"""Panels by what they look like. Every one takes columns of fixed names, whichever data source they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from grafana_foundation_sdk.builders import barchart, candlestick, common, heatmap, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.candlestick import VizDisplayMode
from grafana_foundation_sdk.models.common import (
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    ScaleDistribution,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    Panel,
    Threshold,
    ThresholdsMode,
)

Drawing = Callable[[], Any]
"""Makes the builder of a panel: the SDK's builders have no common type for what they share."""
PanelBuilder = Builder[Panel]


def transformation(name: str, **options: Any) -> DataTransformerConfig:
    return DataTransformerConfig(id_val=name, options=options)


MERGED = transformation("merge")
"""One frame of many: the Cassandra plugin answers with one for each value of the first column."""


def ranked(column: str, limit: int) -> tuple[DataTransformerConfig, ...]:
    """The greatest first, and no more than `limit` of them."""
    by = transformation("sortBy", sort=[{"field": column, "desc": True}])
    return MERGED, by, transformation("limit", limitField=limit)


def by_symbol() -> tuple[DataTransformerConfig, ...]:
    """A series for each symbol, in the order of time."""
    in_time = transformation("sortBy", sort=[{"field": "time", "desc": False}])
    parted = transformation("partitionByValues", fields=["symbol"], keepFields=False, naming={"asLabels": True})
    return MERGED, in_time, parted


def in_time() -> tuple[DataTransformerConfig, ...]:
    """One frame, oldest first, without the name of its symbol."""
    return (
        MERGED,
        transformation("sortBy", sort=[{"field": "time", "desc": False}]),
        transformation("organize", excludeByName={"symbol": True}),
    )


def bars(unit: str, *, stacked: bool = False) -> Drawing:
    def draw() -> barchart.Panel:
        panel = barchart.Panel().unit(unit).x_field("symbol").orientation(VizOrientation.HORIZONTAL).fill_opacity(80)
        return panel.stacking(StackingMode.NORMAL) if stacked else panel

    return draw


def lines(
    unit: str, *, style: GraphDrawStyle = GraphDrawStyle.LINE, stacked: bool = False, log: bool = False
) -> Drawing:
    def draw() -> timeseries.Panel:
        panel = (
            timeseries.Panel()
            .unit(unit)
            .draw_style(style)
            .line_width(1)
            .fill_opacity(60 if style is GraphDrawStyle.BARS else 8)
            .show_points(VisibilityMode.NEVER)
            .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
            .legend(common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM))
        )
        if stacked:
            panel = panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
        if log:
            scale = common.ScaleDistributionConfig().type(ScaleDistribution.LOG).log(10)
            panel = panel.scale_distribution(scale)
        return panel

    return draw


def candles() -> candlestick.Panel:
    """Columns time, open, high, low, close, volume."""
    return candlestick.Panel().mode(VizDisplayMode.CANDLES_VOLUME).unit("short")


def book_heatmap() -> heatmap.Panel:
    """Columns time, price, quantity, long: a row for each bin."""
    return heatmap.Panel().calculate(False).cell_gap(0).show_legend().show_tooltip()


def rows(units: Mapping[str, str]) -> Drawing:
    """A table; `units` by column."""

    def draw() -> table.Panel:
        panel = table.Panel()
        for column, unit in units.items():
            panel = panel.override_by_name(column, [DynamicConfigValue(id_val="unit", value=unit)])
        return panel

    return draw


def figure(unit: str, *, decimals: int | None = None, alarm: float | None = None) -> Drawing:
    """Red from `alarm` on."""

    def draw() -> stat.Panel:
        panel = stat.Panel().unit(unit)
        if alarm is not None:
            steps = [Threshold(value=None, color="green"), Threshold(value=alarm, color="red")]
            panel = panel.thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
        return panel if decimals is None else panel.decimals(decimals)

    return draw

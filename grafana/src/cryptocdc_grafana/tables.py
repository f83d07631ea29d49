"""Table panels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from cryptocdc_grafana.drawing import BAD, GOOD, NEUTRAL, Drawing, thresholds

AS_IT_IS = "string"
"""A unit that shows a number with all its digits: a fixed number of decimals would hide the price of a cheap asset."""


@dataclass(frozen=True)
class Shown:
    """How a column is shown; `gains`: green above 0, red below."""

    unit: str
    decimals: int | None = None
    gains: bool = False
    width: int | None = None
    """In pixels."""

    def properties(self) -> Mapping[str, Any]:
        made: dict[str, Any] = {"unit": self.unit}
        if self.decimals is not None:
            made["decimals"] = self.decimals
        if self.width is not None:
            made["custom.width"] = self.width
        if self.gains:
            steps = [{"value": None, "color": BAD}, {"value": 0, "color": NEUTRAL}, {"value": 1e-9, "color": GOOD}]
            made["color"] = {"mode": "thresholds"}
            made["thresholds"] = {"mode": "absolute", "steps": steps}
            made["custom.cellOptions"] = {"type": "color-text"}
        return made


def rows(columns: Mapping[str, Shown]) -> Drawing:
    def draw() -> table.Panel:
        panel = table.Panel().thresholds(thresholds((None, NEUTRAL))).no_value("–")
        for name, shown in columns.items():
            made = [DynamicConfigValue(id_val=key, value=value) for key, value in shown.properties().items()]
            panel = panel.override_by_name(name, made)
        return panel

    return draw

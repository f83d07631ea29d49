"""What every panel must set explicitly, because Grafana's defaults mislead: legends, colours, units, axes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from cryptocdc_grafana.__main__ import FOLDER

Json = dict[str, Any]
DASHBOARDS: dict[str, Json] = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
LETTERS_A_UNIT = 4
"""Of a title, for each of the 24 units of a screen 1,280 pixels wide, beside the mark of the description."""
WORDS = {"$symbol": "1000PEPEUSDT", "$interval": "15m"}
DRAWN = {"timeseries", "candlestick", "barchart", "heatmap", "state-timeline"}
COLORED = DRAWN | {"stat", "gauge", "bargauge", "table"}
WITHOUT_NUMBERS = {"row", "text", "dashlist", "alertlist"}
MUST_ALARM_AT_1 = {
    ("pipeline", "Differences"), ("pipeline", "Open gaps"), ("pipeline", "Dead letters"), ("home", "Differences"),
    ("home", "Open gaps"), ("home", "Dead letters"), ("connect", "Tasks failed"), ("kafka", "Offline"),
    ("kafka", "Under-replicated"), ("kafka", "Under min ISR"), ("postgresql", "Slots lost"),
    ("cassandra", "Failed requests"),
}  # fmt: skip
MUST_BE_1 = {
    ("connect", "Connected"),
    ("connect", "Tasks running"),
    ("kafka", "Controllers"),
    ("postgresql", "Up"),
}
SLOT_STATES = {"Slot status", "Slots active", "Survives a failover", "Copies on standbys"}


def all_panels(made: Json) -> Iterator[Json]:
    """Those in closed rows too, but not the rows themselves."""
    for panel in made["panels"]:
        yield from panel.get("panels") or ()
        if panel["type"] != "row":
            yield panel


PANELS = [(name, panel) for name, made in DASHBOARDS.items() for panel in all_panels(made)]


def of(panels: list[tuple[str, Json]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("name", "panel"), panels, ids=[f"{name}-{panel['title']}" for name, panel in panels]
    )


def of_type(*types: str) -> pytest.MarkDecorator:
    return of([(name, panel) for name, panel in PANELS if panel["type"] in types])


of_every_panel = of(PANELS)


def defaults(panel: Json) -> Json:
    found: Json = panel.get("fieldConfig", {}).get("defaults", {})
    return found


def overrides(panel: Json, column: str) -> Json:
    return {
        part["id"]: part.get("value")
        for override in panel["fieldConfig"]["overrides"] if override["matcher"]["options"] == column
        for part in override["properties"]
    }  # fmt: skip


def steps(panel: Json) -> list[tuple[float | None, str]]:
    return [(step["value"], step["color"]) for step in defaults(panel)["thresholds"]["steps"]]


def drawn_as_bars(panel: Json) -> bool:
    return panel["type"] == "barchart" or bool(defaults(panel).get("custom", {}).get("drawStyle") == "bars")


@of_type(*DRAWN)
def test_a_graph_has_a_legend_and_a_line_its_last_value(name: str, panel: Json) -> None:
    legend = panel["options"]["legend"]
    assert legend.get("showLegend", legend.get("show")) is True
    if panel["type"] == "timeseries":
        assert legend["calcs"] == ["lastNotNull"]


@of_type(*COLORED)
def test_every_panel_sets_its_threshold_colours(name: str, panel: Json) -> None:
    if panel["type"] == "heatmap":  # its colours are a scale
        return
    found = steps(panel)
    assert found[0][0] is None
    if len(found) > 1:
        assert {color for _, color in found} >= {"red"}, "a step that changes nothing"


@pytest.mark.parametrize(("name", "title"), sorted(MUST_ALARM_AT_1))
def test_counts_that_must_stay_zero_turn_red_at_one(name: str, title: str) -> None:
    (panel,) = (panel for panel in all_panels(DASHBOARDS[name]) if panel["title"] == title)
    assert steps(panel) == [(None, "green"), (1, "red")]


@pytest.mark.parametrize(("name", "title"), sorted(MUST_BE_1))
def test_values_that_must_be_one_are_red_below_it(name: str, title: str) -> None:
    (panel,) = (panel for panel in all_panels(DASHBOARDS[name]) if panel["title"] == title)
    assert steps(panel) == [(None, "red"), (1, "green")]


@of_every_panel
def test_a_numeric_panel_has_a_unit_and_a_candlestick_panel_none(name: str, panel: Json) -> None:
    unit = defaults(panel).get("unit")
    if panel["type"] == "candlestick":
        assert unit is None, "prices would share the axis of volume, which has the unit `short`"
        for column in ("open", "high", "low", "close", "volume"):
            assert "unit" not in overrides(panel, column)
    elif panel["type"] == "heatmap":
        assert panel["options"]["cellValues"]["unit"], "of the quantities in the legend"
    elif panel["type"] == "table":
        columns = {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]}
        assert all(overrides(panel, column)["unit"] for column in columns)
    elif panel["type"] not in WITHOUT_NUMBERS:
        assert unit


@of_type("candlestick")
def test_a_candlestick_panel_does_not_force_its_axis_to_zero(name: str, panel: Json) -> None:
    custom = defaults(panel).get("custom", {})
    bounds = (defaults(panel).get("min"), custom.get("axisSoftMin"), custom.get("axisCenteredZero"))
    assert bounds in ((None, None, None), (None, None, False))
    assert panel["options"]["mode"] == "candles+volume"
    order = next(step for step in panel["transformations"] if step["id"] == "organize")["options"]
    assert list(order["indexByName"]) == ["time", "open", "high", "low", "close", "volume"]


@of_type("timeseries", "barchart")
def test_bars_start_at_zero(name: str, panel: Json) -> None:
    if drawn_as_bars(panel) or defaults(panel).get("custom", {}).get("stacking", {}).get("mode") == "normal":
        assert defaults(panel)["min"] == 0


@of_every_panel
def test_a_title_fits_its_panel(name: str, panel: Json) -> None:
    title = panel["title"]
    for variable, word in WORDS.items():
        title = title.replace(variable, word)
    assert title
    assert len(title) <= LETTERS_A_UNIT * panel["gridPos"]["w"]


@of_every_panel
def test_a_panel_has_a_description(name: str, panel: Json) -> None:
    assert panel["description"].endswith(".")


@pytest.mark.parametrize("name", DASHBOARDS)
def test_rows_are_full(name: str) -> None:
    made = DASHBOARDS[name]["panels"]
    rows: dict[int, int] = {}
    for panel in [*made, *(inner for row in made for inner in row.get("panels") or ())]:
        rows[panel["gridPos"]["y"]] = rows.get(panel["gridPos"]["y"], 0) + panel["gridPos"]["w"]
    assert set(rows.values()) == {24}


@of_every_panel
def test_series_have_short_names(name: str, panel: Json) -> None:
    for target in panel.get("targets") or ():
        legend = target.get("legendFormat", "a column")
        assert legend not in ("", "__auto")
        if "{{topic}}" in legend:
            assert '"topic", "$1", "topic"' in target["expr"], "the feed's identity is in a topic twice"


@pytest.mark.parametrize("name", [name for name in DASHBOARDS if name.startswith("market-")])
class TestMarket:
    def panel(self, name: str, title: str) -> Json:
        (found,) = (panel for panel in DASHBOARDS[name]["panels"] if panel["title"] == title)
        assert isinstance(found, dict)
        return found

    def test_price_trends_are_relative_and_not_filled(self, name: str) -> None:
        trends = self.panel(name, "Price trends")
        assert defaults(trends)["unit"] == "percentunit"
        assert defaults(trends)["custom"]["fillOpacity"] == 0
        assert "scaleDistribution" not in defaults(trends)["custom"]
        assert defaults(trends)["displayName"] == "${__field.labels.symbol}"
        assert [target["refId"] for target in trends["targets"]] == ["A", "B"]
        steps = {step["id"]: step for step in trends["transformations"]}
        assert steps["joinByField"]["options"] == {"byField": "symbol", "mode": "inner"}

    def test_quantities_of_different_assets_are_compared_by_share(self, name: str) -> None:
        ordered = self.panel(name, "Order book balance")
        assert (defaults(ordered)["unit"], defaults(ordered)["min"], defaults(ordered)["max"]) == ("percent", 0, 100)
        assert overrides(ordered, "bid")["color"]["fixedColor"] == "green"
        assert overrides(ordered, "ask")["color"]["fixedColor"] == "red"
        assert "${symbols:" in json.dumps(ordered["targets"]), "of the selected symbols"

    def test_columns_have_a_fixed_order_and_prices_keep_their_digits(self, name: str) -> None:
        table = self.panel(name, "24 hours")
        order = next(step for step in table["transformations"] if step["id"] == "organize")["options"]["indexByName"]
        assert list(order) == ["symbol", "price", "change", "high", "low", "volume", "trades"]
        assert list(order.values()) == sorted(order.values())
        assert table["gridPos"]["w"] == 24
        for column in ("price", "high", "low"):
            assert overrides(table, column)["unit"] == "string"
            assert "decimals" not in overrides(table, column)
        change = overrides(table, "change")
        assert change["custom.cellOptions"] == {"type": "color-text"}
        assert [step["color"] for step in change["thresholds"]["steps"]] == ["red", "text", "green"]

    @pytest.mark.parametrize("title", ["Spread of $symbol", "Imbalance of $symbol"])
    def test_figures_of_books_are_averaged_by_the_step_of_the_graph(self, name: str, title: str) -> None:
        panel = self.panel(name, title)
        assert "$__interval" in json.dumps(panel["targets"])
        assert '"limit"' not in json.dumps(panel["targets"]), "the whole range, not its last rows"
        assert panel["interval"] == "1s"

    def test_the_interval_variable_is_a_query(self, name: str) -> None:
        variable = next(v for v in DASHBOARDS[name]["templating"]["list"] if v["name"] == "interval")
        assert variable["type"] == "query"
        if name == "market-cassandra":  # one-second candles have daily partitions, the others monthly ones
            asked = variable["query"]["query"]
            assert "floor(current_timestamp(), 1mo)" in asked
            assert "floor(current_timestamp(), 1d)" in asked

    def test_an_empty_part_of_the_order_book_is_explained(self, name: str) -> None:
        assert "empty" in self.panel(name, "Order book of $symbol")["description"]


def test_cassandra_panels_state_how_much_of_the_range_they_show() -> None:
    panels = {panel["title"]: panel for panel in DASHBOARDS["market-cassandra"]["panels"]}
    for title, hours in (("Order book of $symbol", 2), ("Spread of $symbol", 6), ("Imbalance of $symbol", 6)):
        statement = panels[title]["targets"][0]["target"]
        assert len(re.findall(r"floor\(\(timestamp\)", statement)) == hours + 1, "the range cuts its first hour"
        assert f"the last {hours} hours" in panels[title]["description"]


def test_the_api_returns_every_candle_of_the_range_or_the_panel_says_how_many() -> None:
    for panel in all_panels(DASHBOARDS["market-api"]):
        asked = {p["key"]: p["value"] for target in panel["targets"] for p in target["url_options"]["params"]}
        if "from" in asked and not {"stream", "step"} & asked.keys():
            assert "the newest 1,000 candles" in panel["description"], panel["title"]


def test_slot_states_are_named_bands_in_a_state_timeline() -> None:
    found = {panel["title"]: panel for panel in all_panels(DASHBOARDS["postgresql"])}
    for title in SLOT_STATES:
        assert found[title]["type"] == "state-timeline"
    (mapping,) = defaults(found["Slot status"])["mappings"]
    assert [shown["text"] for shown in mapping["options"].values()] == ["reserved", "extended", "unreserved", "lost"]
    assert mapping["options"]["3"]["color"] == "red"


def test_lag_is_shown_by_table_and_for_the_worst_partitions() -> None:
    found = {panel["title"]: panel for panel in all_panels(DASHBOARDS["pipeline"])}
    assert "by (topic)" in found["Lag by table"]["targets"][0]["expr"]
    assert "topk(5" in found["Partitions furthest behind"]["targets"][0]["expr"]


def test_the_operators_panels_are_collapsed_with_a_note_for_one_machine() -> None:
    (row,) = (panel for panel in DASHBOARDS["programs"]["panels"] if panel["title"].startswith("Operator"))
    assert row["collapsed"] is True
    assert len(row["panels"]) == 6
    assert all("Kubernetes" in defaults(panel)["noValue"] for panel in row["panels"])


@pytest.mark.parametrize("name", DASHBOARDS)
def test_links_point_to_existing_dashboards_and_panels(name: str) -> None:
    text = json.dumps(DASHBOARDS[name])
    panels = {made["uid"]: {panel["id"] for panel in all_panels(made)} for made in DASHBOARDS.values()}
    found = re.findall(r"/d/([a-z-]+)(?:\?viewPanel=panel-(\d+))?", text)
    assert found
    for uid, panel in found:
        assert uid in panels
        assert not panel or int(panel) in panels[uid]
    assert {"cryptocdc-home", "cryptocdc-runbooks"} <= {uid for uid, _ in found}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panel_ids_are_unique(name: str) -> None:
    made = DASHBOARDS[name]
    numbers = [panel["id"] for panel in [*all_panels(made), *(p for p in made["panels"] if p["type"] == "row")]]
    assert len(set(numbers)) == len(numbers)


def test_market_rows_link_to_the_pipeline_and_back() -> None:
    for name in ("market-cassandra", "market-api", "market-postgresql"):
        for title in ("24 hours", "Order book balance", "Ten most traded symbols", "Five biggest gainers"):
            (panel,) = (panel for panel in DASHBOARDS[name]["panels"] if panel["title"] == title)
            links = overrides(panel, "symbol" if title == "24 hours" else "/.*/")["links"]
            assert [re.match(r"/d/([a-z-]+)", link["url"])[1] for link in links] == [  # type: ignore[index]
                f"cryptocdc-{name}", "cryptocdc-pipeline",
            ]  # fmt: skip
            assert "var-symbol=${__data.fields.symbol}" in links[0]["url"]
    (rows,) = (panel for panel in DASHBOARDS["pipeline"]["panels"] if panel["title"] == "Rows by table")
    assert overrides(rows, "/.*/")["links"][0]["url"].startswith("/d/cryptocdc-market-cassandra")

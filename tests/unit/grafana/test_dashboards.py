"""The committed JSON is generated from the Python source and accepted by Grafana's own SDK."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cryptocdc_grafana.__main__ import CHART, FOLDER, files, texts
from cryptocdc_grafana.dashboards import MARKET_SOURCES, OPERATIONS
from cryptocdc_grafana.market import all_panels
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

NAMES = sorted(texts())
TUTORIALS = (
    "most traded", "biggest gainers", "Price trends", "BTCUSDT, hourly", "Volume", "Trades", "Order book balance",
    "Order book", "Spread", "Imbalance", "24 hours", "Volatility",
)  # fmt: skip


@pytest.mark.parametrize("path", files(), ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_the_committed_json_is_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == files()[path], "run `make dashboards`"


@pytest.mark.parametrize("folder", [FOLDER, CHART])
def test_there_is_no_dashboard_file_without_a_source(folder: Path) -> None:
    assert sorted(path.name for path in folder.glob("*.json")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_chart_contains_the_same_dashboards(name: str) -> None:
    assert json.loads((CHART / name).read_text(encoding="utf-8")) == json.loads(texts()[name])


@pytest.mark.parametrize("name", NAMES)
def test_grafanas_sdk_round_trips_every_dashboard(name: str) -> None:
    given = json.loads(texts()[name])
    read = json.loads(json.dumps(Dashboard.from_json(given), cls=JSONEncoder))
    assert {key: value for key, value in read.items() if key != "panels"} == {
        key: value for key, value in given.items() if key != "panels"
    }
    assert [panel["title"] for panel in read["panels"]] == [panel["title"] for panel in given["panels"]]
    assert given["refresh"] == "10s"


def test_every_dashboard_has_a_unique_uid() -> None:
    uids = [json.loads(text)["uid"] for text in texts().values()]
    assert len(set(uids)) == len(uids)
    assert all(uid.startswith("cryptocdc-") and len(uid) <= 40 for uid in uids)


@pytest.mark.parametrize("name", NAMES)
def test_panels_do_not_overlap_or_exceed_the_grid(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(texts()[name])["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_source_has_the_panels_that_tutorials_show() -> None:
    titles = [panel.title for panel in all_panels.panels()]
    for word in TUTORIALS:
        assert any(word in title for title in titles), word
    for source in MARKET_SOURCES:
        made = json.loads(texts()[f"market-{source.label.lower()}.json"])
        shown = [panel for panel in made["panels"] if panel["type"] != "row"]
        assert [panel["title"] for panel in shown] == titles
        assert all(panel["targets"] and panel["description"] for panel in shown)


def test_panels_of_streams_that_few_feeds_capture_query_nothing_until_their_row_is_opened() -> None:
    for source in MARKET_SOURCES:
        made = json.loads(texts()[f"market-{source.label.lower()}.json"])
        rows = [panel for panel in made["panels"] if panel["type"] == "row"]
        assert [row["collapsed"] for row in rows] == [True] * len(all_panels.OPTIONAL)
        for row, panels in zip(rows, all_panels.OPTIONAL.values(), strict=True):
            assert [panel["title"] for panel in row["panels"]] == [panel.title for panel in panels()]
            assert all(panel["targets"] and panel["description"] for panel in row["panels"])


def test_panels_of_24h_statistics_show_only_rows_of_the_last_day() -> None:
    asked = [panel for panel in all_panels.panels() if "24h_stats" in panel.cql.text]
    assert [panel.title for panel in asked] == ["Ten most traded symbols", "Five biggest gainers", "24 hours"]
    for panel in asked:
        assert "event_time > current_timestamp() - 1d" in panel.cql.text
        assert "interval '1 day'" in panel.sql.text
        assert panel.get.path == "/top"


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_operations_panel_has_a_description_and_a_unit(name: str) -> None:
    for panel in json.loads(texts()[f"{name}.json"])["panels"]:
        if panel["type"] != "row":
            assert panel["description"].endswith("."), panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            assert all(target["expr"] and target["legendFormat"] for target in panel["targets"]), panel["title"]


@pytest.mark.parametrize("name", ["connect", "kafka", "postgresql", "cassandra"])
def test_a_servers_dashboard_shows_the_selected_instances(name: str) -> None:
    made = json.loads(texts()[f"{name}.json"])
    variables = {variable["name"]: variable for variable in made["templating"]["list"]}
    assert list(variables) == ["datasource", "feed", "instance"]
    assert variables["instance"]["multi"]
    assert variables["instance"]["includeAll"]
    asked = "".join(target["expr"] for panel in made["panels"] for target in panel.get("targets", ()))
    assert 'instance=~"$instance"' in asked


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_a_feed_can_be_chosen_whichever_engine_writes_its_rows(name: str) -> None:
    """Regression: the variable listed feeds with consumers, and Kafka Connect serves none of their metrics."""
    made = json.loads(texts()[f"{name}.json"])
    (feed,) = (variable for variable in made["templating"]["list"] if variable["name"] == "feed")
    found = re.fullmatch(r'label_values\({__name__=~"(.+)"}, feed\)', feed["query"]["query"])
    assert found is not None
    for program in ("producer", "consumer", "verifier"):
        assert re.fullmatch(found[1], f"cryptocdc_{program}_rows_total"), program


@pytest.mark.parametrize(
    ("name", "title"), [("pipeline", "Lag"), ("kafka", "Lag of the feed"), ("kafka", "Consumer lag")]
)
def test_the_lag_is_the_verifiers_where_kafka_connect_writes(name: str, title: str) -> None:
    panels = json.loads(texts()[f"{name}.json"])["panels"]
    (asked,) = next(panel for panel in panels if panel["title"] == title)["targets"]
    assert re.search(r"cryptocdc_consumer_lag_records.+ or .+cryptocdc_verifier_lag_records", asked["expr"])


def test_no_panel_has_more_queries_than_there_are_reference_ids() -> None:
    for shown in OPERATIONS.values():
        for section in shown.sections:
            assert all(len(panel.queries) <= len("ABCDEFGH") for panel in section.panels)

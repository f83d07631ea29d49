"""Grafana's alert rules are the Prometheus rules in Grafana's format."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptocdc_grafana import alerting
from cryptocdc_grafana.__main__ import ALERTS, FOLDER
from grafana_foundation_sdk.models.alerting import Rule

ROOT = Path(__file__).parents[3]
PROMETHEUS = {
    rule["alert"]: rule for group in yaml.safe_load(alerting.RULES.read_text())["groups"] for rule in group["rules"]
}
GROUPS: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text())["groups"]
RULES: dict[str, dict[str, Any]] = {rule["title"]: rule for group in GROUPS for rule in group["rules"]}


def test_the_committed_rules_are_current() -> None:
    assert ALERTS.read_text(encoding="utf-8") == alerting.text(), "run `make dashboards`"


def test_there_is_a_rule_for_every_prometheus_alert() -> None:
    assert RULES.keys() == PROMETHEUS.keys()


@pytest.mark.parametrize("alert", PROMETHEUS)
def test_a_rule_has_the_prometheus_expression_and_fires_for_each_result(alert: str) -> None:
    rule, asked = RULES[alert], PROMETHEUS[alert]
    query, fires = rule["data"]
    sources = yaml.safe_load((ROOT / "grafana/provisioning/datasources/cryptocdc.yaml").read_text())["datasources"]
    assert query["datasourceUid"] in {source["uid"] for source in sources if source["type"] == "prometheus"}
    assert (query["model"]["expr"], query["model"]["instant"]) == (asked["expr"].strip(), True)
    assert (rule["condition"], fires["datasourceUid"]) == (fires["refId"], "__expr__")
    assert fires["model"]["expression"] == f"is_number(${query['refId']})"
    assert (rule["for"], rule["labels"]) == (asked.get("for", "0s"), asked["labels"])
    assert (rule["noDataState"], rule["execErrState"]) == ("OK", "Error")


@pytest.mark.parametrize("alert", PROMETHEUS)
def test_annotations_contain_no_dollar_sign_that_provisioning_would_expand(alert: str) -> None:
    for words in RULES[alert]["annotations"].values():
        assert "$" not in words.removeprefix("${CRYPTOCDC_GRAFANA_URL}")


GUARDED = (
    r"\{\{ with \.Labels\.\w+ \}\}\{\{ \. \}\}\{\{ else \}\}\?\{\{ end \}\}",
    r"\{\{ with \.Values\.A \}\}\{\{ (?:\w+ )?\.Value \}\}\{\{ else \}\}\?\{\{ end \}\}",
)


@pytest.mark.parametrize("alert", PROMETHEUS)
def test_templates_guard_labels_and_values_that_may_be_missing(alert: str) -> None:
    """Without data there is no value, and humanizing nil is an error; a missing label would read "[no value]"."""
    words = RULES[alert]["annotations"]["summary"]
    assert "{{" not in re.sub("|".join(GUARDED), "", words)
    asked = re.findall(r"\$labels\.(\w+)", PROMETHEUS[alert]["annotations"]["summary"])
    assert re.findall(r"\.Labels\.(\w+)", words) == asked


def test_functions_of_prometheus_templates_are_kept() -> None:
    assert alerting.templated("{{ $value | humanizeDuration }} of {{ $labels.feed }}") == (
        "{{ with .Values.A }}{{ humanizeDuration .Value }}{{ else }}?{{ end }}"
        " of {{ with .Labels.feed }}{{ . }}{{ else }}?{{ end }}"
    )


@pytest.mark.parametrize("alert", PROMETHEUS)
def test_an_alert_links_to_its_panel_and_its_runbook(alert: str) -> None:
    rule = RULES[alert]
    notes = rule["annotations"]
    assert (rule["dashboardUid"], str(rule["panelId"])) == (notes["__dashboardUid__"], notes["__panelId__"])
    shown, runbooks = (panels_of(uid) for uid in (rule["dashboardUid"], "cryptocdc-runbooks"))
    assert shown[rule["panelId"]] == alerting.PANELS[alert][1]
    link = re.fullmatch(
        r"\$\{CRYPTOCDC_GRAFANA_URL\}/d/cryptocdc-runbooks\?viewPanel=panel-(\d+)", notes["runbook_url"]
    )
    assert link, notes["runbook_url"]
    assert runbooks[int(link[1])] == alert


def panels_of(uid: str) -> dict[int, str]:
    """Titles by panel id, including those in collapsed rows."""
    made = json.loads((FOLDER / f"{uid.removeprefix('cryptocdc-')}.json").read_text("utf-8"))
    inner = [panel for row in made["panels"] for panel in row.get("panels") or ()]
    return {panel["id"]: panel["title"] for panel in [*made["panels"], *inner]}


def test_each_alert_is_listed_once_and_notifies_a_receiver() -> None:
    """Grafana would also list a Prometheus' alerts; in the cluster, where Prometheus has them, Grafana has none."""
    sources = yaml.safe_load((ROOT / "grafana/provisioning/datasources/cryptocdc.yaml").read_text())["datasources"]
    assert [s["jsonData"]["manageAlerts"] for s in sources if s["type"] == "prometheus"] == [False]
    example = yaml.safe_load((ROOT / "examples/grafana-notifications.yaml").read_text())
    (point,) = example["contactPoints"]
    assert [receiver["type"] for receiver in point["receivers"]] == ["webhook", "email"]
    assert [policy["receiver"] for policy in example["policies"]] == [point["name"]]


def test_every_provisioning_folder_that_grafana_expects_exists() -> None:
    there = {path.parent.name for path in (ROOT / "grafana/provisioning").glob("*/*.yaml")}
    assert there == {"alerting", "dashboards", "datasources", "plugins"}


def test_grafanas_sdk_round_trips_every_rule() -> None:
    names = {"uid", "title", "condition", "noDataState", "execErrState", "for", "labels", "annotations"}
    for rule in RULES.values():
        read = Rule.from_json(rule).to_json()
        assert {name: read[name] for name in names} == {name: rule[name] for name in names}
        assert [query.ref_id for query in Rule.from_json(rule).data] == ["A", "B"]


def test_uids_are_stable_unique_and_short_and_intervals_are_valid() -> None:
    assert RULES["CryptocdcSlotLost"]["uid"] == "cryptocdc-slot-lost"
    uids = [rule["uid"] for rule in RULES.values()]
    assert len(set(uids)) == len(uids)
    assert all(re.fullmatch(r"[a-z-]{1,40}", uid) for uid in uids)
    assert all(group["interval"] in ("10s", "1m") for group in GROUPS)

"""Grafana's alert rules are the Prometheus rules, in Grafana's words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptocdc_grafana import alerting
from cryptocdc_grafana.__main__ import ALERTS
from grafana_foundation_sdk.models.alerting import Rule

ROOT = Path(__file__).parents[3]
PROMETHEUS = {
    rule["alert"]: rule for group in yaml.safe_load(alerting.RULES.read_text())["groups"] for rule in group["rules"]
}
GROUPS: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text())["groups"]
RULES: dict[str, dict[str, Any]] = {rule["title"]: rule for group in GROUPS for rule in group["rules"]}


def test_the_committed_rules_are_current() -> None:
    assert ALERTS.read_text(encoding="utf-8") == alerting.text(), "run `make dashboards`"


def test_every_alert_is_there() -> None:
    assert RULES.keys() == PROMETHEUS.keys()


@pytest.mark.parametrize("alert", PROMETHEUS)
def test_a_rule_asks_the_same_of_the_provisioned_data_source_and_fires_for_each_answer(alert: str) -> None:
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
def test_what_it_says_holds_no_dollar_sign_which_provisioning_would_take_for_a_variable(alert: str) -> None:
    for words in RULES[alert]["annotations"].values():
        assert "$" not in words
        assert re.findall(r"\{\{ (?!\.(?:Labels\.\w+|Values\.A\.Value)(?: \| \w+)? \}\})", words) == []


def test_grafanas_sdk_reads_each_and_finds_all_of_it() -> None:
    names = {"uid", "title", "condition", "noDataState", "execErrState", "for", "labels", "annotations"}
    for rule in RULES.values():
        read = Rule.from_json(rule).to_json()
        assert {name: read[name] for name in names} == {name: rule[name] for name in names}
        assert [query.ref_id for query in Rule.from_json(rule).data] == ["A", "B"]


def test_uids_are_stable_and_fit_and_intervals_are_those_that_grafana_takes() -> None:
    assert RULES["CryptocdcSlotLost"]["uid"] == "cryptocdc-slot-lost"
    uids = [rule["uid"] for rule in RULES.values()]
    assert len(set(uids)) == len(uids)
    assert all(re.fullmatch(r"[a-z-]{1,40}", uid) for uid in uids)
    assert all(group["interval"] in ("10s", "1m") for group in GROUPS)

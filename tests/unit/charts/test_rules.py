"""An alert on a metric that nobody serves never fires: each name in a rule is one that a program declares."""

import re

import pytest
import yaml
from tests.unit.charts.render import CHART

from cryptocdc_core import metrics

RULES = [
    rule
    for group in yaml.safe_load((CHART / "files" / "rules.yaml").read_text())["spec"]["groups"]
    for rule in group["rules"]
]


def served():
    programs = [
        made for made in vars(metrics).values() if isinstance(made, type) and issubclass(made, metrics.ProgramMetrics)
    ]
    found = {}
    for program in programs:
        if program is metrics.ProgramMetrics:
            continue
        for collector in list(program("1").registry._collector_to_names):
            for name in getattr(collector, "describe", list)():
                suffix = "_total" if name.type == "counter" else ""
                found[name.name + suffix] = set(collector._labelnames)
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_that_are_served(rule):
    asked = set(re.findall(r"cryptocdc_[a-z_]+", rule["expr"]))
    assert asked
    assert asked <= set(served())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_it_means_and_what_to_do(rule):
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"]["summary"]
    page = re.match(r"(docs/\S+\.md), (\w+): ", rule["annotations"]["runbook"])
    assert f"## {page[2]}" in (CHART.parent / page[1]).read_text()

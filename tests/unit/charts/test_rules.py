"""The alerts: each queries metrics that are served, has a runbook, and fires exactly when it should."""

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml
from tests.unit.charts.render import CHART
from tests.unit.charts.rule_cases import CASES, OTHER_ENGINES

from cryptocdc_core.program import file_metrics, metrics

FILE = CHART / "files" / "rules.yaml"
RULES = {rule["alert"]: rule for group in yaml.safe_load(FILE.read_text())["groups"] for rule in group["rules"]}
RUNBOOKS = CHART.parent / "docs" / "runbooks"
ELSEWHERE = {
    # CloudNativePG prefixes the queries of manifests/cloudnative-pg/slots.yaml.
    "cnpg_cryptocdc_slots_lost": "manifests/cloudnative-pg/slots.yaml",
    "cnpg_cryptocdc_slots_safe": "manifests/cloudnative-pg/slots.yaml",
    "cnpg_cryptocdc_slots_safe_wal_bytes": "manifests/cloudnative-pg/slots.yaml",
    "cnpg_cryptocdc_slots_standby": "manifests/cloudnative-pg/slots.yaml",
    # Strimzi's exporter of lag.
    "kafka_consumergroup_lag": "manifests/strimzi/kafka.yaml",
    # The kubelet's own, which prometheus-operator's stack scrapes everywhere; on one machine exported with
    # PostgreSQL's.
    "kubelet_volume_stats_available_bytes": None,
    "kubelet_volume_stats_capacity_bytes": None,
    # Prometheus' own, of each target: the operator's PodMonitor and the runner's file of targets label them alike.
    "up": None,
}
"""Metrics of others, and what in this project makes them."""
FUNCTIONS = ("increase", "rate", "deriv", "max_over_time", "last_over_time", "label_replace")
PROMTOOL = shutil.which("promtool")


def served():
    """By metric, its labels."""
    programs = [
        made
        for made in (*vars(metrics).values(), *vars(file_metrics).values())
        if isinstance(made, type) and issubclass(made, metrics.ProgramMetrics)
    ]
    found = {}
    for program in programs:
        if program is metrics.ProgramMetrics:
            continue
        made: metrics.ProgramMetrics = program("1")  # type: ignore[call-arg]
        for collector in list(made.registry._collector_to_names):
            for name in getattr(collector, "describe", list)():
                suffix = "_total" if name.type == "counter" else ""
                found[name.name + suffix] = set(collector._labelnames)  # type: ignore[attr-defined]
    return found


def asked(rule):
    return set(re.findall(r"\b(?:(?:cryptocdc|cnpg|kafka|kubelet)_[a-z_]+|up\b)", re.sub(r'"[^"]*"', "", rule["expr"])))


@pytest.mark.parametrize("alert", RULES)
def test_an_alert_queries_metrics_that_are_served(alert):
    found = asked(RULES[alert])
    assert found
    assert found <= served().keys() | ELSEWHERE.keys()


def test_the_labels_in_an_alerts_text_are_those_of_its_metrics():
    known = served()
    scraped = {"namespace", "feed", "pod", "instance", "program", "slot_name", "topic", "persistentvolumeclaim"}
    for alert, rule in RULES.items():
        used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        assert used <= scraped.union(*(known.get(metric, set()) for metric in asked(rule))), alert


def test_metrics_served_by_others_are_enabled_in_the_manifests():
    root = CHART.parent
    queries = (root / "manifests/cloudnative-pg/slots.yaml").read_text()
    for metric, file in ELSEWHERE.items():
        if metric.startswith("cnpg_"):
            assert metric.removeprefix("cnpg_cryptocdc_slots_") in queries
        elif file is not None:
            assert "kafkaExporter" in (root / file).read_text()


@pytest.mark.parametrize("alert", RULES)
def test_an_alert_has_severity_summary_and_runbook_url(alert):
    rule = RULES[alert]
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{alert}.md"


def test_every_alert_has_its_runbook_and_every_runbook_its_alert():
    assert {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"} == RULES.keys()


@pytest.mark.parametrize("alert", RULES)
def test_a_runbook_has_its_three_sections_for_both_platforms(alert):
    text = (RUNBOOKS / f"{alert}.md").read_text()
    assert text.startswith(f"# {alert}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["What it means", "How to see it", "What to do"]
    assert "One machine" in text
    assert "Cluster" in text
    for metric in re.findall(
        r"cryptocdc_(?:producer|consumer|verifier|operator|alerter|analyzer|exporter|api)_[a-z_]+", text
    ):
        assert metric in served(), metric


def test_the_index_lists_every_runbook():
    listed = (RUNBOOKS / "README.md").read_text()
    assert all(f"[{alert}]({alert}.md)" in listed for alert in RULES)


def test_every_alert_has_firing_and_quiet_cases():
    assert CASES.keys() == RULES.keys()
    assert all(cases.quiet for cases in CASES.values())


@pytest.mark.parametrize(("alert", "cases"), [*CASES.items(), *OTHER_ENGINES.items()])
@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed; Debian's package prometheus has it")
def test_an_alert_fires_in_its_firing_cases_and_not_in_its_quiet_ones(alert, cases, tmp_path):
    rule = RULES[alert]
    must = {"it must": cases.fires, **cases.also}
    fires = [(why, case, [firing(cases, rule)]) for why, case in must.items()]
    quiet: list[Any] = [(why, case, []) for why, case in cases.quiet.items()]
    tests = [
        {
            "name": name,
            "interval": "1m",
            "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
            "alert_rule_test": [{"eval_time": case.at, "alertname": alert, "exp_alerts": expected}],
        }
        for name, case, expected in [*fires, *quiet]
    ]
    document = {"rule_files": [str(FILE)], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(document))
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, "test", "rules", "tests.yml"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def firing(cases, rule):
    """Return the alert in promtool's format."""
    return {
        "exp_labels": {**cases.labels, "severity": rule["labels"]["severity"]},
        "exp_annotations": {**rule["annotations"], "summary": cases.summary},
    }

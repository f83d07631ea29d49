"""The quantiles of Cassandra's times, from K8ssandra's histograms and from what JMX gives: by a real promtool."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from cryptocdc_grafana.operations import cassandra

PANEL = "Request latency, p99"
SERIES = "org_apache_cassandra_metrics_client_request_latency"
K8SSANDRA = [
    {"series": f'{SERIES}_bucket{{instance="pod-0", request_type="Write", le="{le}"}}', "values": f"0+{count}x60"}
    for le, count in (("310", 0), ("535", 100), ("+Inf", 100))
]
JMX = [{"series": f'{SERIES}{{instance="cassandra", request_type="Write", quantile="0.99"}}', "values": "400x60"}]


@pytest.mark.parametrize(("series", "expected"), [(K8SSANDRA, 532.75), (JMX, 400)])
def test_both_metric_sources_give_the_quantile_in_microseconds(
    tmp_path: Path, series: list[dict[str, str]], expected: float
) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool on this machine: apt-get install prometheus")
    (asked,) = [panel for section in cassandra.sections() for panel in section.panels if panel.title == PANEL]
    expr = asked.queries[0].expr.replace("$__rate_interval", "2m").replace("$instance", ".+")
    sample = {"labels": '{request_type="Write"}', "value": expected}
    test = {"interval": "15s", "input_series": series}
    test["promql_expr_test"] = [{"expr": expr, "eval_time": "10m", "exp_samples": [sample]}]
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({"tests": [test]}))
    done = subprocess.run(
        [promtool, "test", "rules", tmp_path / "test.yaml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

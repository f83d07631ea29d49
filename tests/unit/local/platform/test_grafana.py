"""Grafana on one machine: what it gets, with a program in its place that records it."""

from __future__ import annotations

import json
import queue
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from cryptocdc_local.platform import PlatformError, PlatformSettings
from cryptocdc_local.platform.credentials import Credentials
from cryptocdc_local.platform.endpoints import endpoints
from cryptocdc_local.platform.monitoring import grafana_files
from cryptocdc_local.platform.monitoring.alert_printer import alerts_printed
from cryptocdc_local.platform.monitoring.grafana import environment, find, provision, serve
from cryptocdc_local.platform.monitoring.prometheus import prometheus_running
from cryptocdc_local.platform.settings import DashboardPorts, Ports

FOLDER = Path(__file__).parents[4] / "grafana"
TELLS = """#!/bin/sh
printf '%s' "$*" > "$GF_PATHS_DATA/arguments"
env > "$GF_PATHS_DATA/environment"
exit 7
"""


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    there = endpoints(Ports(), Credentials())
    return environment(there, "secret", "http://127.0.0.1:8000", DashboardPorts(), FOLDER, tmp_path / "state")


def test_without_grafana_the_error_says_that_it_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PlatformError, match="grafana-server is not installed"):
        find()


def test_grafana_is_started_with_the_reader_and_the_home_dashboard(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: dict[str, str]
) -> None:
    installed(tmp_path, monkeypatch, {"grafana-server": TELLS})

    assert serve(PlatformSettings(tmp_path, Ports()), given, FOLDER, print) == 7
    assert (tmp_path / "state" / "arguments").read_text() == f"--homepath={tmp_path / 'grafana'}"
    told = (tmp_path / "state" / "environment").read_text()
    assert "CRYPTOCDC_GRAFANA_READER=cryptocdc_reader" in told
    assert "GF_SERVER_HTTP_ADDR=127.0.0.1" in told
    home = re.search(r"GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH=(.+)", told)
    assert home
    assert json.loads(Path(home[1]).read_text())["uid"] == "cryptocdc-home"


def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: dict[str, str]) -> None:
    """Only these programs are on the machine, each a shell script."""
    folder = tmp_path / "grafana" / "bin"
    folder.mkdir(parents=True)
    (tmp_path / "grafana" / "conf").mkdir()
    for name, script in {"env": "#!/bin/sh\nexec /usr/bin/env", **programs}.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr("cryptocdc_local.platform.monitoring.grafana.HOMES", ())


@pytest.mark.parametrize(
    ("environ", "receivers"),
    [
        ({"CRYPTOCDC_GRAFANA_WEBHOOK": "https://hooks.example.com/x"}, [("webhook", "https://hooks.example.com/x")]),
        ({"CRYPTOCDC_GRAFANA_EMAIL": "a@example.com"}, [("email", "a@example.com")]),
        ({}, [("webhook", "http://127.0.0.1:1/")]),
    ],
)
def test_alerts_notify_the_configured_receivers_or_else_the_terminal(
    environ: dict[str, str], receivers: list[tuple[str, str]]
) -> None:
    made = yaml.safe_load(grafana_files.notifications(environ, "http://127.0.0.1:1/"))
    (point,) = made["contactPoints"]
    assert [
        (r["type"], r["settings"].get("url") or r["settings"]["addresses"]) for r in point["receivers"]
    ] == receivers
    assert [policy["receiver"] for policy in made["policies"]] == [point["name"]]


def test_an_invalid_webhook_url_is_refused_by_its_variable() -> None:
    with pytest.raises(PlatformError, match=r"CRYPTOCDC_GRAFANA_WEBHOOK: 'hooks\.example\.com'"):
        grafana_files.notifications({"CRYPTOCDC_GRAFANA_WEBHOOK": "hooks.example.com"}, "")


def test_grafana_is_provisioned_with_the_projects_files_and_whom_to_notify(tmp_path: Path) -> None:
    provision(FOLDER, tmp_path, "{}")
    given = {str(path.relative_to(FOLDER)) for path in (FOLDER / "provisioning").rglob("*.yaml")}
    there = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.yaml")}
    assert there == given | {"provisioning/alerting/notifications.yaml"}
    provision(FOLDER, tmp_path, "{}")


def test_prometheus_scrapes_what_runs_in_the_chosen_home_at_the_chosen_ports(tmp_path: Path) -> None:
    chosen = {"CRYPTOCDC_HOME": str(tmp_path / "other"), "CRYPTOCDC_PROMETHEUS_PORT": "19090"}
    settings = PlatformSettings.from_environment(chosen)
    made = yaml.safe_load(grafana_files.prometheus(settings, 18090))
    files = [
        file for job in made["scrape_configs"] for found in job.get("file_sd_configs", ()) for file in found["files"]
    ]
    assert files == [f"{tmp_path}/other/run/targets/*.json"]
    assert settings.targets("majors").match(files[0])
    assert [job["static_configs"][0]["targets"] for job in made["scrape_configs"] if "static_configs" in job] == [
        ["127.0.0.1:18090"]
    ]
    assert "rule_files" not in made, "Grafana has the rules; otherwise each alert would be listed twice"
    assert (settings.dashboard_ports.grafana, settings.dashboard_ports.prometheus) == (3000, 19090)
    assert environment(endpoints(Ports(), Credentials()), "", "", settings.dashboard_ports, FOLDER, tmp_path)[
        "CRYPTOCDC_GRAFANA_PROMETHEUS"
    ].endswith(":19090")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: apt-get install prometheus")
def test_prometheus_accepts_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(grafana_files.prometheus(PlatformSettings(tmp_path), 18090))
    promtool = str(shutil.which("promtool"))
    checked = subprocess.run(
        [promtool, "check", "config", tmp_path / "prometheus.yml"], capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_prometheus_that_fails_to_start_is_reported_with_its_last_output(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ends = "#!/bin/sh\necho 'listen tcp 127.0.0.1:9090: bind: address already in use' >&2\nexit 1\n"
    installed(tmp_path, monkeypatch, {"prometheus": ends})
    reported: queue.Queue[str] = queue.Queue()
    with prometheus_running(tmp_path / "prometheus", "{}", 9090, reported.put):
        line = reported.get(timeout=30)
    assert line.startswith("Prometheus exited with code 1: listen tcp 127.0.0.1:9090: bind: address already")


def test_a_prometheus_that_is_stopped_is_not_reported_and_a_missing_one_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = "#!/bin/sh\nexec /bin/sleep 60\n"
    installed(tmp_path, monkeypatch, {"prometheus": runs})
    reported: list[str] = []
    with prometheus_running(tmp_path / "prometheus", "{}", 9090, reported.append):
        pass
    assert reported == []
    (tmp_path / "grafana" / "bin" / "prometheus").unlink()
    with prometheus_running(tmp_path / "prometheus", "{}", 9090, reported.append):
        assert "prometheus is not installed" in reported[0]


def test_alerts_without_a_receiver_are_printed() -> None:
    notes = {"summary": "majors: the slot is gone", "runbook_url": "http://127.0.0.1:3000/d/cryptocdc-runbooks"}
    alert = {"status": "firing", "labels": {"alertname": "CryptocdcSlotLost"}, "annotations": notes}
    reported: list[str] = []
    with alerts_printed(reported.append) as url:
        assert (
            requests.post(url, json={"alerts": [alert, alert | {"status": "resolved"}]}, timeout=10).status_code == 204
        )
        assert requests.post(url, json=["alerts"], timeout=10).status_code == 400
        assert requests.post(url, data="{", timeout=10).status_code == 400
    assert reported == [
        "alert firing: CryptocdcSlotLost: majors: the slot is gone (http://127.0.0.1:3000/d/cryptocdc-runbooks)",
        "alert resolved: CryptocdcSlotLost: majors: the slot is gone",
    ]


def test_exactly_the_variables_that_the_provisioning_uses_are_set(given: dict[str, str]) -> None:
    text = "".join(path.read_text() for path in (FOLDER / "provisioning").rglob("*.yaml"))
    used = set(re.findall(r"\$\{?(CRYPTOCDC_GRAFANA_\w+)", text))
    assert used == {name for name in given if name.startswith("CRYPTOCDC_GRAFANA_")}


def test_every_dashboard_finds_a_data_source_of_its_kind() -> None:
    provided: Any = yaml.safe_load((FOLDER / "provisioning" / "datasources" / "cryptocdc.yaml").read_text())
    kinds = {source["type"] for source in provided["datasources"]}
    for path in (FOLDER / "dashboards").glob("*.json"):
        variables = json.loads(path.read_text())["templating"].get("list") or ()
        assert {v["query"] for v in variables if v["type"] == "datasource"} <= kinds, path.name

"""Grafana on one machine: what it is given, with a program in its place that tells what it got."""

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

from cryptocdc_local.platform import PlatformError, PlatformSettings, grafana_files
from cryptocdc_local.platform.alert_printer import alerts_printed
from cryptocdc_local.platform.credentials import Credentials
from cryptocdc_local.platform.endpoints import endpoints
from cryptocdc_local.platform.grafana import environment, find, provision, serve
from cryptocdc_local.platform.prometheus import prometheus_running
from cryptocdc_local.platform.settings import DashboardPorts, Ports

FOLDER = Path(__file__).parents[3] / "grafana"
TELLS = """#!/bin/sh
printf '%s' "$*" > "$GF_PATHS_DATA/arguments"
env > "$GF_PATHS_DATA/environment"
exit 7
"""


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    there = endpoints(Ports(), Credentials())
    return environment(there, "secret", "http://127.0.0.1:8000", DashboardPorts(), FOLDER, tmp_path / "state")


def test_without_a_server_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PlatformError, match="grafana-server is not installed"):
        find()


def test_the_server_found_gets_data_sources_dashboards_and_readers(
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
    monkeypatch.setattr("cryptocdc_local.platform.grafana.HOMES", ())


@pytest.mark.parametrize(
    ("environ", "receivers"),
    [
        ({"CRYPTOCDC_GRAFANA_WEBHOOK": "https://hooks.example.com/x"}, [("webhook", "https://hooks.example.com/x")]),
        ({"CRYPTOCDC_GRAFANA_EMAIL": "a@example.com"}, [("email", "a@example.com")]),
        ({}, [("webhook", "http://127.0.0.1:1/")]),
    ],
)
def test_alerts_notify_whom_the_environment_names_and_else_the_terminal(
    environ: dict[str, str], receivers: list[tuple[str, str]]
) -> None:
    made = yaml.safe_load(grafana_files.notifications(environ, "http://127.0.0.1:1/"))
    (point,) = made["contactPoints"]
    assert [
        (r["type"], r["settings"].get("url") or r["settings"]["addresses"]) for r in point["receivers"]
    ] == receivers
    assert [policy["receiver"] for policy in made["policies"]] == [point["name"]]


def test_a_webhook_that_is_no_url_is_refused_by_its_variable() -> None:
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
    assert "rule_files" not in made, "Grafana has the rules: both would list each alert"
    assert (settings.dashboard_ports.grafana, settings.dashboard_ports.prometheus) == (3000, 19090)
    assert environment(endpoints(Ports(), Credentials()), "", "", settings.dashboard_ports, FOLDER, tmp_path)[
        "CRYPTOCDC_GRAFANA_PROMETHEUS"
    ].endswith(":19090")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool on this machine: apt-get install prometheus")
def test_prometheus_takes_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(grafana_files.prometheus(PlatformSettings(tmp_path), 18090))
    promtool = str(shutil.which("promtool"))
    checked = subprocess.run(
        [promtool, "check", "config", tmp_path / "prometheus.yml"], capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_prometheus_that_ends_at_once_is_reported_with_its_last_words(
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


def test_an_alert_that_nobody_else_takes_is_printed() -> None:
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


def test_every_variable_of_the_provisioning_is_given_and_none_for_nothing(given: dict[str, str]) -> None:
    text = "".join(path.read_text() for path in (FOLDER / "provisioning").rglob("*.yaml"))
    used = set(re.findall(r"\$\{?(CRYPTOCDC_GRAFANA_\w+)", text))
    assert used == {name for name in given if name.startswith("CRYPTOCDC_GRAFANA_")}


def test_every_dashboard_finds_a_data_source_of_its_kind() -> None:
    provided: Any = yaml.safe_load((FOLDER / "provisioning" / "datasources" / "cryptocdc.yaml").read_text())
    kinds = {source["type"] for source in provided["datasources"]}
    for path in (FOLDER / "dashboards").glob("*.json"):
        variables = json.loads(path.read_text())["templating"].get("list") or ()
        assert {v["query"] for v in variables if v["type"] == "datasource"} <= kinds, path.name

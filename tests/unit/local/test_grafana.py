"""Grafana on one machine: what it is given, with a program in its place that tells what it got."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from cryptocdc_local.platform import PlatformError, PlatformSettings
from cryptocdc_local.platform.credentials import Credentials
from cryptocdc_local.platform.endpoints import endpoints
from cryptocdc_local.platform.grafana import environment, find, serve
from cryptocdc_local.platform.settings import Ports

FOLDER = Path(__file__).parents[3] / "grafana"
TELLS = """#!/bin/sh
printf '%s' "$*" > "$GF_PATHS_DATA/arguments"
env > "$GF_PATHS_DATA/environment"
exit 7
"""


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    there = endpoints(Ports(), Credentials())
    return environment(there, "secret", "http://127.0.0.1:8000", FOLDER, tmp_path / "state")


def test_without_a_server_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PlatformError, match="no grafana-server on this machine"):
        find()


def test_the_server_found_gets_data_sources_dashboards_and_readers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: dict[str, str]
) -> None:
    program = tmp_path / "grafana" / "bin" / "grafana-server"
    program.parent.mkdir(parents=True)
    (tmp_path / "grafana" / "conf").mkdir()
    program.write_text(TELLS)
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr("cryptocdc_local.platform.grafana._prometheus", lambda *_: _Nothing())
    monkeypatch.setattr("cryptocdc_local.platform.grafana.HOMES", ())

    assert serve(PlatformSettings(tmp_path, Ports()), given, FOLDER) == 7
    assert (tmp_path / "state" / "arguments").read_text() == f"--homepath={tmp_path / 'grafana'}"
    told = (tmp_path / "state" / "environment").read_text()
    assert "CRYPTOCDC_GRAFANA_READER=cryptocdc_reader" in told
    assert "GF_SERVER_HTTP_ADDR=127.0.0.1" in told


class _Nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def test_every_variable_of_the_provisioning_is_given_and_none_for_nothing(given: dict[str, str]) -> None:
    text = "".join(path.read_text() for path in (FOLDER / "provisioning").rglob("*.yaml"))
    used = set(re.findall(r"\$(CRYPTOCDC_GRAFANA_\w+)", text))
    assert used == {name for name in given if name.startswith("CRYPTOCDC_GRAFANA_")}


def test_every_dashboard_finds_a_data_source_of_its_kind() -> None:
    provided: Any = yaml.safe_load((FOLDER / "provisioning" / "datasources" / "cryptocdc.yaml").read_text())
    kinds = {source["type"] for source in provided["datasources"]}
    for path in (FOLDER / "dashboards").glob("*.json"):
        variables = json.loads(path.read_text())["templating"]["list"]
        assert next(v["query"] for v in variables if v["type"] == "datasource") in kinds, path.name

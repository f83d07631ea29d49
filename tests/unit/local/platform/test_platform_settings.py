from pathlib import Path

import pytest

from cryptocdc_local.platform import PlatformError, PlatformSettings, Ports
from cryptocdc_local.platform.settings import MetricsPorts


def test_defaults_are_the_documented_ports() -> None:
    settings = PlatformSettings.from_environment({"CRYPTOCDC_HOME": "/somewhere"})
    assert settings.home == Path("/somewhere")
    assert (settings.ports.postgres, settings.ports.kafka, settings.ports.connect, settings.ports.cassandra) == (
        15432,
        19092,
        18083,
        19042,
    )


def test_each_port_and_heap_can_be_chosen() -> None:
    environ = {"CRYPTOCDC_HOME": "/h", "CRYPTOCDC_KAFKA_CONTROLLER_PORT": "29093", "CRYPTOCDC_CASSANDRA_HEAP_MB": "512"}
    settings = PlatformSettings.from_environment(environ)
    assert settings.ports == Ports(kafka_controller=29093)
    assert settings.heaps.cassandra == 512


@pytest.mark.parametrize("text", ["", "0", "65536", "15432 ", "-1", "port", "١٢"])
def test_an_invalid_port_is_refused_by_its_variable(text: str) -> None:
    with pytest.raises(PlatformError, match="CRYPTOCDC_POSTGRES_PORT") as refusal:
        PlatformSettings.from_environment({"CRYPTOCDC_HOME": "/h", "CRYPTOCDC_POSTGRES_PORT": text})
    assert "1 to 65535" in refusal.value.remedy


def test_the_home_of_root_is_in_var_lib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert PlatformSettings.from_environment({}).home == Path("/var/lib/cryptocdc")


def test_the_home_of_a_user_is_in_the_working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.chdir(tmp_path)
    assert PlatformSettings.from_environment({}).home == tmp_path / ".cryptocdc"


@pytest.mark.parametrize("home", ["/a,b", "/a:b", '/a"b'])
def test_a_home_folder_with_separators_of_java_paths_is_refused(home: str) -> None:
    with pytest.raises(PlatformError, match="can't use a folder with") as refusal:
        PlatformSettings.from_environment({"CRYPTOCDC_HOME": home})
    assert "CRYPTOCDC_HOME" in refusal.value.remedy


def test_the_ports_of_the_servers_metrics_can_be_chosen_and_whether_a_run_serves_them() -> None:
    chosen = {"CRYPTOCDC_HOME": "/h", "CRYPTOCDC_KAFKA_METRICS_PORT": "29404", "CRYPTOCDC_SERVER_METRICS": "on"}
    settings = PlatformSettings.from_environment(chosen)
    assert (settings.metrics_ports, settings.server_metrics) == (MetricsPorts(kafka=29404), True)
    assert not PlatformSettings.from_environment({"CRYPTOCDC_HOME": "/h"}).server_metrics


@pytest.mark.parametrize("text", ["", "1", "yes", "ON"])
def test_an_invalid_switch_is_refused_by_its_variable(text: str) -> None:
    with pytest.raises(PlatformError, match="CRYPTOCDC_SERVER_METRICS") as refusal:
        PlatformSettings.from_environment({"CRYPTOCDC_HOME": "/h", "CRYPTOCDC_SERVER_METRICS": text})
    assert "on or off" in refusal.value.remedy


def test_the_api_of_a_run_listens_on_loopback_by_default(tmp_path: Path) -> None:
    home = {"CRYPTOCDC_HOME": str(tmp_path)}
    assert PlatformSettings.from_environment(home).api_host == "127.0.0.1"
    everywhere = PlatformSettings.from_environment({**home, "CRYPTOCDC_API_HOST": "0.0.0.0"})
    assert everywhere.api_host == "0.0.0.0"


def test_the_servers_programs_may_be_outside_the_home_folder(tmp_path: Path) -> None:
    home = {"CRYPTOCDC_HOME": str(tmp_path)}
    assert PlatformSettings.from_environment(home).lib == tmp_path / "lib"
    assert PlatformSettings.from_environment({**home, "CRYPTOCDC_LIB": "/opt/servers"}).lib == Path("/opt/servers")

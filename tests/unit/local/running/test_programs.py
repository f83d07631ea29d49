"""A feed's programs as processes, and what a killed runner leaves behind."""

from __future__ import annotations

import json
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
from tests.integration.api_client import free_port

from cryptocdc_local.platform import PlatformSettings
from cryptocdc_local.platform.servers.process import Command, ServerProcess
from cryptocdc_local.running.programs import Programs, stop_left_over


def programs_of(settings: PlatformSettings) -> Programs:
    """Return programs that can be started: their folders exist."""
    for folder in (settings.run, settings.log):
        folder.mkdir(parents=True, exist_ok=True)
    return Programs(settings, "majors", {})


def targets(settings: PlatformSettings) -> set[str]:
    return {path.stem for path in settings.server_targets.parent.iterdir()}


def test_stopped_programs_are_removed_from_prometheus_targets(tmp_path: Path) -> None:
    settings = PlatformSettings(tmp_path)
    settings.server_targets.parent.mkdir(parents=True)
    for file in (settings.targets("majors_sim"), settings.targets("others_sim"), settings.server_targets):
        file.write_text("[]")
    stop_left_over(settings, "majors_sim")
    assert targets(settings) == {"others_sim", settings.server_targets.stem}
    stop_left_over(settings)
    assert targets(settings) == {settings.server_targets.stem}


@pytest.mark.parametrize(("code", "restarted"), [(0, False), (3, True)])
def test_a_program_that_ends_is_restarted_only_if_it_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, restarted: bool
) -> None:
    programs = programs_of(PlatformSettings(tmp_path))
    ending = Command([sys.executable, "-c", f"raise SystemExit({code})"], {}, tmp_path)
    monkeypatch.setattr(programs, "_command", lambda *_: ending)
    programs.scale("history", 1)
    assert json.loads(programs.settings.targets("majors").read_text()) == [], "what has ended is not reported as down"
    deadline = time.monotonic() + 20
    while programs.pids() and time.monotonic() < deadline:
        time.sleep(0.01)

    revived: list[str] = []
    deadline = time.monotonic() + (20 if restarted else 1.5)
    while not revived and time.monotonic() < deadline:
        revived = programs.supervise()
    assert bool(revived) == restarted
    programs.stop("history")


def test_a_program_whose_port_was_taken_is_restarted_with_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = programs_of(PlatformSettings(tmp_path))
    failing = Command([sys.executable, "-c", "raise SystemExit(2)"], {}, tmp_path)
    monkeypatch.setattr(programs, "_command", lambda *_: failing)
    programs.scale("verifier", 1)
    (before,) = programs.ports().values()
    with socket.create_server(("127.0.0.1", before)):
        deadline = time.monotonic() + 20
        while not programs.restarts and time.monotonic() < deadline:
            programs.supervise()
            time.sleep(0.01)
        (after,) = programs.ports().values()
        assert after != before
        (target,) = json.loads(programs.settings.targets("majors").read_text())
        assert target["targets"] == [f"127.0.0.1:{after}"]
    programs.stop("verifier")


def test_programs_of_a_platform_with_metrics_ports_of_its_own_use_those(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = free_port()
    programs = programs_of(PlatformSettings(tmp_path, first_metrics_port=first))
    monkeypatch.setattr(programs, "_command", lambda *_: Command([sys.executable, "-c", ""], {}, tmp_path))
    for kind in ("producer", "api"):
        programs.scale(kind, 2)
    assert len(set(programs.ports().values())) == 4
    assert all(first <= port < first + 100 for port in programs.ports().values())
    for kind in ("producer", "api"):
        programs.stop(kind)


def test_a_program_that_is_being_stopped_is_not_restarted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = programs_of(PlatformSettings(tmp_path))
    sleeping = Command([sys.executable, "-c", "import time; time.sleep(60)"], {}, tmp_path)
    monkeypatch.setattr(programs, "_command", lambda *_: sleeping)
    programs.scale("consumer", 3)
    stop = ServerProcess.stop
    revived: list[str] = []

    def stop_slowly(process: ServerProcess, gently: signal.Signals, limit: float) -> bool:
        stopped = stop(process, gently, limit)
        time.sleep(0.5)  # the others, signalled at the same time, are dead now
        revived.extend(programs.supervise())
        return stopped

    monkeypatch.setattr(ServerProcess, "stop", stop_slowly)
    programs.stop("consumer")
    assert revived == []

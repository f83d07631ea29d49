"""One process per feed: a second one learns which process runs it, and `down` stops it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cryptocdc_local.platform import PlatformError
from cryptocdc_local.running import claim

RUNNER = """
import pathlib, signal, sys
from cryptocdc_local.running import claim
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
with claim.claimed(pathlib.Path(sys.argv[1]), "majors_sim"):
    print("claimed", flush=True)
    signal.pause()
"""


@pytest.fixture
def runner(tmp_path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", RUNNER, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "claimed\n"
    return process


def test_a_feed_is_run_by_one_process_at_a_time(tmp_path: Path, runner: subprocess.Popen[str]) -> None:
    with (
        pytest.raises(PlatformError, match=rf"majors_sim .* \(pid {runner.pid}\)"),
        claim.claimed(tmp_path, "majors_sim"),
    ):
        pass
    with claim.claimed(tmp_path, "others_sim"):
        pass
    runner.kill()
    runner.wait()
    with claim.claimed(tmp_path, "majors_sim"):
        pass


def test_end_stops_a_run_as_its_user_would(tmp_path: Path, runner: subprocess.Popen[str]) -> None:
    assert claim.end(tmp_path) == ["majors_sim"]
    assert runner.wait() == 7
    assert claim.end(tmp_path) == []


def test_the_claim_of_a_killed_run_ends_no_process(tmp_path: Path, runner: subprocess.Popen[str]) -> None:
    runner.kill()
    runner.wait()
    assert claim.end(tmp_path) == []


def test_only_one_process_at_a_time_changes_a_feeds_connectors(tmp_path: Path) -> None:
    with (
        claim.changing(tmp_path, "majors_sim") as first,
        claim.changing(tmp_path, "majors_sim", wait=False) as second,
        claim.changing(tmp_path, "others_sim", wait=False) as another,
    ):
        assert (first, second, another) == (True, False, True)
    with claim.changing(tmp_path, "majors_sim", wait=False) as later:
        assert later

"""Servers as processes: here stand-ins in Python, real ones in the integration tests."""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cryptocdc_local.platform import PlatformError
from cryptocdc_local.platform.account import Account
from cryptocdc_local.platform.servers.process import LOG_LIMIT, Command, ServerProcess, end, find_by_argument

ME = Account(os.geteuid(), os.getegid(), "me")
SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def command(program: str, *arguments: str) -> Command:
    return Command([sys.executable, "-c", program, *arguments], dict(os.environ), Path("/"))


Started = Callable[..., ServerProcess]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    running: list[ServerProcess] = []

    def start(program: str = SLEEPER, *arguments: str) -> ServerProcess:
        process = ServerProcess("stand-in", ME, tmp_path, tmp_path)
        process.start(command(program, *arguments))
        running.append(process)
        process.wait_ready(lambda: "up" in process.log_file.read_text() or process.alive() is None, 20)
        return process

    yield start
    for process in running:
        process.stop(signal.SIGKILL, 5)


def test_a_later_command_finds_the_process_by_its_pid_file(started: Started, tmp_path: Path) -> None:
    process = started()
    later = ServerProcess("stand-in", ME, tmp_path, tmp_path)
    found = later.alive()
    assert found is not None
    assert found == process.alive()
    assert later.stop(signal.SIGTERM, 10)
    assert process.alive() is None
    assert process.recorded() is None


def test_a_recycled_pid_is_not_mistaken_for_the_server(tmp_path: Path) -> None:
    process = ServerProcess("stand-in", ME, tmp_path, tmp_path)
    process.pid_file.write_text(json.dumps({"pid": os.getpid(), "birth": "another boot:1", "restarts": 0}))
    assert process.recorded() is not None
    assert process.alive() is None
    process.stop(signal.SIGKILL, 5)  # would end the tests if it believed the file


@pytest.mark.parametrize("text", ["", "12", "{}", '{"pid": 1}'])
def test_a_half_written_pid_file_is_ignored(tmp_path: Path, text: str) -> None:
    process = ServerProcess("stand-in", ME, tmp_path, tmp_path)
    process.pid_file.write_text(text)
    assert process.recorded() is None


def test_a_process_that_does_not_stop_is_killed(started: Started) -> None:
    process = started(STUBBORN)
    assert not process.stop(signal.SIGTERM, 0.3)
    assert process.alive() is None


def test_a_killed_process_counts_as_dead_though_its_parent_has_not_waited(started: Started) -> None:
    process = started()
    process.kill()
    assert process.alive() is None
    assert process.recorded() is not None


def test_a_start_that_fails_shows_the_end_of_the_log(started: Started) -> None:
    process = started("import sys; print('up'); sys.exit('no such table')")
    with pytest.raises(PlatformError, match="no such table") as failure:
        process.wait_ready(lambda: False, 20)
    assert str(process.log_file) in failure.value.remedy


def test_a_start_that_takes_too_long_is_an_error(started: Started) -> None:
    with pytest.raises(PlatformError, match="not ready after 0 s"):
        started().wait_ready(lambda: False, 0.2)


def test_a_cancelled_start_is_not_waited_for(started: Started) -> None:
    given_up = threading.Event()
    given_up.set()
    with pytest.raises(PlatformError, match="was cancelled"):
        started().wait_ready(lambda: False, 60, given_up)


def test_a_log_is_rotated_while_the_server_writes_it(started: Started) -> None:
    size = LOG_LIMIT + 1000
    process = started(f"import time; print('x' * {size}, flush=True); print('up', flush=True); time.sleep(60)")
    process.bound_log()
    assert process.log_file.stat().st_size == 0
    assert process.log_file.with_suffix(".log.1").stat().st_size == LOG_LIMIT


def test_a_process_without_a_pid_file_is_found_by_its_argument(started: Started, tmp_path: Path) -> None:
    mark = str(tmp_path / "server.properties")
    process = started(SLEEPER, mark)
    process.pid_file.unlink()
    found = find_by_argument(mark, os.geteuid())
    assert [one.cmdline()[-1] for one in found] == [mark]
    end(found, signal.SIGTERM, 10)
    assert find_by_argument(mark, os.geteuid()) == []


def test_memory_is_that_of_the_process(started: Started) -> None:
    process = started()
    assert 2**20 < process.memory() < 2**30
    process.kill()
    assert process.memory() == 0

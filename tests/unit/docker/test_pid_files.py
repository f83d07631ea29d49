"""A daemon's pid file is removed when its daemon is gone, and only then."""

import os
from pathlib import Path

from tests.e2e.docker import forget_dead

ME = Path("/proc/self/comm").read_text().strip()


def test_the_pid_file_of_a_dead_process_is_removed(tmp_path):
    file = tmp_path / "docker.pid"
    file.write_text(Path("/proc/sys/kernel/pid_max").read_text())
    forget_dead("dockerd", file)
    assert not file.exists()


def test_the_pid_file_with_the_pid_of_another_program_is_removed(tmp_path):
    file = tmp_path / "docker.pid"
    file.write_text(f"{os.getpid()}\n")
    forget_dead("dockerd", file)
    assert not file.exists()


def test_the_pid_file_of_a_running_daemon_is_kept(tmp_path):
    file = tmp_path / "docker.pid"
    file.write_text(str(os.getpid()))
    forget_dead(ME, file)
    assert file.exists()


def test_without_a_pid_file_nothing_is_created(tmp_path):
    forget_dead("dockerd", tmp_path / "docker.pid")
    assert list(tmp_path.iterdir()) == []

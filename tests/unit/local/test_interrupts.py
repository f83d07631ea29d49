"""A stopping run completes its stop, also after the terminal has closed or a second Ctrl-C."""

from __future__ import annotations

import os
import pty
import signal
import sys
import time
from pathlib import Path

import pytest

RUN = """
import os, pathlib, signal, sys, time
from cryptocdc_local.commands import _interrupted_once
folder = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # it is ignored where the tests run under nohup
with _interrupted_once():
    try:
        (folder / "running").touch()
        signal.pause()
    except KeyboardInterrupt:
        (folder / "stopping").touch()
        while not (folder / "go on").exists():
            time.sleep(0.01)
        print("stopped", flush=True)
        (folder / "stopped").touch()
"""


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline, file
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_further_signals_do_not_interrupt_stopping(tmp_path: Path, number: signal.Signals) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", RUN, str(tmp_path)])
    wait_for(tmp_path / "running")
    if number == signal.SIGHUP:
        os.close(terminal)
    else:
        os.kill(pid, number)
    wait_for(tmp_path / "stopping")
    for impatient in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, impatient)
    (tmp_path / "go on").touch()
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert (tmp_path / "stopped").exists()

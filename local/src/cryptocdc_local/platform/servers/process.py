"""A server as an operating-system process: started in its own session, found by later commands, stopped gracefully and
then by force."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from cryptocdc_local.platform.account import Account
from cryptocdc_local.platform.errors import PlatformError

LOG_LIMIT = 16 * 2**20  # bytes; one older file of this size is kept
TAIL_LINES = 12


@dataclass(frozen=True)
class Command:
    """What to run; `stop_signal` makes the server stop cleanly."""

    argv: list[str]
    env: Mapping[str, str]
    cwd: Path
    stop_signal: signal.Signals = signal.SIGTERM


@dataclass(frozen=True)
class Running:
    """The contents of a pid file. `birth` distinguishes this process from a later one with a recycled pid."""

    pid: int
    birth: str
    restarts: int = 0


class ServerProcess:
    """Start, find and stop the process called `name`. Any instance for the same folders sees the same process."""

    def __init__(self, name: str, account: Account, run: Path, log: Path) -> None:
        self.name = name
        self.account = account
        self.pid_file = run / f"{name}.pid"
        self.log_file = log / f"{name}.log"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, command: Command, restarts: int = 0) -> None:
        """Spawn the server and write its pid file, without waiting for it."""
        self.bound_log()
        # Append mode, so that the server continues at the new end after the file is truncated.
        log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self.account.own(self.log_file)
            self._child = subprocess.Popen(
                command.argv,
                env=dict(command.env),
                cwd=command.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal must not reach the servers before their clients
                **self.account.popen,
            )
        except OSError as error:
            raise PlatformError(f"{self.name}: {command.argv[0]}: {error}", "run `cryptocdc doctor`") from error
        finally:
            os.close(log)
        running = Running(self._child.pid, _birth(self._child.pid) or "", restarts)
        self.account.write(self.pid_file, json.dumps(vars(running)))

    def recorded(self) -> Running | None:
        """Return the pid file's contents, whether or not that process still runs."""
        try:
            return Running(**json.loads(self.pid_file.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def alive(self) -> Running | None:
        """Return the process of the pid file, if it still runs and is not a zombie."""
        if self._child is not None:
            self._child.poll()
        running = self.recorded()
        return running if running and _birth(running.pid) == running.birth else None

    @property
    def succeeded(self) -> bool:
        """Whether the process that this instance started has ended with exit code 0."""
        return self._child is not None and self._child.poll() == 0

    def send(self, number: signal.Signals) -> None:
        if running := self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(running.pid, number)

    def stop(self, gently: signal.Signals, limit: float) -> bool:
        """Signal it to stop, wait up to `limit` seconds, then kill it with all of its children. Removes the pid file.

        Returns whether it exited by itself.
        """
        running = self.alive()
        willing = False
        if running is not None:
            family = _family(running.pid)
            self.send(gently)
            willing = self.wait_until_dead(limit)
            if not willing:
                self.send(signal.SIGKILL)
                self.wait_until_dead(10.0)
            _bury(family)
        self.pid_file.unlink(missing_ok=True)
        return willing

    def kill(self) -> None:
        """Kill it with SIGKILL, as a crash would; the pid file stays. Returns once its children are gone, too."""
        if running := self.alive():
            family = _family(running.pid)
            self.send(signal.SIGKILL)
            self.wait_until_dead(10.0)
            _bury(family)

    def wait_until_dead(self, limit: float) -> bool:
        deadline = time.monotonic() + limit
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def wait_ready(self, probe: Callable[[], bool], limit: float, given_up: threading.Event | None = None) -> None:
        """Return as soon as `probe` is true. Raises PlatformError with the end of the log if the process dies or takes
        longer than `limit` seconds, and without it if `given_up` is set."""
        deadline = time.monotonic() + limit
        while not probe():
            if given_up is not None and given_up.is_set():
                raise PlatformError(f"waiting for {self.name} was cancelled", "see the other server's error")
            if not self.alive():
                raise PlatformError(f"{self.name} stopped while starting; its log ends with\n{self.tail()}", self._look)
            if time.monotonic() > deadline:
                raise PlatformError(
                    f"{self.name} is not ready after {limit:.0f} s; its log ends with\n{self.tail()}",
                    f"run it again if the machine was busy, or see {self.log_file}",
                )
            time.sleep(0.05)

    @property
    def _look(self) -> str:
        return f"see {self.log_file}; `make clean` removes all data for a fresh start"

    def tail(self) -> str:
        try:
            with self.log_file.open("rb") as file:
                file.seek(max(0, self.log_file.stat().st_size - 8192))
                lines = file.read().decode("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return "    (empty)"
        return "\n".join(f"    {line[:300]}" for line in lines[-TAIL_LINES:])

    def bound_log(self) -> None:
        """Copy a log that has grown past its limit aside and truncate it; the server keeps writing to the same file."""
        with contextlib.suppress(FileNotFoundError):
            if self.log_file.stat().st_size > LOG_LIMIT:
                older = self.log_file.with_suffix(".log.1")
                with self.log_file.open("rb") as grown:
                    grown.seek(-LOG_LIMIT, os.SEEK_END)
                    older.write_bytes(grown.read(LOG_LIMIT))
                self.account.own(older)
                os.truncate(self.log_file, 0)

    def memory(self) -> int:
        """Return the resident bytes of the process and its children; shared pages count once."""
        running = self.alive()
        return sum(_resident(process.pid) for process in _family(running.pid)) if running else 0


def _birth(pid: int) -> str | None:
    """Return a unique identity of a process: the boot id and its start tick. None if it is gone or a zombie.

    Reads fields 3 and 22 of `/proc/PID/stat`, see proc(5); the command in field 2 may contain spaces and brackets.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    after_name = stat.rpartition(")")[2].split()
    if after_name[0] in "ZX":
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}:{after_name[19]}"


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _bury(family: list[psutil.Process]) -> None:
    """Wait for children whose parent has died; PostgreSQL's keep its shared memory for a moment."""
    _, lasting = psutil.wait_procs(family[1:], timeout=5.0)
    for child in lasting:
        with contextlib.suppress(psutil.Error):
            child.kill()


def find_by_argument(argument: str, uid: int) -> list[psutil.Process]:
    """Return the processes of this user with exactly this argument on their command line."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.uids().real == uid and argument in process.cmdline():
                found.append(process)
    return found


def end(processes: list[psutil.Process], gently: signal.Signals, limit: float) -> None:
    """Stop processes that have no pid file."""
    for number in (gently, signal.SIGKILL):
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)
        _, processes = psutil.wait_procs(processes, timeout=limit)


def _resident(pid: int) -> int:
    """Return the proportional set size in bytes, so that PostgreSQL's shared buffers aren't counted per backend."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        with contextlib.suppress(psutil.Error):
            return int(psutil.Process(pid).memory_info().rss)
    return 0

"""A feed's programs as local processes: started, scaled, restarted, stopped."""

from __future__ import annotations

import json
import os
import pwd
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptocdc_core.program.backoff import Backoff, Restarts
from cryptocdc_local.platform.account import Account
from cryptocdc_local.platform.errors import PlatformError
from cryptocdc_local.platform.machine import port_is_free
from cryptocdc_local.platform.servers.process import Command, ServerProcess
from cryptocdc_local.platform.settings import LOOPBACK, PlatformSettings

FIRST_METRICS_PORT = {
    "producer": 9101, "consumer": 9201, "verifier": 9301, "api": 9501, "alerter": 9601, "analyzer": 9701,
    "spark": 9801, "history": 9901, "exporter": 9951,
}  # fmt: skip
ENDING = ("history",)
"""Kinds that end once their work is done; exit code 0 says so."""
_BACKOFF, _STEADY_S = Backoff(0.5, 30.0), 60.0

STOP_LIMIT_S = 30.0
"""Time for a producer to flush and for a consumer to drain before it is killed; unacknowledged work is repeated."""


def caller() -> Account:
    """Return the account of our own programs, the caller's: the virtual environment may be unreadable to others."""
    return Account(os.geteuid(), os.getegid(), pwd.getpwuid(os.geteuid()).pw_name)


@dataclass
class _Program:
    process: ServerProcess
    kind: str
    port: int
    restarts: Restarts = field(default_factory=lambda: Restarts(_BACKOFF, _STEADY_S))
    restarted: int = 0


@dataclass
class Programs:
    """The programs of one feed. `environment` is passed to all of them, `more` to those of one kind."""

    settings: PlatformSettings
    fid: str
    environment: Mapping[str, str]
    more: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _running: dict[str, _Program] = field(default_factory=dict)

    def scale(self, kind: str, count: int) -> None:
        """Run exactly `count` programs of a kind; those with the highest numbers are stopped."""
        for at in range(count):
            name = f"{self.fid}-{kind}-{at}"
            if name not in self._running:
                self._start(name, kind)
        for name in sorted(name for name, p in self._running.items() if p.kind == kind):
            if int(name.rpartition("-")[2]) >= count:
                self._stop([name])
        self._write_targets()

    def stop(self, kind: str) -> None:
        """Stop all programs of a kind cleanly, in parallel."""
        self._stop([name for name, program in self._running.items() if program.kind == kind])
        self._write_targets()

    def kill(self, name: str) -> None:
        """Kill a program with SIGKILL, as a crash would; `supervise` restarts it."""
        process = self._running[name].process
        process.send(signal.SIGKILL)
        process.wait_until_dead(10)

    def names(self, kind: str) -> list[str]:
        return sorted(name for name, program in self._running.items() if program.kind == kind)

    def supervise(self) -> list[str]:
        """Restart programs that died, each with its own back-off, and return the names of those restarted."""
        revived = []
        for name, program in list(self._running.items()):  # other threads start and stop some meanwhile
            if self._running.get(name) is not program:
                continue
            program.process.bound_log()
            now = time.monotonic()
            if program.process.alive():
                program.restarts.alive(now)
            elif program.kind in ENDING and program.process.succeeded:
                continue
            elif program.restarts.due(now):
                program.restarts.started(now)
                program.restarted += 1
                if not port_is_free(
                    program.port
                ):  # taken meanwhile, such as by a feed that was started at the same time
                    program.port = self._free_port(program.kind)
                    self._write_targets()
                program.process.start(self._command(program.kind, program.port), program.restarted)
                revived.append(name)
        return revived

    def ports(self) -> dict[str, int]:
        """Return each program's metrics port."""
        return {name: program.port for name, program in self._running.items()}

    def pids(self) -> dict[str, int]:
        """Return the pid of each running program."""
        alive = {name: program.process.alive() for name, program in self._running.items()}
        return {name: process.pid for name, process in alive.items() if process is not None}

    @property
    def restarts(self) -> int:
        return sum(self.restarted.values())

    @property
    def restarted(self) -> dict[str, int]:
        """Return how often each program was restarted because it had died."""
        return {name: program.restarted for name, program in self._running.items()}

    @property
    def resident(self) -> dict[str, int]:
        """Resident memory in bytes, by program."""
        return {name: program.process.memory() for name, program in self._running.items()}

    def _start(self, name: str, kind: str) -> None:
        port = self._free_port(kind)
        process = self._process(name)
        process.start(self._command(kind, port))
        self._running[name] = _Program(process, kind, port)

    def _free_port(self, kind: str) -> int:
        first = self.settings.first_metrics_port or FIRST_METRICS_PORT[kind]
        taken = {program.port for program in self._running.values()}
        for port in range(first, first + 100):
            if port not in taken and port_is_free(port):
                return port
        raise PlatformError(
            f"ports {first} to {first + 99} are all in use",
            "stop the programs that use them; `cryptocdc doctor` names them",
        )

    def _stop(self, names: list[str]) -> None:
        stopping = [self._running.pop(name) for name in names]  # what is to stop is not restarted
        for program in stopping:  # all are signalled before any is waited for
            program.process.send(signal.SIGTERM)
        for program in stopping:
            program.process.stop(signal.SIGTERM, STOP_LIMIT_S)

    def _process(self, name: str) -> ServerProcess:
        return ServerProcess(name, caller(), self.settings.run, self.settings.log)

    def _command(self, kind: str, port: int) -> Command:
        env = {
            **os.environ,
            **self.environment,
            **self.more.get(kind, {}),
            "CRYPTOCDC_METRICS_PORT": str(port),
            "CRYPTOCDC_METRICS_HOST": LOOPBACK,
            "CRYPTOCDC_LOG_FORMAT": "text",
        }
        return Command([str(Path(sys.executable).with_name(f"cryptocdc-{kind}"))], env, Path.cwd())

    def _write_targets(self) -> None:
        """Write the file in which Prometheus (file_sd) and `cryptocdc status` find the programs."""
        file = self.settings.targets(self.fid)
        caller().make_folder(file.parent, 0o755)
        if not self._running:
            file.unlink(missing_ok=True)
            return
        targets = [
            {"targets": [f"{LOOPBACK}:{p.port}"], "labels": {"program": p.kind, "instance": name, "feed": self.fid}}
            for name, p in sorted(self._running.items())
            if p.kind not in ENDING  # they would be reported as programs that are down
        ]
        draft = file.with_suffix(".new")
        draft.write_text(json.dumps(targets, indent=1), encoding="utf-8")
        draft.replace(file)


def stop_left_over(settings: PlatformSettings, fid: str = "*") -> list[str]:
    """Stop programs and simulators of a feed, or of all, left behind by a killed runner, and return their names."""
    found = []
    for pid_file in sorted(settings.run.glob(f"{fid}-*.pid")):
        process = ServerProcess(pid_file.stem, caller(), settings.run, settings.log)
        if process.alive():
            found.append(pid_file.stem)
        process.stop(signal.SIGTERM, STOP_LIMIT_S)
    for file in settings.run.glob(f"targets/{fid}.json"):
        if file != settings.server_targets:
            file.unlink(missing_ok=True)  # Prometheus would report them as programs that are down
    return found

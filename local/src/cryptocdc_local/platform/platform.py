"""The embedded platform: PostgreSQL, Kafka, Connect and Cassandra on one machine, as one thing to start and stop."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from cryptocdc_local.platform import credentials as stored_credentials
from cryptocdc_local.platform.account import Account, account_for
from cryptocdc_local.platform.cassandra import Cassandra
from cryptocdc_local.platform.connect import Connect
from cryptocdc_local.platform.credentials import Credentials
from cryptocdc_local.platform.endpoints import Endpoints, endpoints
from cryptocdc_local.platform.errors import PlatformError
from cryptocdc_local.platform.jars import install_jars, jars_folder
from cryptocdc_local.platform.kafka import Kafka
from cryptocdc_local.platform.machine import check_disk, check_port
from cryptocdc_local.platform.packages import require_tools
from cryptocdc_local.platform.postgres import Postgres
from cryptocdc_local.platform.process import ServerProcess
from cryptocdc_local.platform.programs import install_postgres
from cryptocdc_local.platform.progress import Silent, Steps
from cryptocdc_local.platform.server import Server
from cryptocdc_local.platform.settings import PlatformSettings

SERVERS = ("postgres", "kafka", "connect", "cassandra")
_STOP_ORDER = (("connect",), ("postgres", "kafka", "cassandra"))  # Connect first: it writes its offsets to Kafka
_FIRST_BACKOFF, _LONGEST_BACKOFF = 1.0, 60.0  # seconds between two restarts of a server that keeps dying
_STEADY = 60.0  # seconds after which a restarted server counts as well again


@dataclass(frozen=True)
class ServerStatus:
    """`resident` in bytes. `dead`: it was started and is gone, though nobody stopped it."""

    name: str
    state: Literal["stopped", "running", "dead"]
    pid: int | None
    resident: int
    restarts: int


@dataclass
class _Backoff:
    next_try: float = 0.0  # monotonic seconds
    delay: float = _FIRST_BACKOFF


class Platform:
    """All servers of one home folder. Every method may be called from any process that may read that folder."""

    def __init__(self, settings: PlatformSettings) -> None:
        self.settings = settings
        self._backoff = {name: _Backoff() for name in SERVERS}

    @cached_property
    def account(self) -> Account:
        return account_for(self.settings.home)

    @cached_property
    def _processes(self) -> dict[str, ServerProcess]:
        return {name: ServerProcess(name, self.account, self.settings.run, self.settings.log) for name in SERVERS}

    def setup(self, steps: Steps | None = None) -> None:
        """Install what is missing: folders, passwords, Java, jars, PostgreSQL's programs. Idempotent."""
        with self._locked():
            self._setup(steps or Silent())

    def _setup(self, steps: Steps) -> tuple[Path, Path]:
        """Returns the jars' folder and the `java` to run them."""
        settings = self.settings
        for folder in (settings.log, settings.data, settings.run, settings.lib, settings.temporary):
            self.account.make_folder(folder)
        stored_credentials.read_or_create(self._credentials_file, self.account)
        need_jars = not jars_folder(settings.lib).exists()
        if need_jars:
            check_disk(settings.home)
        steps.begin("set-up")
        tools = require_tools(need_jars, lambda text: steps.update("set-up", text))
        install_postgres(settings.lib)
        if need_jars:
            if tools.maven is None:
                raise AssertionError("require_tools was told that Maven is needed")
            steps.update("set-up", "Kafka, Debezium and Cassandra by Maven")
            install_jars(settings.lib, tools.maven, tools.java, lambda text: steps.update("set-up", text))
        steps.done("set-up", f"in {settings.home}")
        return jars_folder(settings.lib), tools.java

    def start(self, steps: Steps | None = None) -> Endpoints:
        """Start what is not running, all at once, and return when every server does its work.

        Servers that run already are left as they are. When one fails, those that were started with it are stopped.
        Raises PlatformError.
        """
        steps = steps or Silent()
        with self._locked():
            jars, java = self._setup(steps)
            servers = self._servers(jars, java)
            down = [server for server in servers if not self._processes[server.name].alive()]
            if down:
                check_disk(self.settings.home)
            for server in down:
                for setting, port in server.ports().items():
                    check_port(setting, port)
            try:
                with ThreadPoolExecutor(len(servers)) as pool:
                    for future in [pool.submit(self._bring_up, server, steps) for server in servers]:
                        future.result()
            except BaseException:
                self._stop([server.name for server in down])
                raise
            return self.endpoints()

    def _bring_up(self, server: Server, steps: Steps) -> None:
        steps.begin(server.name, "starting")
        process = self._processes[server.name]
        if not process.alive():
            recorded = process.recorded()
            server.prepare()
            process.start(server.command(), recorded.restarts if recorded else 0)
        process.wait_ready(server.ready, server.start_limit)
        server.finish()
        steps.done(server.name)

    def stop(self, steps: Steps | None = None) -> None:
        """Stop everything: gracefully first, by force after each server's limit."""
        with self._locked():
            self._stop(list(SERVERS), steps or Silent())

    def _stop(self, names: list[str], steps: Steps | None = None) -> None:
        steps = steps or Silent()
        for group in _STOP_ORDER:
            with ThreadPoolExecutor(len(group)) as pool:
                list(pool.map(lambda name: self._stop_one(name, steps), [name for name in group if name in names]))

    def _stop_one(self, name: str, steps: Steps) -> None:
        process, kind = self._processes[name], _KINDS[name]
        if process.recorded() is None:
            return
        steps.begin(name, "stopping")
        process.stop(kind.stop_signal, kind.stop_limit)
        steps.done(name, "stopped")

    def is_running(self) -> bool:
        return all(status.state == "running" for status in self.status())

    def status(self) -> list[ServerStatus]:
        return [self._status_of(name) for name in SERVERS]

    def _status_of(self, name: str) -> ServerStatus:
        process = self._processes[name]
        recorded, running = process.recorded(), process.alive()
        state: Literal["stopped", "running", "dead"] = "running" if running else "dead" if recorded else "stopped"
        restarts = recorded.restarts if recorded else 0
        return ServerStatus(name, state, running.pid if running else None, process.memory(), restarts)

    def endpoints(self) -> Endpoints:
        """Where the servers are reached; PlatformError before the first set-up."""
        return endpoints(self.settings.ports, self._credentials)

    @property
    def _credentials(self) -> Credentials:
        found = stored_credentials.read(self._credentials_file)
        if found is None:
            raise PlatformError(f"nothing was ever started in {self.settings.home}", "run `cryptocdc up`")
        return found

    @property
    def _credentials_file(self) -> Path:
        return self.settings.home / "credentials.json"

    def kill(self, name: str) -> None:
        """SIGKILL, as a crash would be; the server counts as dead until `supervise` or `restart`."""
        process = self._processes[name]
        process.send(signal.SIGKILL)
        process.wait_until_dead(10.0)

    def restart(self, name: str) -> None:
        """Stop one server, if it runs, start it and wait until it is ready. Counts as a restart."""
        with self._locked():
            recorded = self._processes[name].recorded()
            self._processes[name].stop(_KINDS[name].stop_signal, _KINDS[name].stop_limit)
            self._start_again(name, recorded.restarts + 1 if recorded else 0)

    def _start_again(self, name: str, restarts: int) -> None:
        java = require_tools(need_maven=False, report=lambda _: None).java
        server = _KINDS[name](self.settings, self.account, self._credentials, jars_folder(self.settings.lib), java)
        server.prepare()
        process = self._processes[name]
        process.start(server.command(), restarts)
        process.wait_ready(server.ready, server.start_limit)
        server.finish()

    def _servers(self, jars: Path, java: Path) -> list[Server]:
        made: Mapping[str, type[Server]] = _KINDS
        return [made[name](self.settings, self.account, self._credentials, jars, java) for name in SERVERS]

    def supervise(self) -> list[str]:
        """Call it every second or so while the platform should be up: starts dead servers again, with back-off, and
        bounds the logs. Returns the names of the servers that it restarted.

        Does nothing while another command starts or stops the platform.
        """
        for process in self._processes.values():
            process.bound_log()
        dead = [name for name in SERVERS if self._due(name)]
        if not dead:
            return []
        try:
            with self._locked(wait=False):
                return [name for name in dead if self._revive(name)]
        except _Busy:
            return []

    def _due(self, name: str) -> bool:
        now, backoff = time.monotonic(), self._backoff[name]
        if self._status_of(name).state != "dead":
            if now - backoff.next_try > _STEADY:
                backoff.delay = _FIRST_BACKOFF
            return False
        return now >= backoff.next_try

    def _revive(self, name: str) -> bool:
        process, backoff = self._processes[name], self._backoff[name]
        recorded = process.recorded()
        if recorded is None or process.alive():
            return False
        backoff.next_try = time.monotonic() + backoff.delay
        backoff.delay = min(backoff.delay * 2, _LONGEST_BACKOFF)
        self._start_again(name, recorded.restarts + 1)
        return True

    @contextlib.contextmanager
    def _locked(self, wait: bool = True) -> Iterator[None]:
        """One command at a time starts or stops the platform. The lock goes with its process, however that ends."""
        self.account.make_folder(self.settings.home)
        path = self.settings.home / "lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self.account.own(path)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError as error:
                raise _Busy from error
            yield
        finally:
            os.close(descriptor)


class _Busy(Exception):
    """Another command holds the lock."""


_KINDS: dict[str, type[Server]] = {kind.name: kind for kind in (Postgres, Kafka, Connect, Cassandra)}

"""The embedded platform: PostgreSQL, Kafka, Connect and Cassandra on one machine, started and stopped together."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from cryptocdc_core.program.backoff import Backoff, Restarts
from cryptocdc_local.platform import credentials as stored_credentials
from cryptocdc_local.platform.account import Account, account_for
from cryptocdc_local.platform.credentials import Credentials
from cryptocdc_local.platform.endpoints import Endpoints, endpoints
from cryptocdc_local.platform.errors import PlatformError
from cryptocdc_local.platform.installation import class_archive
from cryptocdc_local.platform.installation.jars import install_jars, install_plugins, jars_folder
from cryptocdc_local.platform.installation.packages import require_tools
from cryptocdc_local.platform.installation.pinned_packages import export_packages, install_export
from cryptocdc_local.platform.installation.programs import install_postgres
from cryptocdc_local.platform.installation.spark import SparkParts, install_spark, is_installed, spark_parts
from cryptocdc_local.platform.machine import check_disk, check_disk_left, check_port
from cryptocdc_local.platform.progress import Silent, Steps
from cryptocdc_local.platform.servers import process
from cryptocdc_local.platform.servers.cassandra import Cassandra
from cryptocdc_local.platform.servers.connect import Connect
from cryptocdc_local.platform.servers.kafka import Kafka
from cryptocdc_local.platform.servers.postgres import Postgres
from cryptocdc_local.platform.servers.process import ServerProcess
from cryptocdc_local.platform.servers.server import Server
from cryptocdc_local.platform.servers.together import together
from cryptocdc_local.platform.settings import PlatformSettings

_KINDS: dict[str, type[Server]] = {kind.name: kind for kind in (Postgres, Kafka, Connect, Cassandra)}
SERVERS = tuple(_KINDS)
_STOP_ORDER = (("connect",), ("postgres", "kafka", "cassandra"))  # Connect first: it writes its offsets to Kafka
_BACKOFF, _STEADY_S = Backoff(1.0, 60.0), 60.0

State = Literal["stopped", "running", "dead"]


@dataclass(frozen=True)
class ServerStatus:
    """`resident` is in bytes. State `dead`: the server was started and has exited, though nobody stopped it."""

    name: str
    state: State
    pid: int | None
    resident: int
    restarts: int


class Platform:
    """All servers of one home folder. Every method may be called from any process that can read that folder."""

    def __init__(self, settings: PlatformSettings) -> None:
        self.settings = settings
        self._restarts = {name: Restarts(_BACKOFF, _STEADY_S) for name in SERVERS}
        self._set_up = False  # whether `setup` has already reported its steps

    @cached_property
    def account(self) -> Account:
        return account_for(self.settings.home)

    @cached_property
    def _processes(self) -> dict[str, ServerProcess]:
        return {name: ServerProcess(name, self.account, self.settings.run, self.settings.log) for name in SERVERS}

    # Set-up

    def setup(self, steps: Steps | None = None) -> None:
        """Install what is missing: folders, passwords, Java, jars, PostgreSQL's programs. Idempotent.

        Raises PlatformError.
        """
        steps = steps or Silent()
        with self._locked(steps):
            self._setup(steps)
        self._set_up = True

    def _setup(self, steps: Steps) -> None:
        settings = self.settings
        for folder in (settings.log, settings.data, settings.run, settings.lib, settings.cache, settings.temporary):
            self.account.make_folder(folder)
        stored_credentials.read_or_create(self._credentials_file, self.account)
        need_jars = not jars_folder(settings.lib).exists()
        if need_jars:
            check_disk(settings.home)
        steps.begin("set-up", "looking for Java")
        tools = require_tools(need_jars, lambda text: steps.update("set-up", text))
        steps.update("set-up", "PostgreSQL")
        install_postgres(settings.lib)
        if tools.maven is not None and need_jars:
            steps.update("set-up", "Kafka, Debezium and Cassandra by Maven")
            install_jars(settings.lib, tools.maven, tools.java, lambda text: steps.update("set-up", text))
        install_plugins(settings.lib, tools.java)
        steps.done("set-up", f"complete, in {settings.home}")

    def setup_export(self, steps: Steps | None = None) -> Path:
        """Install what `cryptocdc export` needs, if it is missing, and return the folder. Raises PlatformError."""
        lib = self.settings.lib
        if export_packages(lib).exists():
            return export_packages(lib)
        steps = steps or Silent()
        with self._locked(steps):
            self.account.make_folder(lib)
            check_disk(self.settings.home)
            steps.begin("pyarrow")
            folder = install_export(lib, lambda text: steps.update("pyarrow", text))
            steps.done("pyarrow", "installed")
            return folder

    def setup_spark(self, steps: Steps | None = None) -> SparkParts:
        """Install what a Spark job needs, if it is missing, and return it. Raises PlatformError."""
        lib = self.settings.lib
        if is_installed(lib):
            return spark_parts(lib)
        steps = steps or Silent()
        with self._locked(steps):
            self.account.make_folder(lib)
            check_disk(self.settings.home)
            steps.begin("Spark", "looking for Java")
            tools = require_tools(need_maven=True, report=lambda text: steps.update("Spark", text))
            if tools.maven is None:
                raise AssertionError("Maven was asked for")
            parts = install_spark(lib, tools.maven, tools.java, lambda text: steps.update("Spark", text))
            steps.done("Spark", "installed")
        return parts

    # Start and stop

    def start(self, steps: Steps | None = None) -> Endpoints:
        """Start the servers that are not running, in parallel, and return once every server works.

        Running servers are left alone. If one fails, those that were started with it are stopped.
        Raises PlatformError.
        """
        steps = steps or Silent()
        with self._locked(steps):
            self._setup(Silent() if self._set_up else steps)
            servers = [self._server(name) for name in SERVERS]
            down = [server for server in servers if not self._processes[server.name].alive()]
            if down:
                check_disk(self.settings.home)
            for server in down:
                self._clear_way(server)
            given_up = threading.Event()
            try:
                together(servers, lambda server: self._bring_up(server, steps, given_up), given_up)
            except BaseException:
                self._stop([server.name for server in down], steps)
                raise
            return self.endpoints()

    def _clear_way(self, server: Server) -> None:
        """Kill leftovers of an earlier start that have no pid file, then check that the ports are free."""
        process.end(process.find_by_argument(server.mark, self.account.uid), server.stop_signal, server.stop_limit)
        for setting, port in server.ports().items():
            check_port(setting, port)

    def _bring_up(self, server: Server, steps: Steps, given_up: threading.Event) -> None:
        its = self._processes[server.name]
        if its.alive():
            steps.begin(server.name, "already running")
        else:
            steps.begin(server.name, "preparing its folders")
            recorded = its.recorded()
            server.prepare()
            steps.update(server.name, "starting")
            its.start(server.command(), recorded.restarts if recorded else 0)
        self._await(server, given_up)
        steps.done(server.name)

    def _await(self, server: Server, given_up: threading.Event | None = None) -> None:
        self._processes[server.name].wait_ready(server.ready, server.start_limit, given_up)
        server.finish()

    def stop(self, steps: Steps | None = None) -> None:
        """Stop everything, gracefully at first, by force after each server's limit."""
        steps = steps or Silent()
        with self._locked(steps):
            self._stop(SERVERS, steps)

    def _stop(self, names: Sequence[str], steps: Steps) -> None:
        for group in _STOP_ORDER:
            together([name for name in group if name in names], lambda name: self._stop_one(name, steps))

    def _stop_one(self, name: str, steps: Steps) -> None:
        if self._processes[name].recorded() is None:
            return
        steps.begin(name, "stopping")
        kind = _KINDS[name]
        willing = self._processes[name].stop(kind.stop_signal, kind.stop_limit)
        class_archive.settle(self.settings.cache, name, willing)
        steps.done(name, "stopped")

    def erase(self, steps: Steps | None = None) -> list[Path]:
        """Stop everything and remove the data, the logs and the passwords. Downloads stay.

        Returns the removed paths.
        """
        settings, steps = self.settings, steps or Silent()
        if not settings.home.exists():
            return []
        with self._locked(steps):
            self._stop(SERVERS, steps)
            kept = (settings.lib, settings.cache, self._lock_file)
            doomed = sorted(path for path in settings.home.iterdir() if path not in kept)
            for path in doomed:
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            return doomed

    # One server

    def kill(self, name: str) -> None:
        """Kill a server with SIGKILL, as a crash would; it counts as dead until `supervise` or `restart`."""
        self._processes[name].kill()

    def restart(self, name: str) -> None:
        """Stop one server if it runs, start it and wait until it is ready. Counts as a restart."""
        with self._locked(Silent()):
            recorded = self._processes[name].recorded()
            self._stop_one(name, Silent())
            self._start_again(name, recorded.restarts + 1 if recorded else 0)

    def _start_again(self, name: str, restarts: int) -> None:
        server = self._server(name)
        server.prepare()
        self._processes[name].start(server.command(), restarts)
        self._await(server)

    def _server(self, name: str) -> Server:
        java = require_tools(need_maven=False, report=lambda _: None).java
        jars = jars_folder(self.settings.lib)
        return _KINDS[name](self.settings, self.account, self._credentials, jars, java)

    # Status

    def is_running(self) -> bool:
        return all(status.state == "running" for status in self.status())

    def status(self) -> list[ServerStatus]:
        return [self._status_of(name) for name in SERVERS]

    def pids(self) -> dict[str, int]:
        """Return the pid of each running server."""
        alive = {name: its.alive() for name, its in self._processes.items()}
        return {name: running.pid for name, running in alive.items() if running is not None}

    def _status_of(self, name: str) -> ServerStatus:
        its = self._processes[name]
        running, recorded = its.alive(), its.recorded()
        state: State = "running" if running else "dead" if recorded else "stopped"
        restarts = recorded.restarts if recorded else 0
        return ServerStatus(name, state, running.pid if running else None, its.memory(), restarts)

    def _is_dead(self, name: str) -> bool:
        its = self._processes[name]
        return its.recorded() is not None and its.alive() is None

    def endpoints(self) -> Endpoints:
        """Return the servers' addresses and logins. Raises PlatformError before the first set-up."""
        return endpoints(self.settings.ports, self._credentials)

    @property
    def reader_password(self) -> str:
        """The password of `endpoints.READER` in both databases. Raises PlatformError before the first set-up."""
        return self._credentials.reader

    @property
    def _credentials(self) -> Credentials:
        found = stored_credentials.read(self._credentials_file)
        if found is None:
            raise PlatformError(f"nothing was ever started in {self.settings.home}", "run `cryptocdc up`")
        return found

    @property
    def _credentials_file(self) -> Path:
        return self.settings.home / "credentials.json"

    @property
    def _lock_file(self) -> Path:
        return self.settings.home / "lock"

    def supervise(self) -> dict[str, PlatformError | None]:
        """Restart dead servers, with back-off, unless the disk is nearly full; call it about every second. Returns the
        servers that it tried to start, each with the error, or None if it succeeded.

        Takes as long as a start if one is needed. Does nothing while another command starts or stops the platform.
        """
        dead = [name for name in SERVERS if self._due(name)]
        if not dead:
            return {}
        try:
            with self._locked(None):
                return {name: self._revive(name) for name in dead if self._is_dead(name)}
        except _BusyError:
            return {}

    def check_disk_left(self) -> None:
        """Bound the logs' size, and raise HaltError if a disk is nearly full; call it about every second."""
        for its in self._processes.values():
            its.bound_log()
        self._check_disks()

    def _check_disks(self) -> None:
        """Raise HaltError if a disk is nearly full: the home folder's, or one mounted at a server's data folder."""
        for folder in (self.settings.home, *(self.settings.data / name for name in SERVERS)):
            check_disk_left(folder)

    def _due(self, name: str) -> bool:
        now, restarts = time.monotonic(), self._restarts[name]
        if self._is_dead(name):
            return restarts.due(now)
        restarts.alive(now)
        return False

    def _revive(self, name: str) -> PlatformError | None:
        recorded = self._processes[name].recorded()
        try:
            # On a full disk, Kafka would take its metadata for empty and Cassandra would break its commit log's order.
            self._check_disks()
            self._start_again(name, recorded.restarts + 1 if recorded else 1)
        except PlatformError as error:
            return error
        finally:
            self._restarts[name].started(time.monotonic())
        return None

    @contextlib.contextmanager
    def _locked(self, steps: Steps | None) -> Iterator[None]:
        """Let one command at a time start or stop the platform. The lock ends with its process, however that ends.

        Waits if there are `steps` to report it to, otherwise raises _BusyError.
        """
        self.account.make_folder(self.settings.home)
        descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self.account.own(self._lock_file)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if steps is None:
                    raise _BusyError from error
                steps.begin("lock", "waiting for another command that starts or stops the platform")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                steps.done("lock", "acquired")
            yield
        finally:
            os.close(descriptor)


class _BusyError(Exception):
    """Another command holds the lock."""

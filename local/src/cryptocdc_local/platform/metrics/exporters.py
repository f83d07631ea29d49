"""Runs the servers' exporters while somebody watches; other runs pay nothing for them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import threading
from collections.abc import Callable, Iterator

import psutil

from cryptocdc_core.program.settings import PostgresSettings
from cryptocdc_local.platform.endpoints import DATABASE, READER
from cryptocdc_local.platform.errors import PlatformError
from cryptocdc_local.platform.installation.jars import jars_folder
from cryptocdc_local.platform.installation.java import find_java
from cryptocdc_local.platform.machine import check_port, port_holder, port_is_free
from cryptocdc_local.platform.metrics import jvm
from cryptocdc_local.platform.metrics.disk import Disk
from cryptocdc_local.platform.metrics.postgres import Exporter
from cryptocdc_local.platform.platform import Platform
from cryptocdc_local.platform.settings import LOOPBACK

EVERY_S = 2.0
COMMAND = "cryptocdc "


class ServerMetrics:
    """Call `step` every few seconds: a restarted server gets its exporter once it answers. Then call `close`.

    A JVM keeps its exporter until it exits; PostgreSQL's runs in this process. Exporters that another command has
    started are left alone.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._settings = platform.settings
        self._ports = platform.settings.metrics_ports
        self._file = platform.settings.server_targets
        self._serving: dict[str, int] = {}  # pid of each JVM that was seen serving its metrics
        self._postgres: Exporter | None = None

    def step(self) -> None:
        """Start missing exporters. Raises PlatformError if a port is in use, or a JVM refuses its exporter."""
        with self._exclusive():
            self._load_missing()
        if self._postgres is None and "postgres" in self._platform.pids():
            self._postgres = self._serve_postgres()
        self._write_targets()

    def _load_missing(self) -> None:
        pids = self._platform.pids()
        for server in jvm.SERVERS:
            pid, port = pids.get(server), getattr(self._ports, server)
            if pid is None or self._serving.get(server) == pid:
                continue
            # The request to load an agent is a signal, which kills a JVM that is still starting.
            if not _listens(pid, getattr(self._settings.ports, server)):
                continue
            if not _listens(pid, port):
                self._load(server, pid, port, f"CRYPTOCDC_{server.upper()}_METRICS_PORT")
            self._serving[server] = pid

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Let one command at a time load exporters: a second one would terminate the JVM."""
        with (self._settings.run / "server-metrics.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _load(self, server: str, pid: int, port: int, setting: str) -> None:
        """Load the exporter. It terminates the JVM if it can't start, so everything that could prevent it is
        checked."""
        if jvm.loaded(pid, jars_folder(self._settings.lib)):
            raise PlatformError(
                f"{server} serves its metrics at a port other than {port} until it is restarted",
                f"set {setting} to that port",
            )
        check_port(setting, port)
        java = find_java()
        if java is None:  # the server runs on one
            raise PlatformError("Java is no longer installed", "run `cryptocdc doctor`")
        settings, account = self._settings, self._platform.account
        jvm.load(server, pid, port, java=java, jars=jars_folder(settings.lib), account=account, run=settings.run)

    def _serve_postgres(self) -> Exporter | None:
        port = self._ports.postgres
        if not port_is_free(port) and port_holder(port).startswith(COMMAND):
            return None
        check_port("CRYPTOCDC_POSTGRES_METRICS_PORT", port)
        there, password = self._settings.ports.postgres, self._platform.reader_password
        login = PostgresSettings(port=there, database=DATABASE, user=READER, password=password)
        return Exporter(login, Disk(self._settings.home), port)

    def _write_targets(self) -> None:
        """Write the file in which Prometheus finds the servers (file_sd); another command may have removed it."""
        targets = [
            {"targets": [f"{LOOPBACK}:{port}"], "labels": {"program": server, "instance": server}}
            for server, port in vars(self._ports).items()
        ]
        text = json.dumps(targets, indent=1)
        if self._file.exists() and self._file.read_text(encoding="utf-8") == text:
            return
        self._file.parent.mkdir(mode=0o755, exist_ok=True)
        draft = self._file.with_suffix(".new")
        draft.write_text(text, encoding="utf-8")
        draft.replace(self._file)

    def close(self) -> None:
        self._file.unlink(missing_ok=True)
        if self._postgres is not None:
            self._postgres.close()
            self._postgres = None


def _listens(pid: int, port: int) -> bool:
    try:
        sockets = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:  # it has just ended
        return False
    return any(s.status == psutil.CONN_LISTEN and s.laddr.port == port for s in sockets)


@contextlib.contextmanager
def metrics_served(platform: Platform, report: Callable[[str], None]) -> Iterator[None]:
    """Serve the servers' metrics inside the block. Errors after the start are reported.

    Raises PlatformError like `ServerMetrics.step`.
    """
    metrics, ending = ServerMetrics(platform), threading.Event()

    def watch() -> None:
        said = ""
        while not ending.wait(EVERY_S):
            try:
                metrics.step()
            except PlatformError as error:
                if error.message != said:
                    said = error.message
                    report(said)

    thread = threading.Thread(target=watch, name="server-metrics", daemon=True)
    try:
        metrics.step()
        thread.start()
        yield
    finally:
        ending.set()
        if thread.is_alive():
            thread.join()
        metrics.close()

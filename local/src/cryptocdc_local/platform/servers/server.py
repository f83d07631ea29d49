"""The interface of the platform's servers."""

from __future__ import annotations

import abc
import shutil
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

from cryptocdc_local.platform.account import Account
from cryptocdc_local.platform.credentials import Credentials
from cryptocdc_local.platform.installation.class_archive import ClassArchive
from cryptocdc_local.platform.servers.process import Command, end, find_by_argument
from cryptocdc_local.platform.settings import LOOPBACK, PlatformSettings


class Server(abc.ABC):
    """One server: how to prepare its folders, how to run it, and when it is ready.

    `prepare` and `finish` are idempotent; a start that was killed in the middle of either can be repeated.
    """

    name: str
    stop_signal: signal.Signals = signal.SIGTERM
    stop_limit: float = 60.0  # seconds; the first stop also saves classes
    start_limit: float = 180.0  # seconds; generous, since a laptop may be busy with other things

    def __init__(
        self, settings: PlatformSettings, account: Account, credentials: Credentials, jars: Path, java: Path
    ) -> None:
        self.settings = settings
        self.account = account
        self.credentials = credentials
        self.jars = jars
        self.java = java

    @property
    def data(self) -> Path:
        return self.settings.data / self.name

    def fresh_draft(self, mark: str) -> Path:
        """Return an unused path next to the data folder, to be filled and then renamed.

        `mark` is an argument of the program that fills it: one left behind by a killed start is killed first.
        """
        draft = self.data.with_name(f"{self.name}.new")
        end(find_by_argument(mark, self.account.uid), signal.SIGKILL, 5.0)
        shutil.rmtree(draft, ignore_errors=True)
        return draft

    @property
    @abc.abstractmethod
    def mark(self) -> str:
        """An argument of its command line that no other process on the machine has."""

    @abc.abstractmethod
    def ports(self) -> Mapping[str, int]:
        """Return the ports that must be free before the start, by the name of their setting."""

    @property
    def archive(self) -> ClassArchive:
        return ClassArchive(self.settings.cache, self.name, self.jars, self.java)

    @abc.abstractmethod
    def prepare(self) -> None:
        """Create data folders and configuration. Called while the server is down."""

    @abc.abstractmethod
    def command(self) -> Command: ...

    @abc.abstractmethod
    def ready(self) -> bool:
        """Return whether the server serves a client that has logged in."""

    def finish(self) -> None:  # noqa: B027 (most servers need nothing)
        """Set up what needs the running server, such as its roles."""


def port_open(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1.0):
            return True
    except OSError:
        return False

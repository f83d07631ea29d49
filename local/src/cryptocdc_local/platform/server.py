"""What the platform knows of each of its servers."""

from __future__ import annotations

import abc
import shutil
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

from cryptocdc_local.platform.account import Account
from cryptocdc_local.platform.class_archive import ClassArchive
from cryptocdc_local.platform.credentials import Credentials
from cryptocdc_local.platform.process import Command, end, find_by_argument
from cryptocdc_local.platform.settings import LOOPBACK, PlatformSettings


class Server(abc.ABC):
    """One server: how its folders are made, how it is run, when it is ready.

    `prepare` and `finish` are idempotent, and a start that was killed in the middle of either can be repeated.
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
        """A name beside the data folder, free to be made and filled, then renamed when it is whole.

        `mark` is an argument of the program that fills it: one that a killed start left behind is ended first.
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
        """Setting's name → port that must be free before the start."""

    @property
    def archive(self) -> ClassArchive:
        return ClassArchive(self.settings.cache, self.name, self.jars, self.java)

    @abc.abstractmethod
    def prepare(self) -> None:
        """Make data folders and configuration. Runs while the server is down."""

    @abc.abstractmethod
    def command(self) -> Command: ...

    @abc.abstractmethod
    def ready(self) -> bool:
        """Whether the server does its work for a client that has logged in."""

    def finish(self) -> None:  # noqa: B027 (most servers need nothing)
        """What can only be set up inside the running server, such as its roles."""


def port_open(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1.0):
            return True
    except OSError:
        return False

"""Checks of the machine's free ports and disk space."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import psutil

from cryptocdc_local.platform.errors import HaltError, PlatformError
from cryptocdc_local.platform.settings import LOOPBACK

LEAST_DISK = 2 * 2**30
"""Bytes that must be free before the servers are started."""
LEAST_LEFT = 512 * 2**20
"""Bytes that must stay free while they run: on a full disk a server dies in the middle of a write."""


def port_is_free(port: int) -> bool:
    """Return whether a server could listen on the port now. Connections in TIME_WAIT don't count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def port_holder(port: int) -> str:
    """Return which process listens on the port, as far as this user may see it."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.pid:
                process = psutil.Process(connection.pid)
                return f"{_called(process)} (pid {connection.pid}, user {process.username()})"
    except psutil.Error:
        pass
    return "a process of another user"


def _called(process: psutil.Process) -> str:
    """Return a process's name, that of the script for a Python program: the kernel uses it only if the interpreter's
    path is short and has no space."""
    name, arguments = process.name(), process.cmdline()
    if name.startswith("python") and len(arguments) > 1 and not arguments[1].startswith("-"):
        return Path(arguments[1]).name
    return name


def check_port(setting: str, port: int) -> None:
    if not port_is_free(port):
        raise PlatformError(
            f"port {port} is in use by {port_holder(port)}", f"stop it, or choose another port with {setting}"
        )


def free_disk(folder: Path) -> int:
    """Return the bytes available to this user on the disk of `folder`, which need not exist yet."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def check_disk(folder: Path) -> None:
    if (free := free_disk(folder)) < LEAST_DISK:
        raise PlatformError(
            f"only {free / 2**30:.1f} GiB are free on the disk of {folder}; the servers need {LEAST_DISK / 2**30:.0f}",
            "free up space there, or set CRYPTOCDC_HOME to a folder on another disk",
        )


def check_disk_left(folder: Path) -> None:
    if (free := free_disk(folder)) < LEAST_LEFT:
        raise HaltError(
            f"only {free // 2**20} MiB are left on the disk of {folder}, less than {LEAST_LEFT // 2**20}:"
            " halted before a server dies in the middle of a write",
            "free up space there and start again: everything captured is kept",
        )

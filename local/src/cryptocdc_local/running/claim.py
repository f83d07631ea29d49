"""Ensures that one process runs a feed: two would keep stopping each other's programs and starting their own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from cryptocdc_local.platform.errors import PlatformError
from cryptocdc_local.running.programs import STOP_LIMIT_S

_SUFFIX = ".run"
_PID_DIGITS = 10
_END_LIMIT_S = 4 * STOP_LIMIT_S
"""Time for a run to stop its programs, one kind after the other, and the servers that it started."""


@contextlib.contextmanager
def claimed(folder: Path, fid: str) -> Iterator[None]:
    """Claim the feed `fid` for this process inside the block. The claim ends with the process, however it ends.

    Raises PlatformError if another process runs the feed.
    """
    descriptor = os.open(folder / f"{fid}{_SUFFIX}", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PlatformError(
                f"{fid} is being run by another `cryptocdc` (pid {os.read(descriptor, _PID_DIGITS).decode().strip()})",
                "stop that one first with Ctrl-C; to change the feed while it runs, use `cryptocdc apply`",
            ) from error
        os.write(descriptor, f"{os.getpid():<{_PID_DIGITS}}".encode())
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def changing(folder: Path, fid: str, *, wait: bool = True) -> Iterator[bool]:
    """Let one process at a time change a feed's connectors and the record of how it was applied. Yields whether it is
    this one; False only without `wait`."""
    descriptor = os.open(folder / f"{fid}.change", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def end(folder: Path, fid: str = "*") -> list[str]:
    """Stop the runs of `fid`, or of all feeds, as Ctrl-C would, wait for them, and return their identities.

    Raises PlatformError for a run that belongs to another user or takes too long.
    """
    ended = []
    for file in sorted(folder.glob(f"{fid}{_SUFFIX}")):
        with file.open(encoding="ascii") as claim:
            if _is_free(claim.fileno()):
                continue
            pid = int(claim.read())
            try:
                os.kill(pid, signal.SIGTERM)
            except PermissionError as error:
                raise PlatformError(f"{file.stem} is run by another user's process {pid}", "stop it there") from error
            deadline = time.monotonic() + _END_LIMIT_S
            while not _is_free(claim.fileno()):
                if time.monotonic() > deadline:
                    raise PlatformError(f"{file.stem} does not stop, process {pid}", f"kill -9 {pid}, then try again")
                time.sleep(0.1)
            ended.append(file.stem)
    return ended


def _is_free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return True

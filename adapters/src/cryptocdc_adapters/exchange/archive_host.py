"""The host of an exchange's public archive, over HTTP: sizes, checksums, and downloads that go on where they ended."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import requests

from cryptocdc_adapters.http_client import Session
from cryptocdc_core.program.backoff import Backoff

T = TypeVar("T")

TIMEOUT_S = (10.0, 120.0)
"""To connect, and between two parts of a response: an archive that makes its files on request takes a while."""
ATTEMPTS = 6
BACKOFF = Backoff(0.5, 20.0)
CHUNK = 1 << 18
SMALL = 4096
"""Bytes of a checksum's file that are read."""
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class ArchiveUnavailable(RuntimeError):
    """The archive does not answer, or not with what was asked for. The message says what."""


class Stopped(Exception):
    """The caller asked for a download to stop; what is there of it is kept."""


class ArchiveHost:
    """`base`: a URL to which the files' paths are added. Can be used by several threads."""

    def __init__(self, base: str, stop: threading.Event | None = None) -> None:
        self.base = base
        self._stop = stop or threading.Event()
        self._local = threading.local()

    def size(self, path: str) -> int | None:
        """Return a file's size in bytes, -1 if the archive does not say; None if it does not have the file. Raises
        ArchiveUnavailable."""

        def ask() -> int | None:
            response = self._session.head(self.base + path, timeout=TIMEOUT_S, allow_redirects=True)
            if _absent(response):
                return None
            return int(response.headers.get("Content-Length", "-1"))

        return self._retried(path, ask)

    def small(self, path: str) -> bytes | None:
        """Return the beginning of a small file; None if the archive does not have it. Raises ArchiveUnavailable."""

        def ask() -> bytes | None:
            with self._session.get(self.base + path, timeout=TIMEOUT_S, stream=True) as response:
                return None if _absent(response) else next(response.iter_content(SMALL), b"")

        return self._retried(path, ask)

    def download(self, path: str, to: Path, took: Callable[[int], None] = lambda _: None) -> str | None:
        """Download a file unless it is there, and return its SHA-256; None if the archive does not have it.

        A file that is not whole yet has `.part` at the end of its name and is continued. `took` is called with the
        number of new bytes. Raises ArchiveUnavailable, OSError if it can't be written, and Stopped.
        """
        if not to.exists():
            part = to.with_name(f"{to.name}.part")
            if not self._retried(path, lambda: self._continue(path, part, took)):
                part.unlink(missing_ok=True)
                return None
            part.replace(to)
        with to.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _continue(self, path: str, part: Path, took: Callable[[int], None]) -> bool:
        there = part.stat().st_size if part.exists() else 0
        headers = {"Range": f"bytes={there}-"} if there else {}
        with self._session.get(self.base + path, timeout=TIMEOUT_S, stream=True, headers=headers) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:  # it is whole, or another file
                part.unlink()
                raise requests.ConnectionError("can't be continued; it begins again")
            if _absent(response):
                return False
            goes_on = response.status_code == requests.codes.partial_content
            expected = int(response.headers.get("Content-Length", "-1"))
            written = 0
            with part.open("ab" if goes_on else "wb") as file:
                for chunk in response.iter_content(CHUNK):
                    if self._stop.is_set():
                        raise Stopped
                    file.write(chunk)
                    written += len(chunk)
                    took(len(chunk))
            if expected >= 0 and written < expected and "Content-Encoding" not in response.headers:
                raise requests.ConnectionError(f"it ended after {written} of {expected} bytes")
        return True

    def _retried(self, path: str, ask: Callable[[], T]) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return ask()
            except (requests.RequestException, _Busy) as error:
                if attempt == ATTEMPTS:
                    raise ArchiveUnavailable(f"{self.base}{path}: {error}") from None
                if self._stop.wait(BACKOFF.after(attempt)):
                    raise Stopped from None
        raise AssertionError("the last attempt returns or raises")

    @property
    def _session(self) -> Session:
        session: Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = Session()
        return session


class _Busy(Exception):
    """A status that may pass."""


def _absent(response: requests.Response) -> bool:
    """Return whether the archive does not have what was asked for. Raises _Busy, ArchiveUnavailable."""
    if response.status_code == requests.codes.not_found:
        return True
    if response.status_code in _AGAIN:
        raise _Busy(f"HTTP status {response.status_code}")
    if not response.ok:
        raise ArchiveUnavailable(f"{response.url}: HTTP status {response.status_code}")
    return False

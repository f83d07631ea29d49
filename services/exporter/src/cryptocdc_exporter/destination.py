"""Where files go: a folder. A file appears there complete or not at all."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.storage.files import SUFFIX, stream_folder
from cryptocdc_exporter.writing import Written, metadata_of

_OWN = ".export"
"""Hidden, so that readers pass it over: the lock, and temporary files."""


class Destination(Protocol):
    """`name` is shown to users; paths are those of `cryptocdc_core.storage.files`."""

    name: str

    def draft(self) -> Path:
        """Return the path of a new temporary file."""
        ...

    def publish(self, files: Sequence[tuple[Written, str]]) -> None:
        """Make complete temporary files appear under their paths. Raises OSError."""
        ...

    def metadata(self, path: str) -> dict[str, str] | None:
        """Return the metadata of a file, None if there is none. Raises OSError."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file. Raises OSError."""
        ...

    def some(self, stream: Stream) -> str | None:
        """Return the path of a file of the stream, None if it has none."""
        ...

    def close(self) -> None: ...


def refuse_others(destination: Destination, streams: Sequence[Stream], feed: str, source: str) -> None:
    """Raise BadInput if the destination has files of another feed, or that were not exported."""
    for stream in streams:
        path = destination.some(stream)
        if path is None:
            continue
        try:
            found = destination.metadata(path) or {}
        except pa.ArrowInvalid:
            found = {}
        if (found.get("feed"), found.get("source")) != (feed, source):
            of = f"of the feed {found['feed']}, {found['source']}" if "feed" in found else "that were not exported"
            raise BadInput(
                f"--out: {destination.name} has files {of}, such as {path};"
                f" accepted: a place with files of {feed}, {source}, or with none"
            )


class Folder:
    """A folder of this machine. Files are written in a hidden folder inside it, flushed to disk and renamed."""

    def __init__(self, path: Path) -> None:
        """Create the folder, lock it, and remove what a killed export left. Raises BadInput."""
        self.name, self._path, self._own = str(path), path, path / _OWN
        try:
            self._own.mkdir(parents=True, exist_ok=True)
            self._lock = (self._own / "lock").open("w")
        except OSError as error:
            raise BadInput(f"--out: {path}: {error.strerror}; accepted: a folder that can be written to") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(f"--out: another export writes to {path}; accepted: one at a time") from None
        for left in self._own.glob("*.tmp"):
            left.unlink()

    def draft(self) -> Path:
        handle, name = tempfile.mkstemp(".tmp", dir=self._own)
        os.close(handle)
        path = Path(name)
        path.chmod(0o644)
        return path

    def publish(self, files: Sequence[tuple[Written, str]]) -> None:
        for written, _ in files:
            _flush(written.path)
        folders = set()
        for written, path in files:
            target = self._path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            written.path.replace(target)
            folders.add(target.parent)
        for folder in folders:
            _flush(folder)

    def metadata(self, path: str) -> dict[str, str] | None:
        try:
            return metadata_of(self._path / path)
        except FileNotFoundError:
            return None

    def remove(self, path: str) -> None:
        target = self._path / path
        target.unlink()
        _flush(target.parent)

    def some(self, stream: Stream) -> str | None:
        found: Iterator[Any] = (self._path / stream_folder(stream)).rglob(f"*{SUFFIX}")
        return next((str(path.relative_to(self._path)) for path in found), None)

    def close(self) -> None:
        self._lock.close()


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Files that were made, kept on disk until others need the room: a file is requested more than once, and its checksum
before it."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable
from itertools import count
from pathlib import Path
from typing import NamedTuple

_MOST_BYTES = 1 << 30
_LEVEL = 1
"""Of compression: the archive is as fast to make as to read."""


class Stored(NamedTuple):
    """A file on disk, and the SHA-256 of its bytes in hexadecimal."""

    path: Path
    size: int
    digest: str


class Zip(NamedTuple):
    """What a zip is made of: the same content gives the same bytes. `member` is the name of its only file."""

    member: str
    pieces: Callable[[], AsyncIterator[list[str]]]
    comment: bytes
    truncated: bool


class Store:
    """A folder of its own, of at most `most_bytes` beside the newest file; those unused for longest are removed."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most = most_bytes
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._made: OrderedDict[Hashable, asyncio.Task[Stored]] = OrderedDict()
        self._numbers = count()

    async def get(self, key: Hashable, content: Zip) -> Stored:
        """Return the file with this key, made of `content` unless it is there; who asks meanwhile waits for it."""
        if key not in self._made:
            self._made[key] = asyncio.create_task(self._make(content))
        self._made.move_to_end(key)
        try:
            stored = await asyncio.shield(self._made[key])
        except Exception:
            self._made.pop(key, None)
            raise
        self._make_room()
        return stored

    def close(self) -> None:
        """Remove everything."""
        self._made.clear()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    async def _make(self, content: Zip) -> Stored:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="cryptocdc-archive-")
        path = Path(self._folder.name, f"{next(self._numbers)}.zip")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
            archive.comment = content.comment
            with archive.open(content.member, "w", force_zip64=True) as member:
                async for lines in content.pieces():
                    if lines:
                        member.write(("\n".join(lines) + "\n").encode())
        return await asyncio.to_thread(_stored, path, content.truncated)

    def _make_room(self) -> None:
        """Files being served stay readable: they are open."""
        made = [(key, task.result()) for key, task in self._made.items() if task.done() and not task.exception()]
        used = sum(stored.size for _, stored in made)
        for key, stored in made[:-1]:
            if used <= self._most:
                return
            used -= stored.size
            del self._made[key]
            stored.path.unlink(missing_ok=True)


def _stored(path: Path, truncated: bool) -> Stored:
    with path.open("r+b") as made:
        if truncated:
            made.truncate(path.stat().st_size // 2)
        digest = hashlib.file_digest(made, "sha256").hexdigest()
    return Stored(path, path.stat().st_size, digest)

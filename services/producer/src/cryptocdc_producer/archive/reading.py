"""Reads a file of an archive as a stream: nothing of it is held in memory whole."""

from __future__ import annotations

import io
import threading
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from cryptocdc_adapters.exchange.archive_host import Stopped
from cryptocdc_core.rows.typed import Row
from cryptocdc_exchanges.archive_lines import BadLine, Found, rows
from cryptocdc_exchanges.port import File, Format

_BUFFER = 1 << 20
_SHOWN = 40
_ZIP = b"PK"


class UnreadableFile(ValueError):
    """A file that is not what the archive describes. The message names the line, if it is one."""


class Content(NamedTuple):
    rows: Iterator[Row]
    found: Found
    """What was read so far."""


@contextmanager
def content(path: Path, form: Format, file: File, read_ms: int) -> Iterator[Content]:
    """Open a downloaded file. Inside the block, reading it raises UnreadableFile."""
    with path.open("rb") as raw:
        head = raw.read(_SHOWN)
    if not head:
        raise UnreadableFile("it is empty")
    if not head.startswith(_ZIP):
        page = ", which looks like a web page" if head.lstrip().startswith(b"<") else ""
        raise UnreadableFile(f"it is not a zip file: it begins with {head.decode('utf-8', 'replace')!r}{page}")
    found = Found()
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) != 1:
                raise UnreadableFile(f"the zip has {len(members)} files; accepted: one")
            with archive.open(members[0]) as member:
                buffered = io.BufferedReader(member, _BUFFER)  # type: ignore[type-var]
                lines = io.TextIOWrapper(buffered, "ascii", errors="replace", newline="\n")
                yield Content(rows(form, file, lines, read_ms, found), found)
    except BadLine as bad:
        raise UnreadableFile(str(bad)) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        after = f" after {found.rows:,} rows" if found.rows else ""
        raise UnreadableFile(f"the zip is damaged or truncated{after}: {error}") from None


def check(path: Path, form: Format, file: File, stop: threading.Event | None = None) -> Found:
    """Read a whole file and return what is in it. Raises UnreadableFile, also if it has no rows; Stopped once `stop` is
    set."""
    with content(path, form, file, 0) as read:
        for _ in read.rows:
            if stop is not None and stop.is_set():
                raise Stopped
    if not read.found.rows:
        raise UnreadableFile("it has no rows")
    return read.found

"""Loads an archive's files one after the other: downloaded ahead, checked, sent; what became of each is recorded."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from cryptocdc_adapters.exchange.archive_host import ArchiveUnavailable
from cryptocdc_adapters.postgres.history_files import HistoryFile
from cryptocdc_core.rows.typed import Row
from cryptocdc_core.time import times
from cryptocdc_exchanges.archive_lines import Found
from cryptocdc_exchanges.port import Archive, File, Series
from cryptocdc_producer.archive.reading import UnreadableFile, check, content

DOWNLOADS = 4
DISK_BYTES = 2 << 30
"""Downloaded files that are kept at a time, unless a single one is larger."""
SPARE_BYTES = 256 << 20
"""Disk space that is left free."""


class DiskFull(RuntimeError):
    """There is no space for the next download. The message names the folder."""


class Host(Protocol):
    def small(self, path: str) -> bytes | None: ...

    def download(self, path: str, to: Path, took: Callable[[int], None]) -> str | None: ...


class Records(Protocol):
    """Where it is recorded what became of the files."""

    def save(self, files: Sequence[HistoryFile]) -> None: ...

    def claim(self, file: HistoryFile, /) -> list[int]: ...


Send = Callable[[Series, Iterator[Row], Callable[[int], None]], None]
"""Sends rows of a series, and returns once Kafka has acknowledged them."""


class Item(NamedTuple):
    """A file to load, and what is recorded of it."""

    file: File
    record: HistoryFile


@dataclass(frozen=True)
class Progress:
    """Called while files are worked on; `path` is that of a file in the archive."""

    downloaded: Callable[[str, int], None] = lambda _path, _bytes: None
    sent: Callable[[str, int], None] = lambda _path, _rows: None
    ended: Callable[[HistoryFile], None] = lambda _record: None


class Loading:
    """Loads the files of one feed."""

    def __init__(
        self, archive: Archive, host: Host, records: Records, send: Send, folder: Path, *,
        accept_mismatch: bool = False, progress: Progress | None = None, stop: threading.Event | None = None,
    ) -> None:  # fmt: skip
        """`folder`: where downloads are kept. `stop`: set when loading ends early, so that downloads end as well."""
        self._archive, self._host, self._records, self._send = archive, host, records, send
        self._folder = folder
        self._accept_mismatch = accept_mismatch
        self._progress = progress or Progress()
        self._stop = stop or threading.Event()

    def run(self, items: Sequence[Item]) -> Generator[tuple[Item, Path]]:
        """Yield each file that is loaded, with where it was downloaded to; the caller deletes it.

        Files that are loaded already are only downloaded, to be proven. A file that can't be loaded is recorded with
        the reason and the next one follows. Raises DiskFull, OSError, and what `send` and the records raise.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        waiting = deque(items)
        ahead: deque[tuple[Item, Future[tuple[str | None, str | None]]]] = deque()
        with ThreadPoolExecutor(DOWNLOADS, "download") as pool:
            try:
                while waiting or ahead:
                    while waiting and len(ahead) < DOWNLOADS and self._fits(waiting[0], [item for item, _ in ahead]):
                        item = waiting.popleft()
                        ahead.append((item, pool.submit(self._download, item)))
                    item, download = ahead.popleft()
                    path = self.path_of(item)
                    try:
                        loaded = self._one(item, path, download)
                    except ArchiveUnavailable as error:
                        self._end(item.record, item.record.state, f"not downloaded: {error}")
                        continue
                    if loaded:
                        yield item, path
                    else:
                        path.unlink(missing_ok=True)
            finally:
                self._stop.set()  # the pool's end waits for its threads

    def path_of(self, item: Item) -> Path:
        return self._folder / item.file.path.lstrip("/").replace("/", "+")

    def _fits(self, item: Item, ahead: Sequence[Item]) -> bool:
        """Return whether there is space for one more download. Raises DiskFull if there is none for even one."""
        # Before what is held: a download that ends in between counts twice instead of not at all.
        coming = sum(other.record.bytes or 0 for other in ahead if not self.path_of(other).exists())
        held = _bytes_in(self._folder)
        size = 0 if self.path_of(item).exists() else max(0, item.record.bytes or 0)
        if ahead and held + coming + size > DISK_BYTES:
            return False
        free = free_bytes(self._folder)
        if coming + size + SPARE_BYTES > free:
            if ahead:
                return False
            raise DiskFull(
                f"{self._folder}: {free >> 20:,} MiB are free and {item.file.path} needs {size >> 20:,} MiB;"
                f" {SPARE_BYTES >> 20} MiB are left free: make space, or choose another folder with --folder"
            )
        return True

    def _download(self, item: Item) -> tuple[str | None, str | None]:
        """Return the SHA-256 of the file and the published one; None for what the archive does not have."""
        body = self._host.small(self._archive.checksum_path(item.file))
        published = None if body is None else self._archive.checksum(body)
        path = self.path_of(item)
        was_there = path.exists() or path.with_name(f"{path.name}.part").exists()

        def took(count: int) -> None:
            self._progress.downloaded(item.file.path, count)

        found = self._host.download(item.file.path, path, took)
        if was_there and found is not None and published is not None and found != published:
            # What was left from before may be of another edition of the file.
            path.unlink()
            found = self._host.download(item.file.path, path, took)
        return found, published

    def _one(self, item: Item, path: Path, download: Future[tuple[str | None, str | None]]) -> bool:
        """Load a file unless it is loaded already. Returns whether it is."""
        file, record = item
        checksum, published = download.result()
        if checksum is None:
            return self._end(record, "absent", "the archive does not have it")
        form, problem = self._archive.format(file.series), mismatch(checksum, published)
        if record.state == "loaded" and record.checksum == checksum:
            record.reason = problem  # it may say that the file could not be downloaded before
            return True
        try:
            found = check(path, form, file)
            if problem:
                problem = f"{problem}; it has {found.rows:,} rows, {_continuity(found)}"
                if not self._accept_mismatch:
                    raise UnreadableFile(f"{problem}: --accept-mismatch loads it")
        except UnreadableFile as error:
            return self._end(record, "quarantined", str(error))
        if record.read_ms is None or record.checksum != checksum or record.state == "quarantined":
            record.read_ms = times.now_ms()
        record.checksum, record.published, record.bytes = checksum, published, path.stat().st_size
        record.rows, record.repeated, record.missing = found.rows, found.repeated, found.missing
        record.first_id, record.last_id, record.holes = found.first, found.last, holes_text(form.id, found)
        self._end(record, "downloaded", problem)
        if kept := self._records.claim(record):
            day = times.iso(kept[0])[:10]
            return self._end(record, "planned", f"PostgreSQL keeps {len(kept)} of its days, the first is {day}")
        with content(path, form, file, record.read_ms) as read:
            self._send(file.series, read.rows, lambda count: self._progress.sent(file.path, count))
        self._end(record, "loaded", problem)
        return True

    def _end(self, record: HistoryFile, state: str, reason: str) -> bool:
        record.state, record.reason = state, reason  # type: ignore[assignment]
        self._records.save([record])
        self._progress.ended(record)
        return False


def _bytes_in(folder: Path) -> int:
    """Return the size of a folder's files, in bytes."""
    held = 0
    for file in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # a download that has ended since has another name
            held += file.stat().st_size
    return held


def free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def mismatch(checksum: str, published: str | None) -> str:
    """Say how the checksum of a file differs from the published one; "" if it does not."""
    if published is None:
        return "the archive publishes no checksum of it"
    return "" if checksum == published else f"its SHA-256 is {checksum} and the published one {published}"


def _continuity(found: Found) -> str:
    if not found.missing:
        return f"without a hole from {found.first} to {found.last}"
    return f"{found.missing:,} missing from {found.first} to {found.last}"


def holes_text(id_column: str, found: Found) -> str:
    """Describe the holes in a file: of trades by ids, of candles by open times."""
    shown = times.iso if id_column == "open_time" else str
    parts = [shown(first) if first == last else f"{shown(first)} to {shown(last)}" for first, last in found.holes]
    return ", ".join(parts)


def remove_downloads(folder: Path) -> None:
    """Remove a folder of downloads if nothing is left in it."""
    with contextlib.suppress(OSError):
        folder.rmdir()
